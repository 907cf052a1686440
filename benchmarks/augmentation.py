"""How many patches a second are augmented, for each preset.

python benchmarks/augmentation.py [--size 64] [--network 64] [--batch-size 256] [--threads 1] [--device cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from napari_nic.training.augmentation import PRESETS, Augmenter

AIMS = {"light": 4000, "strong": 2000}
"""Patches of 64 px per second and core of a CPU; the small networks train at less than 1000."""


def seconds_of(
    augmenter: Augmenter, images: torch.Tensor, *, network: int, seconds: float
) -> list[tuple[float, float]]:
    """Return wall and processor time of every batch that is begun within a time."""
    augmenter(images, seed=0, size=network)
    measured = []
    finish = time.perf_counter() + seconds
    while time.perf_counter() < finish:
        started, worked = time.perf_counter(), time.process_time()
        augmenter(images, seed=len(measured), size=network)
        if images.device.type == "cuda":
            torch.cuda.synchronize()
        measured.append((time.perf_counter() - started, time.process_time() - worked))
    return measured


def main() -> None:
    """Print the median and the fastest rate of each preset, and the fastest per second of processor time."""
    parser = argparse.ArgumentParser(description="Time the augmentation of patches.")
    parser.add_argument("--size", type=int, default=64, help="side of a patch, px")
    parser.add_argument("--network", type=int, default=64, help="side of what the network sees, px")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    batch = args.batch_size
    shape = (batch, args.size, args.size, 3)
    images = torch.randint(0, 256, shape, dtype=torch.uint8).to(args.device)
    print(f"{args.size} -> {args.network} px, batches of {batch}, {args.device}, {args.threads} threads")
    for name, options in PRESETS.items():
        augmenter = Augmenter(options, device=args.device)
        measured = seconds_of(augmenter, images, network=args.network, seconds=args.seconds)
        walls, works = zip(*measured, strict=True)
        aim = f", aim {AIMS[name]:,}" if name in AIMS and args.device == "cpu" else ""
        print(
            f"{name:8} patches/s: median {batch / statistics.median(walls):8,.0f}, "
            f"fastest {batch / min(walls):8,.0f}, per core {batch / min(works):8,.0f}{aim}"
        )


if __name__ == "__main__":
    main()
