"""How fast is a slide compressed, against what the machine allows and against the plain way?

    python benchmarks/compress_slide.py --sides 30000 60000
    python benchmarks/compress_slide.py --slide my.svs --device cuda
    python benchmarks/compress_slide.py --memory --sides 30000 60000 120000

For each slide a fresh process measures, with all cores and in the same run:

* decode only: every tile that the tissue needs, once;
* encode only: the same number of patches, already cut, in the pipeline's batches and threads;
* the whole: open, find tissue, decode, cut, encode, write the store;
* growth of the resident memory from opening the slide to the last block, over the process with the encoder
  loaded, and how much of it was there when tissue had been found.

With `--memory` only the last is measured, in minutes, with the encoder of mean colours and every 25th block.

The *floor* is decode + encode where both need the CPU, and the larger of the two with a GPU. The same ratio
is printed for processor time, which other work on the machine disturbs less: it shows what the pipeline
computes beyond its parts, not how well it keeps all cores busy.

The plain way is OpenSlide ``read_region`` for each patch in a PyTorch DataLoader with a worker per core,
which also normalises, and the network as it was trained: a float32 module in PyTorch's own layout. It is
measured a second time with the project's *prepared* network (normalisations folded, channels last), which is
not plain any more but shows what the reading alone costs. Both must give the codes that the store holds, up
to the rounding of its precision; the largest difference is printed in standard deviations of the code.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gigapixel import make_gigapixel

DATA = Path(os.environ.get("NAPARI_NIC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PLAIN_BATCH = 64
SOURCE = DATA / "slides" / "CMU-1-Small-Region.svs"


def peak_mb() -> float:
    """Largest resident size of this process so far.

    Linux hands ``ru_maxrss`` on from the parent to the child, so the process's own high-water mark is read.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """Resident size of this process now."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return peak_mb()


def measure_memory(args: argparse.Namespace) -> dict[str, float]:
    """Compress in this process, a share of the blocks for large slides, and look at its memory only."""
    from napari_nic.encoders import load_encoder
    from napari_nic.pipeline import iter_compress, prepare_store, run
    from napari_nic.slides import open_slide

    encoder = load_encoder("mean-rgb")
    wanted = run.pending_blocks
    run.pending_blocks = lambda *found: wanted(*found)[:: args.every]
    before = resident_mb()
    with open_slide(args.slide) as slide:
        store = prepare_store(slide, encoder, path=Path(args.work) / "memory.nic.zarr")
        tissue = peak_mb() - before
        blocks = sum(len(report.blocks) for report in iter_compress(slide, encoder, store))
        side = slide.levels[0].width
    return {
        "side_px": side,
        "blocks": blocks,
        "growth_with_tissue_mb": tissue,
        "growth_opening_to_last_block_mb": peak_mb() - before,
    }


def measure_pipeline(args: argparse.Namespace) -> dict[str, float]:
    """Measure the parts, then the whole, in this process."""
    from napari_nic.encoders import load_encoder
    from napari_nic.pipeline import iter_compress, prepare_store, usable_cores
    from napari_nic.slides import open_slide

    encoder = load_encoder(args.encoder, device=args.device, precision=args.precision)
    cores = usable_cores()
    warm = np.zeros((encoder.batch_size, *[encoder.spec.input_size] * 2, 3), np.uint8)
    encoder.encode(warm)
    before = resident_mb()
    with open_slide(args.slide) as slide:
        store_path = Path(args.work) / "whole.nic.zarr"
        start, processor = time.perf_counter(), time.process_time()
        store = prepare_store(slide, encoder, path=store_path)
        prepared = time.perf_counter() - start
        for _ in iter_compress(slide, encoder, store):
            pass
        wall, processor = time.perf_counter() - start, time.process_time() - processor
        growth = peak_mb() - before
        patches = int(store.coverage.sum())
        floor_processor = time.process_time()
        decode = decode_seconds(slide, store, cores)
        encode = encode_seconds(encoder, patches, cores)
        floor_processor = time.process_time() - floor_processor
    floor = decode + encode if encoder.device == "cpu" else max(decode, encode)
    return {
        "patches": patches,
        "tissue_s": prepared,
        "wall_s": wall,
        "patches_per_s": patches / wall,
        "decode_s": decode,
        "encode_s": encode,
        "floor_s": floor,
        "wall_over_floor": wall / floor,
        "processor_s": processor,
        "processor_over_floor": processor / floor_processor,
        "memory_growth_mb": growth,
        "precision": encoder.precision,
        "device": encoder.device,
    }


