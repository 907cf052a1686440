"""The pipeline: tissue tiles -> windows -> patches -> codes -> store.

::

    WorkOrder --take--> worker threads (one per core)                      generator (caller's thread)
                          tiles: decoded once, shared through TilePool       store.write_block
                          window -> patches (area averaged)        queue     yield BlocksDone
                          codes (CPU: in the worker, one            ----->   ...
                          thread each; GPU: one batching thread)             store.flush at the end

On a CPU each worker takes a block from its tiles to its codes with single-threaded kernels: no core ever
waits for another, so decoding and encoding fill the machine whatever their proportion. On a GPU the workers
only prepare patches and one thread feeds the device with full batches made of several blocks.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from napari_nic.compress.cutting import compose_window, cut_patches
from napari_nic.compress.plan import Block, WorkOrder, blocks_within, count_tile_uses, pending_blocks, strips
from napari_nic.compress.tiles import TilePool
from napari_nic.compressed import CompressedSlide
from napari_nic.encoders import Encoder
from napari_nic.errors import CancelledError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slides import Slide

FLUSH_SECONDS = 5.0
"""Unfinished shards are written this often, so that a killed run loses at most so much work."""

BLOCKS_WAITING = 8
"""Blocks that may be prepared or encoded ahead, besides one in each worker's hands."""

LOWEST_PRIORITY = 19

RATE_SECONDS = 5.0
"""The rate shown is the mean over this last time."""

CPU_BATCH_STEP = 4
"""On a CPU the last batch of a block is padded to a multiple of this, not to a whole batch."""

DEVICE_BATCH_STEP = 256
"""The same on a GPU, where a small batch costs as much as a larger one."""


@dataclass(frozen=True)
class BlockCodes:
    """One finished block.

    Attributes
    ----------
    rows, cols : slice
        Its cells.
    codes : ndarray of float16, (rows, cols, C)
        Zero where a cell is not covered.
    """

    block: Block
    rows: slice
    cols: slice
    codes: np.ndarray


@dataclass(frozen=True)
class BlocksDone(Progress):
    """Progress of a compression, with the codes that have just been stored.

    Attributes
    ----------
    blocks : tuple of BlockCodes
    rate : float
        Patches per second over the last seconds; 0 before the first block.
    """

    unit: str = "patches"
    blocks: tuple[BlockCodes, ...] = ()
    rate: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time to the end; None while no rate is known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


@dataclass
class _Prepared:
    """A block's patches on their way to the encoder."""

    block: Block
    covered: np.ndarray
    patches: np.ndarray


@dataclass
class _Job:
    """What the worker threads of one run share.

    `room` bounds the blocks in flight: a worker acquires it before it takes a block, the generator releases
    it when the block is stored. So memory does not grow when storing, or the viewer, is slow.
    """

    slide: Slide
    encoder: Encoder
    store: CompressedSlide
    order: WorkOrder
    pool: TilePool
    token: CancellationToken
    room: threading.Semaphore
    stop: threading.Event = field(default_factory=threading.Event)
    results: queue.SimpleQueue[BlockCodes | Future[None]] = field(default_factory=queue.SimpleQueue)

    def checkpoint(self) -> None:
        """Wait while paused; raise when the user cancelled or the run is being taken down."""
        self.token.checkpoint()
        if self.stop.is_set():
            raise CancelledError("the run was stopped")


