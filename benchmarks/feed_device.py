"""Is a device kept busy? Compression with a stand-in for a GPU, whose cost is known because it only waits.

    python benchmarks/feed_device.py
    python benchmarks/feed_device.py --against ../other/src --rounds 5

A slide of noise is compressed by an encoder that waits a fixed time for each batch and for each patch in it,
as a GPU would while this process's threads go on reading. Three devices: one that is slower than the reading,
one that is about as quick, and one that costs next to nothing, each with small and large batches. Tissue is
ragged, so that blocks hold any number of patches. Printed are patches a second and the share of the time in
which the device worked.

With `--against` the same is done with the source of another version in turn with this one, and the median of
the ratios is printed: more than 1 means that this version is quicker.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE = 12_000
DEVICES = {"slow": 4e-4, "even": 1e-4, "free": 0.0}
"""Seconds a patch."""
SECONDS_A_BATCH = 2e-3
BATCHES = (256, 2048)


class Waiting:
    """Waits, and says of its patches no more than their first pixels."""

    device = "cuda:0"
    precision = "float32"

    def __init__(self, batch_size: int, seconds: float) -> None:
        from napari_nic.encoders import EncoderSpec

        self.spec = EncoderSpec(
            name="waiting",
            code_size=128,
            patch_size=64,
            mpp=0.5,
            input_size=64,
            architecture="waiting",
            weights_sha256=None,
            licence="none",
            summary="waits",
            training={},
            citation="",
        )
        self.batch_size = batch_size
        self.worked, self.batches = 0.0, 0
        self._seconds = seconds

    def prepare_thread(self) -> None:
        """Nothing to prepare."""

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Wait as long as the device would take."""
        start = time.perf_counter()
        time.sleep(SECONDS_A_BATCH + self._seconds * len(batch))
        self.worked += time.perf_counter() - start
        self.batches += 1
        return batch.reshape(len(batch), -1)[:, :128].astype(np.float32)


def write_noise(path: Path) -> None:
    """Write a tiled JPEG slide of one level and a coarse one."""
    import cv2
    import tifffile

    coarse = np.random.default_rng(0).integers(40, 220, (SIDE // 50, SIDE // 50, 3), np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for factor in (1, 8):
            side = SIDE // factor
            tif.write(
                cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC),
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                subfiletype=int(factor > 1),
                resolution=(2e4 / factor, 2e4 / factor),
                resolutionunit="CENTIMETER",
                metadata=None,
            )


def ragged(rows: int, cols: int) -> np.ndarray:
    """Islands of tissue with holes; bool, (rows, cols)."""
    import cv2

    noise = np.random.default_rng(1).normal(size=(rows // 6, cols // 6)).astype(np.float32)
    return cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_CUBIC) > -0.3


def measure(slide_path: Path, folder: Path) -> dict[str, list[float]]:
    """Compress with each device: patches a second, share of the time in which it worked, batches."""
    from napari_nic.pipeline import GridOptions, iter_compress, prepare_store
    from napari_nic.slides import open_slide
    from napari_nic.tissue import TissueMask

    found = {}
    for name, seconds in DEVICES.items():
        for size in BATCHES:
            encoder = Waiting(size, seconds)
            with open_slide(slide_path) as slide:
                grid = prepare_store(
                    slide,
                    encoder,
                    path=folder / f"g-{name}-{size}.nic.zarr",
                    options=GridOptions(min_tissue=0),
                ).grid
                tissue = TissueMask(ragged(*grid.shape), grid.placement, "made")
                store = prepare_store(slide, encoder, path=folder / f"{name}-{size}.nic.zarr", tissue=tissue)
                start = time.perf_counter()
                for _ in iter_compress(slide, encoder, store):
                    pass
                elapsed = time.perf_counter() - start
            count = int(store.coverage.sum())
            found[f"{name}, batches of {size}"] = [count / elapsed, encoder.worked / elapsed, encoder.batches]
    return found


def in_a_process(slide_path: Path, source: Path | None) -> dict[str, list[float]]:
    """Measure with the source of a version, in a process of its own."""
    environment = dict(os.environ)
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--measure", str(slide_path), folder]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", type=Path, help="source folder of another version")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*args.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        slide_path = Path(folder) / "noise.tif"
        write_noise(slide_path)
        own, other = [], []
        for _ in range(args.rounds):
            own.append(in_a_process(slide_path, None))
            if args.against:
                other.append(in_a_process(slide_path, args.against))
    for case in own[0]:
        rate, share, batches = (statistics.median(run[case][i] for run in own) for i in range(3))
        line = f"{case:24s} {rate:9,.0f} patches/s, device busy {share:4.0%}, {batches:.0f} batches"
        if other:
            ratios = [mine[case][0] / theirs[case][0] for mine, theirs in zip(own, other, strict=True)]
            line += (
                f"; {statistics.median(ratios):.2f} times the other ({min(ratios):.2f} to {max(ratios):.2f})"
            )
        print(line)


if __name__ == "__main__":
    main()
