"""How long prediction and saliency of a compressed slide take, and how much memory.

    python benchmarks/saliency.py --sides 400 1000

Codes are random, and so are the weights of the network, which is the paper's (eight convolutions, crops of
400 cells): time and memory do not depend on either. Each size runs in a fresh process, all cells are tissue,
the codes are in memory as float16. Printed are seconds on the clock, seconds of processor time (which tells
more on a machine that does other work), and how far the peak of memory lies above codes and libraries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress_slide import peak_mb

CODE_SIZE = 128
CROP = 400
METHODS = ("Grad-CAM", "LayerCAM", "HiResCAM")
WARM_UP = 64
PEAK_OF_MEMORY = "5"  # what Linux calls it, see proc(5)


def make_bundle():
    """Return the paper's network with random weights for codes of 128 numbers."""
    import torch

    from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, Standardiser
    from napari_nic.slide_models.architectures import build_network

    network = SlideNetConfig(CODE_SIZE, 1, CROP)
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in build_network(network).state_dict().items()}
    encoder = {
        "name": "none",
        "architecture": "none",
        "code_size": CODE_SIZE,
        "patch_size": 128,
        "mpp": 0.5,
        "input_size": 64,
        "weights_sha256": None,
    }
    card = ModelCard("random", "classification", ("normal", "lesion"), encoder, network)
    plain = Standardiser(np.zeros(CODE_SIZE, np.float32), np.ones(CODE_SIZE, np.float32))
    return ModelBundle(card, weights, plain)


def make_codes(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random codes float16 (side, side, C), made row by row, and a mask of all cells."""
    rng = np.random.default_rng(0)
    codes = np.empty((side, side, CODE_SIZE), np.float16)
    for row in codes:
        row[:] = rng.standard_normal(row.shape, np.float32)
    return codes, np.ones((side, side), bool)


def measure(side: int, device: str) -> dict[str, dict[str, float]]:
    """Time each step on one slide, in this process."""
    from napari_nic.explain import grad_cam
    from napari_nic.geometry import Placement
    from napari_nic.slide_models import predict_codes

    bundle, (codes, mask) = make_bundle(), make_codes(side)
    placement = Placement((0.0, 0.0), (64.0, 64.0))
    small = (codes[:WARM_UP, :WARM_UP], mask[:WARM_UP, :WARM_UP])
    predict_codes(bundle, *small, placement, device=device)  # the libraries set themselves up
    steps: dict[str, Callable[[], object]] = {
        "prediction": lambda: predict_codes(bundle, codes, mask, placement, device=device)
    }
    for method in METHODS:
        grad_cam(bundle, *small, method=method, device=device)
        steps[method] = lambda method=method: grad_cam(bundle, codes, mask, method=method, device=device)
    return {name: timed(step) for name, step in steps.items()}


def timed(step: Callable[[], object]) -> dict[str, float]:
    """Run once; the peak that counts is the one of this step."""
    reset_peak()
    before, processor, clock = peak_mb(), time.process_time(), time.perf_counter()
    step()
    return {
        "clock_s": time.perf_counter() - clock,
        "processor_s": time.process_time() - processor,
        "peak_growth_mb": peak_mb() - before,
    }


def reset_peak() -> None:
    """Let the process's high-water mark begin anew (Linux; elsewhere later steps show the largest so far)."""
    marks = Path("/proc/self/clear_refs")
    if marks.is_file():
        marks.write_text(PEAK_OF_MEMORY)


def main() -> None:
    """Parse the command line and measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="*", default=[400, 1000], help="rows and columns of cells")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child, args.device)))
        return
    for side in args.sides:
        command = [sys.executable, __file__, "--child", str(side), "--device", args.device]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows = json.loads(done.stdout.splitlines()[-1])
        print(f"\n{side} x {side} x {CODE_SIZE}")
        for name, row in rows.items():
            print(
                f"  {name:<12}{row['clock_s']:7.2f} s   {row['processor_s']:7.2f} s of processor time   "
                f"{row['peak_growth_mb']:6.0f} MB"
            )
        both = rows["prediction"]["clock_s"] + rows["Grad-CAM"]["clock_s"]
        print(f"  prediction and Grad-CAM together {both:.2f} s")


if __name__ == "__main__":
    main()