def compress(
    slide: Slide,
    encoder: Encoder,
    store: CompressedSlide,
    *,
    first: RegionPx | None = None,
    only_first: bool = False,
    token: CancellationToken | None = None,
    workers: int | None = None,
    background: bool = False,
) -> Iterator[BlocksDone]:
    """Encode what a store still lacks.

    Parameters
    ----------
    slide : Slide
    encoder : Encoder
    store : CompressedSlide
        Opened for writing; see :func:`napari_nic.compress.prepare_store`.
    first : RegionPx, optional
        Level-0 pixels that are encoded first, from the centre outwards; in a viewer, what is visible.
    only_first : bool
        Stop after the blocks that touch `first`.
    token : CancellationToken, optional
        To pause and cancel from another thread.
    workers : int, optional
        Threads; by default one per core that this process may use.
    background : bool
        Let the operating system prefer every other thread, such as the one that draws the window, to the
        workers (Linux only; elsewhere it changes nothing).

    Yields
    ------
    BlocksDone
        After every block that was stored; first one with no block, which tells the total.

    Raises
    ------
    CancelledError
        If `token` was cancelled; what was finished is stored.
    StoreMismatchError
        If the store belongs to another slide or encoder.
    NicError
        What reading, encoding or storing raised; what was finished before is stored.

    Notes
    -----
    Closing the generator early stops the threads and stores what is finished.
    """
    store.check_slide(slide)
    store.check_encoder(encoder.spec)
    blocks = pending_blocks(store.done, store.coverage)
    if only_first and first is not None:
        inside = blocks_within(store.grid, first)
        blocks = [block for block in blocks if block in inside]
    workers = max(1, workers or usable_cores())
    order = WorkOrder(blocks, store.grid, first)
    pool = _make_pool(slide, store, blocks)
    room = threading.Semaphore(workers + BLOCKS_WAITING)
    job = _Job(slide, encoder, store, order, pool, token or CancellationToken(), room)
    total = _count_cells(blocks, store)
    yield BlocksDone(0, total, "compressing")
    if blocks:
        yield from _run(job, total, workers, background=background)
    if store.is_complete:
        store.finish()


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _make_pool(slide: Slide, store: CompressedSlide, blocks: list[Block]) -> TilePool:
    grid = store.grid
    level = slide.levels[grid.level]
    uses = count_tile_uses(blocks, grid, store.coverage, tile=level.tile, level_shape=level.shape)
    return TilePool(lambda row, col: slide.read_tile(grid.level, row, col), uses)


def _count_cells(blocks: list[Block], store: CompressedSlide) -> int:
    return sum(int(store.coverage[block.cells(store.grid)].sum()) for block in blocks)


def _run(job: _Job, total: int, workers: int, *, background: bool) -> Iterator[BlocksDone]:
    """Start the threads, store and yield what they finish, and take them down whatever happens."""
    targets = _targets(job, workers)
    running = len(targets)
    meter = _RateMeter()
    done, flushed = 0, time.monotonic()
    step_back = _step_back if background else None
    with ThreadPoolExecutor(running, thread_name_prefix="nic-worker", initializer=step_back) as executor:
        for target in targets:
            executor.submit(target).add_done_callback(job.results.put)
        try:
            while running:
                result = job.results.get()
                if isinstance(result, Future):
                    result.result()  # raises what ended the thread, if anything did
                    running -= 1
                    continue
                job.room.release()
                job.store.write_block(result.block.row, result.block.col, result.codes)
                finished = int(job.store.coverage[result.rows, result.cols].sum())
                done += finished
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    job.store.flush()
                    flushed = time.monotonic()
                yield BlocksDone(done, total, "compressing", blocks=(result,), rate=meter.add(finished))
        finally:
            job.stop.set()
            job.room.release(len(targets))
            executor.shutdown(wait=True)
            job.store.flush()


