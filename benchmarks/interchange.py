"""How fast, and in how much memory, are others' feature files read and written, against bare h5py?

    python benchmarks/interchange.py                # 250,000 to 1,000,000 patches x 1,024 numbers of float16
    python benchmarks/interchange.py --patches 250000 --order shuffled

Each measurement runs in a process of its own, the steps in turn, and the fastest of each counts. Bare h5py
reads the same rows slab by slab, writes them to another file, contiguous as exports are, and waits until they
are on the disk, as import and export do. It does nothing else: no grid, no check, no checksum of the source.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

SLAB_ROWS = 8192
STEP_PX = 256
ORDERS = ("rows", "columns", "shuffled")


def write_source(path: Path, rows: int, size: int, order: str) -> None:
    """Write a file as CLAM does: chunks of 32 rows; places row by row, column by column or in no order."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(np.sqrt(rows)))
    places = np.stack(np.divmod(np.arange(rows), side)[::-1], axis=1) * STEP_PX
    if order == "columns":
        places = places[np.lexsort((places[:, 1], places[:, 0]))]
    elif order == "shuffled":
        places = places[rng.permutation(rows)]
    block = rng.normal(0, 1, (SLAB_ROWS, size)).astype(np.float16)
    with h5py.File(path, "w") as file:
        features = file.create_dataset("features", (rows, size), np.float16, chunks=(32, size))
        for start in range(0, rows, SLAB_ROWS):
            stop = min(rows, start + SLAB_ROWS)
            features[start:stop] = np.roll(block, start % 97, axis=1)[: stop - start]
        file["coords"] = places.astype(np.int64)
        file["coords"].attrs.update({"patch_size": STEP_PX, "patch_level": 0, "downsample": (1.0, 1.0)})


def bare_read(work: Path) -> None:
    """Read all rows."""
    with h5py.File(work / "source.h5") as file:
        features = file["features"]
        for start in range(0, len(features), SLAB_ROWS):
            features[start : start + SLAB_ROWS]
        file["coords"][:]


def bare_copy(work: Path) -> None:
    """Read all rows and write them to another file, which is on the disk at the end."""
    with h5py.File(work / "source.h5") as file, h5py.File(work / "bare.h5", "w") as out:
        features = file["features"]
        written = out.create_dataset("features", features.shape, features.dtype)
        for start in range(0, len(features), SLAB_ROWS):
            written[start : start + SLAB_ROWS] = features[start : start + SLAB_ROWS]
        out["coords"] = file["coords"][:]
    with (work / "bare.h5").open("rb+") as out:
        os.fsync(out.fileno())


def import_file(work: Path) -> None:
    """Import the file as a store."""
    from napari_nic.embeddings import ImportHints, import_store
    from napari_nic.geometry import PixelSize

    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
    import_store(work / "source.h5", work / "store.nic.zarr", hints=hints, overwrite=True).close()


def export_file(work: Path) -> None:
    """Export the store as STAMP keeps features: float16."""
    from napari_nic.embeddings import CompressedSlide, export_store

    with CompressedSlide.open(work / "store.nic.zarr") as store:
        export_store(store, work / "export.h5", "stamp", overwrite=True)


STEPS: dict[str, Callable[[Path], None]] = {
    "bare h5py, read": bare_read,
    "bare h5py, read and write": bare_copy,
    "import": import_file,
    "export": export_file,
}


def peak_kb() -> int:
    """Most memory that this program had (VmHWM): getrusage counts that of the one which started it too."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1))


def child(name: str, work: Path) -> None:
    """Run one step in this process and print its seconds and the memory that it grew by."""
    import napari_nic.embeddings  # noqa: F401 -- what is measured is the work, not the start

    before = peak_kb()
    start = time.perf_counter()
    STEPS[name](work)
    seconds = time.perf_counter() - start
    grown = (peak_kb() - before) / 1024
    print(json.dumps({"seconds": seconds, "memory_mb": grown}))


def measure(work: Path, rows: int, size: int, order: str, runs: int) -> None:
    """Print a table of all steps."""
    write_source(work / "source.h5", rows, size, order)
    gigabytes = rows * size * 2 / 1e9
    print(f"\n{rows:,} patches x {size:,} float16 ({gigabytes:.2f} GB), {order}")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in STEPS}
    for _ in range(runs):
        for name in STEPS:
            os.sync()  # what was written before is not waited for
            found[name].append(_run(name, work))
    seconds = {name: min(run["seconds"] for run in each) for name, each in found.items()}
    for name, each in found.items():
        memory = max(run["memory_mb"] for run in each)
        print(
            f"  {name:<28}{seconds[name]:7.2f} s {gigabytes / seconds[name]:7.2f} GB/s{memory:8.0f} MB",
            flush=True,
        )
    copy = seconds["bare h5py, read and write"]
    print(f"  share of the speed of bare h5py: import {copy / seconds['import']:.2f}, "
          f"export {copy / seconds['export']:.2f}")  # fmt: skip


def _run(name: str, work: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", name, "--work", str(work)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run as a script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, nargs="*", default=[250_000, 500_000, 1_000_000])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--order", choices=ORDERS, nargs="*", default=["rows"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.work)
        return
    for rows in args.patches:
        for order in args.order:
            with tempfile.TemporaryDirectory(prefix="nic-bench-") as folder:
                measure(Path(folder), rows, args.size, order, args.runs)


if __name__ == "__main__":
    main()
