"""The network: five contracting blocks, a bottom, five expanding blocks.

::

    x (B, 3, s, s) --block 1--+------------------------------------(concatenated)--> block --> (B, s, s)
                      pool    |                                       upsample
                        --block 2--+-------------------(concatenated)--> block
                            ...      --> bottom --> upsample ...

A block is twice (convolution 3 x 3, batch normalisation, ReLU); only the first two expanding blocks are
normalised. After the tissue segmentation of the Smistad group (2026), there in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from napari_nic.errors import WeightsError
from napari_nic.tissue.unet.spec import PAPER_WIDTHS, UnetSpec
from napari_nic.tissue.unet.store import WEIGHTS_FILE, read_weights

NORMALISED = 2
"""Expanding blocks, from the bottom, that are normalised."""


class TissueUnet(nn.Module):
    """Maps pictures to logits of tissue.

    Parameters
    ----------
    widths : sequence of int
        Filters of the contracting blocks.
    """

    def __init__(self, widths: Sequence[int] = PAPER_WIDTHS) -> None:
        super().__init__()
        inputs = [3, *widths[:-1]]
        self.down = nn.ModuleList(_block(i, o, normalised=True) for i, o in zip(inputs, widths, strict=True))
        self.bottom = _block(widths[-1], widths[-1], normalised=True)
        below = [widths[-1], *reversed(widths[1:])]
        self.up = nn.ModuleList(
            _block(under + width, width, normalised=number < NORMALISED)
            for number, (under, width) in enumerate(zip(below, reversed(widths), strict=True))
        )
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, h, w) in [-1, 1] to logits (B, h, w); sides are multiples of 2 ** blocks."""
        passed = []
        for block in self.down:
            x = block(x)
            passed.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for block in self.up:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, passed.pop()], 1))
        logits: torch.Tensor = self.last(x)[:, 0]
        return logits


def _block(inputs: int, outputs: int, *, normalised: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for first, last in ((inputs, outputs), (outputs, outputs)):
        layers.append(nn.Conv2d(first, last, 3, padding=1, bias=not normalised))
        layers += [nn.BatchNorm2d(last)] if normalised else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def load_net(folder: Path, spec: UnetSpec, device: str = "cpu") -> TissueUnet:
    """Load the weights of a network, ready for use.

    Raises
    ------
    WeightsError
        If they are damaged or do not fit the description.
    """
    content = read_weights(folder, spec)
    net = TissueUnet(spec.widths)
    try:
        state = {name: value.float() for name, value in load(content).items()}
        missing = net.load_state_dict(state, strict=False)
        names = [name for name in missing.missing_keys if not name.endswith("num_batches_tracked")]
        is_finite = all(bool(value.isfinite().all()) for value in state.values())
        found = ", ".join(names + missing.unexpected_keys) or ("" if is_finite else "numbers without end")
    except (SafetensorError, RuntimeError, ValueError) as error:
        found = (str(error).splitlines() or [type(error).__name__])[0]
    if found:
        raise WeightsError(
            "these weights do not fit the description of the network",
            path=folder / WEIGHTS_FILE,
            found=found[:200],
            hint="get the whole folder again",
        )
    return net.to(device).to(memory_format=torch.channels_last).eval()