def _step_back() -> None:
    """Give the calling thread the lowest priority. Linux takes a thread for what POSIX calls a process."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def _targets(job: _Job, workers: int) -> list[Callable[[], None]]:
    """List what the threads of this run do, one entry a thread."""
    if job.encoder.device == "cpu":
        return [partial(_encode_blocks, job)] * workers
    ready: queue.Queue[_Prepared | None] = queue.Queue()
    return [*[partial(_prepare_blocks, job, ready)] * workers, partial(_feed_device, job, ready, workers)]


def _encode_blocks(job: _Job) -> None:
    """Worker on a CPU: a block from its tiles to its codes."""
    job.encoder.prepare_thread()
    for prepared in _prepared_blocks(job):
        _deliver(job, prepared, encode_padded(job.encoder, prepared.patches, step=CPU_BATCH_STEP))


def _prepare_blocks(job: _Job, ready: queue.Queue[_Prepared | None]) -> None:
    """Worker beside a GPU: a block from its tiles to its patches."""
    try:
        for prepared in _prepared_blocks(job):
            ready.put(prepared)
    finally:
        ready.put(None)


def _feed_device(job: _Job, ready: queue.Queue[_Prepared | None], producers: int) -> None:
    """Join the patches of several blocks to full batches, or to what there is when the device would idle."""
    gathered: list[_Prepared] = []
    while producers or gathered:
        if gathered and (ready.empty() or _patches_in(gathered) >= job.encoder.batch_size):
            job.checkpoint()
            _encode_gathered(job, gathered)
            gathered = []
            continue
        prepared = ready.get()
        if prepared is None:
            producers -= 1
        else:
            gathered.append(prepared)


def _patches_in(gathered: list[_Prepared]) -> int:
    return sum(len(prepared.patches) for prepared in gathered)


def _encode_gathered(job: _Job, gathered: list[_Prepared]) -> None:
    patches = np.concatenate([prepared.patches for prepared in gathered])
    codes = encode_padded(job.encoder, patches, step=min(DEVICE_BATCH_STEP, job.encoder.batch_size))
    start = 0
    for prepared in gathered:
        stop = start + len(prepared.patches)
        _deliver(job, prepared, codes[start:stop])
        start = stop


def _prepared_blocks(job: _Job) -> Iterator[_Prepared]:
    """Take blocks until none is left; decode, average and cut their patches."""
    grid, coverage = job.store.grid, job.store.coverage
    level = job.slide.levels[grid.level]
    while True:
        job.room.acquire()
        job.checkpoint()
        block = job.order.take()
        if block is None:
            return
        pieces = []
        for strip in strips(block, grid, coverage):
            job.checkpoint()
            tiles = list(strip.tiles(level.tile, level.shape))
            window = compose_window(
                strip.region,
                tiles,
                job.pool.get,
                tile=level.tile,
                level=level.region,
                background=job.slide.background,
            )
            covered = coverage[strip.rows, strip.cols]
            pieces.append(cut_patches(window, covered, grid, job.encoder.spec.input_size))
        yield _Prepared(block, coverage[block.cells(grid)], np.concatenate(pieces))


def encode_padded(encoder: Encoder, patches: np.ndarray, *, step: int) -> np.ndarray:
    """Encode any number of patches in batches of fixed shapes.

    The last batch is padded with zeros to a multiple of `step`, so that the kernels see few shapes and a
    patch's code does not depend on how many came with it.

    Parameters
    ----------
    patches : ndarray of uint8, (n, h, w, 3)
    step : int
        At most the encoder's batch size.

    Returns
    -------
    ndarray of float32, (n, C)
    """
    codes = np.empty((len(patches), encoder.spec.code_size), np.float32)
    start = 0
    while start < len(patches):
        batch = patches[start : start + encoder.batch_size]
        missing = -len(batch) % step
        if missing:
            padding = np.zeros((missing, *batch.shape[1:]), np.uint8)
            codes[start : start + len(batch)] = encoder.encode(np.concatenate([batch, padding]))[: len(batch)]
        else:
            codes[start : start + len(batch)] = encoder.encode(batch)
        start += len(batch)
    return codes


def _deliver(job: _Job, prepared: _Prepared, codes: np.ndarray) -> None:
    """Hand a block's codes to the generator."""
    rows, cols = prepared.block.cells(job.store.grid)
    array = np.zeros((*prepared.covered.shape, codes.shape[1]), np.float32)
    array[prepared.covered] = codes
    with np.errstate(over="ignore"):  # a code beyond float16 becomes infinite, which the store refuses
        stored = array.astype(np.float16)
    job.results.put(BlockCodes(prepared.block, rows, cols, stored))


class _RateMeter:
    """Patches per second over the last seconds."""

    def __init__(self) -> None:
        self._events = [(time.monotonic(), 0)]

    def add(self, count: int) -> float:
        now = time.monotonic()
        self._events.append((now, count))
        while len(self._events) > 2 and self._events[1][0] < now - RATE_SECONDS:
            self._events.pop(0)
        elapsed = now - self._events[0][0]
        return sum(n for _, n in self._events[1:]) / elapsed if elapsed > 0 else 0.0