def decode_seconds(slide, store, cores: int) -> float:
    """Decode once each tile that the covered patches touch, in storage order, with a thread per core."""
    from napari_nic.pipeline.plan import count_tile_uses, pending_blocks

    level = slide.levels[store.grid.level]
    blocks = pending_blocks(np.zeros_like(store.done), store.coverage)
    uses = count_tile_uses(blocks, store.grid, store.coverage, tile=level.tile, level_shape=level.shape)
    tiles = sorted(uses)
    start = time.perf_counter()
    with ThreadPoolExecutor(cores) as executor:
        list(executor.map(lambda i: _decode_share(slide, store.grid.level, tiles[i::cores]), range(cores)))
    return time.perf_counter() - start


def _decode_share(slide, level: int, tiles: list[tuple[int, int]]) -> None:
    for row, col in tiles:
        slide.read_tile(level, row, col)


def encode_seconds(encoder, patches: int, cores: int) -> float:
    """Encode as many random patches as the slide has, in the pipeline's batches."""
    size = encoder.spec.input_size
    pool = np.random.default_rng(0).integers(0, 256, (4 * encoder.batch_size, size, size, 3), np.uint8)
    threads = cores if encoder.device == "cpu" else 1
    batches = -(-patches // encoder.batch_size)

    def work(index: int) -> None:
        encoder.prepare_thread()
        for number in range(index, batches, threads):
            at = number % 4 * encoder.batch_size
            encoder.encode(pool[at : at + encoder.batch_size])

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(work, range(threads)))
    return time.perf_counter() - start


def measure_plain(args: argparse.Namespace) -> dict[str, float]:
    """Encode the same patches the plain way; `--plain-patches` evenly spread ones."""
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.encoders import load_encoder
    from napari_nic.encoders.networks import NETWORKS

    store = CompressedSlide.open(Path(args.work) / "whole.nic.zarr")
    cells = np.argwhere(store.coverage)
    if args.plain_patches:
        cells = cells[np.linspace(0, len(cells) - 1, min(len(cells), args.plain_patches)).astype(int)]
    encoder = load_encoder(args.encoder, device=args.device, precision="float32")
    stored = store.read()[tuple(cells.T)].astype(np.float32)
    patches = PlainPatches(args.slide, cells, store.grid, encoder.spec.input_size)
    rows: dict[str, float] = {"plain_patches": len(cells)}
    ways = {"prepared": (patches, encoder.encode)}
    if (
        encoder.spec.architecture in NETWORKS
    ):  # others have no trained network apart from the one that is used
        ways["plain"] = NormalisedPatches(patches), plain_network(args)
    for name, (dataset, encode) in ways.items():
        seconds, codes = timed_loader(dataset, encode)
        rows[f"{name}_patches_per_s"] = len(cells) / seconds
        rows[f"{name}_largest_difference_sd"] = float((np.abs(codes - stored) / stored.std(0)).max())
    return rows


def timed_loader(dataset, encode) -> tuple[float, np.ndarray]:
    """Run a data set through an encoder; return seconds and codes."""
    from torch.utils.data import DataLoader

    start = time.perf_counter()
    loader = DataLoader(dataset, batch_size=PLAIN_BATCH, num_workers=os.cpu_count() or 1)
    codes = np.concatenate([encode(batch.numpy()) for batch in loader])
    return time.perf_counter() - start, codes


