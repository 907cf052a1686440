"""How many patches a second are augmented, for each preset.

python benchmarks/augmentation.py [--size 64] [--batch 256] [--threads 1] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from napari_nic.training.augmentation import PRESETS, Augmenter

AIMS = {"light": 4000, "strong": 2000}
"""Patches of 64 px per second and core of a CPU; the small networks train at less than 1000."""


def rates(augmenter: Augmenter, images: torch.Tensor, *, seconds: float) -> list[float]:
    """Return patches per second of every batch that is begun within a time."""
    augmenter(images, seed=0)
    measured = []
    finish = time.perf_counter() + seconds
    while time.perf_counter() < finish:
        started = time.perf_counter()
        augmenter(images, seed=len(measured))
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        measured.append(len(images) / (time.perf_counter() - started))
    return measured


def main() -> None:
    """Print the median and the fastest rate of each preset."""
    parser = argparse.ArgumentParser(description="Time the augmentation of patches.")
    parser.add_argument("--size", type=int, default=64, help="side of a patch, px")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    shape = (args.batch, args.size, args.size, 3)
    images = torch.randint(0, 256, shape, dtype=torch.uint8).to(args.device)
    print(f"patches of {args.size} px, batches of {args.batch}, {args.device}, {args.threads} threads")
    for name, options in PRESETS.items():
        measured = rates(Augmenter(options, device=args.device), images, seconds=args.seconds)
        aim = f", aim {AIMS[name]:,}" if name in AIMS and args.size == 64 else ""
        print(
            f"{name:8}  median {statistics.median(measured):8,.0f} patches/s, "
            f"fastest {max(measured):8,.0f}{aim}"
        )


if __name__ == "__main__":
    main()