def plain_network(args: argparse.Namespace):
    """Return the encoder's network as it was trained, as a function of normalised pictures."""
    import torch

    from napari_nic.device import choose_device
    from napari_nic.encoders.store import checked_weights, find_folder, read_spec
    from napari_nic.encoders.torch_encoder import load_trained_network

    folder, device = find_folder(args.encoder), choose_device(args.device)
    spec = read_spec(folder)
    net = load_trained_network(spec, checked_weights(folder, spec)).to(device)

    def encode(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(batch).to(device)).cpu().numpy()

    return encode


class PlainPatches:
    """One OpenSlide ``read_region`` a patch, as most pipelines do."""

    def __init__(self, slide: str, cells: np.ndarray, grid, input_size: int) -> None:
        self.slide, self.cells, self.grid, self.input_size = slide, cells, grid, input_size
        self.handle = None

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, index: int) -> np.ndarray:
        import cv2
        import openslide

        if self.handle is None:  # opened in the loader's own process
            self.handle = openslide.OpenSlide(self.slide)
        y, x = self.grid.patch_corner_px(*self.cells[index])
        side = self.grid.patch_px
        patch = self.handle.read_region((round(x), round(y)), self.grid.level, (side, side)).convert("RGB")
        size = (self.input_size, self.input_size)
        return cv2.resize(np.asarray(patch), size, interpolation=cv2.INTER_AREA)


class NormalisedPatches:
    """The same as a network takes them: (3, s, s) float32 in [-1, 1]."""

    def __init__(self, patches: PlainPatches) -> None:
        self.patches = patches

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.patches[index].transpose(2, 0, 1).astype(np.float32) / 127.5 - 1


def run_child(mode: str, slide: Path, work: Path, args: argparse.Namespace) -> dict[str, float]:
    """Measure in a fresh process, so that one measurement's memory and caches do not help the next."""
    command = [sys.executable, __file__, "--child", mode, "--slide", str(slide), "--work", str(work)]
    command += ["--encoder", args.encoder, "--device", args.device, "--precision", args.precision]
    command += ["--plain-patches", str(args.plain_patches), "--every", str(args.every)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(slide: Path, args: argparse.Namespace) -> None:
    """Measure one slide and print a table."""
    work = Path(tempfile.mkdtemp(prefix="nic-bench-"))
    try:
        rows = run_child("memory" if args.memory else "pipeline", slide, work, args)
        if not (args.no_plain or args.memory):
            rows |= run_child("plain", slide, work, args)
            for way in ("plain", "prepared"):
                if f"{way}_patches_per_s" in rows:
                    rows[f"times_faster_than_{way}"] = rows["patches_per_s"] / rows[f"{way}_patches_per_s"]
    finally:
        shutil.rmtree(work)
    print(f"\n{slide.name}")
    for name, value in rows.items():
        print(f"  {name:<26}{value if isinstance(value, (str, int)) else format(value, '.2f')}")


def main() -> None:
    """Parse the command line; make the slides that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="*", default=[30000, 60000])
    parser.add_argument("--slide", type=Path, help="measure this slide instead of made ones")
    parser.add_argument("--source", type=Path, default=SOURCE, help="small slide whose tiles are copied")
    parser.add_argument("--encoder", default="nic-default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--no-plain", action="store_true", help="leave the plain way out")
    parser.add_argument("--plain-patches", type=int, default=0, help="a sample for the plain way; 0 is all")
    parser.add_argument("--memory", action="store_true", help="measure nothing but memory")
    parser.add_argument("--every", type=int, default=25, help="with --memory: take each n-th block")
    parser.add_argument("--child", choices=["pipeline", "plain", "memory"], help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        ways = {"pipeline": measure_pipeline, "plain": measure_plain, "memory": measure_memory}
        measure = ways[args.child]
        print(json.dumps(measure(args)))
    elif args.slide:
        report(args.slide, args)
    else:
        with tempfile.TemporaryDirectory(prefix="nic-bench-") as folder:
            for side in args.sides:
                slide = Path(folder) / f"tissue-{side}.tif"
                make_gigapixel(args.source, slide, side)
                report(slide, args)
                slide.unlink()


if __name__ == "__main__":
    main()
