"""The pipeline: tissue tiles -> windows -> patches -> codes -> store.

::

    WorkOrder --take--> worker threads (one per core)                      generator (caller's thread)
                          tiles: decoded once, shared through TilePool       store.write_block
                          window -> patches (area averaged)        queue     yield BlocksDone
                          codes (CPU: in the worker, one            ----->   ...
                          thread each; GPU: one feeding thread)              store.flush at the end

On a CPU each worker takes a block from its tiles to its codes with single-threaded kernels: no core ever
waits for another, so decoding and encoding fill the machine whatever their proportion. On a GPU the workers
only prepare patches, and put them into the batches that :mod:`napari_nic.pipeline.batches` laid down; one
thread feeds these to the device, in their order, while the next ones are filled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from napari_nic.embeddings import COMPLETE, CompressedSlide
from napari_nic.encoders import Encoder
from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline.batches import Work
from napari_nic.pipeline.plan import Block, WorkOrder, blocks_within, pending_blocks
from napari_nic.pipeline.progress import BlocksDone, RateMeter
from napari_nic.pipeline.reading import BlockReader
from napari_nic.pipeline.workers import Job, step_back, thread_targets
from napari_nic.slides import Slide
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted, was_were

FLUSH_SECONDS = 5.0
"""Unfinished shards are written this often, so that a killed run loses at most so much work."""

TILES_NAMED = 5
"""Damaged tiles that the error names, of however many there are."""

BLOCKS_WAITING = 8
"""Blocks that may be prepared or encoded ahead, besides one in each worker's hands."""


def iter_compress(
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
        Opened for writing; see :func:`napari_nic.pipeline.prepare_store`.
    first : RegionPx, optional
        Level-0 pixels that are encoded first, from the centre outwards; in a viewer, what is visible.
    only_first : bool
        Stop after the blocks that touch `first`. On a device the batches that hold these are encoded whole,
        and what else they complete is stored too.
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
    StoreBusyError
        If another run is writing the store.
    DamagedSlideError
        At the end, if tiles could not be read: all cells that do not touch them are stored, the store is not
        complete, and the next run tries the others again. At once, if the slide's files change.
    NicError
        What reading, encoding or storing raised; what was finished before is stored.

    Notes
    -----
    Closing the generator early stops the threads and stores what is finished.

    Which patches share a batch, and where in it they stand, follows from grid, coverage and the encoder's
    batch size alone: on one machine the codes are the same to the bit, whatever came first, in one run or in
    several. One case is left out: where a device runs out of memory, batches are halved from then on, also in
    later runs of the process, and codes then differ by rounding.
    """
    store.check_slide(slide)
    store.check_encoder(encoder.spec)
    if not _wanted_blocks(store, first, only_first=only_first) and not _lacks_its_end(store):
        yield BlocksDone(0, 0, "compressing")
        return
    wish = _Wish(first, only_first, max(1, workers or usable_cores()), background)
    with store.writing():
        yield from _compress(slide, encoder, store, wish, CancellationToken(token))


@dataclass(frozen=True)
class _Wish:
    """What the caller of :func:`iter_compress` asks for."""

    first: RegionPx | None
    only_first: bool
    workers: int
    background: bool


def _lacks_its_end(store: CompressedSlide) -> bool:
    """Whether all is encoded and only the status was not set: a run was killed in between."""
    return store.is_complete and store.status != COMPLETE


def _compress(
    slide: Slide, encoder: Encoder, store: CompressedSlide, wish: _Wish, token: CancellationToken
) -> Iterator[BlocksDone]:
    """Encode and store, as the one run that writes."""
    work = _work(encoder, store, wish)
    job = Job(
        slide,
        encoder,
        store,
        work,
        WorkOrder(work.read, store.grid, wish.first, together=work.together),
        BlockReader(slide, store.grid, work.cells(store.coverage), work.read, encoder.spec.input_size),
        token,
        # With less than the blocks of one batch it would never be filled; with twice as many, one is filled
        # while another is encoded.
        threading.Semaphore(wish.workers + max(BLOCKS_WAITING, 2 * work.span)),
    )
    total = sum(int(store.coverage[block.cells(store.grid)].sum()) for block in work.stored)
    yield BlocksDone(0, total, "compressing")
    if work.stored:
        yield from _run(job, total, wish.workers, background=wish.background)
    slide.check_unchanged(read=True)
    _tell_of_gaps(job)
    if job.reader.damaged:
        raise _damaged(job, int(store.failed.sum()))
    if store.is_complete:
        store.finish()


def _work(encoder: Encoder, store: CompressedSlide, wish: _Wish) -> Work:
    wanted = _wanted_blocks(store, wish.first, only_first=wish.only_first)
    if encoder.device == "cpu":
        return Work.by_block(wanted)
    pending = pending_blocks(~store.pending(), store.coverage)
    return Work.by_batch(wanted, pending, store.coverage, encoder.batch_size)


def _tell_of_gaps(job: Job) -> None:
    """Tell of tissue, seen on a coarser level, where the level that is read holds nothing."""
    count = job.reader.n_empty
    if count and job.store.header.tissue.get("min_fraction"):
        patches = counted(count, "patch of tissue lies", "patches of tissue lie")
        text = (
            f"{patches} where level {job.store.grid.level} of the slide holds no pixels, "
            f"and {was_were(count)} encoded as background: the file may be incomplete"
        )
        tell(Notices(job.slide.path.name, (text,)))


def _damaged(job: Job, cells: int) -> DamagedSlideError:
    """Name the tiles that could not be read, now that all else is stored."""
    tiles = job.reader.damaged
    first = ", ".join(f"({row}, {col})" for row, col in list(tiles)[:TILES_NAMED])
    more = f" and {len(tiles) - TILES_NAMED:,} more" if len(tiles) > TILES_NAMED else ""
    reason = next(iter(tiles.values()))
    return DamagedSlideError(
        f"{len(tiles):,} tiles cannot be read; the {cells:,} cells that touch them are not encoded",
        path=job.slide.path,
        found=f"(row, column) of level {job.store.grid.level}: {first}{more}; the first: {reason.problem}",
        hint="all other cells are stored and can be used; with the file mended, or copied anew from where it "
        "is whole, the same command tries these cells again",
    )


def _wanted_blocks(store: CompressedSlide, first: RegionPx | None, *, only_first: bool) -> list[Block]:
    """List the blocks that the store lacks, or of these the ones that touch `first`."""
    blocks = pending_blocks(~store.pending(), store.coverage)
    if only_first and first is not None:
        inside = blocks_within(store.grid, first)
        blocks = [block for block in blocks if block in inside]
    return blocks


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run(job: Job, total: int, workers: int, *, background: bool) -> Iterator[BlocksDone]:
    """Start the threads, store and yield what they finish, and take them down whatever happens."""
    targets = thread_targets(job, workers)
    initializer = step_back if background else None
    with ThreadPoolExecutor(len(targets), "nic-worker", initializer) as executor:
        for target in targets:
            executor.submit(target).add_done_callback(job.results.put)
        try:
            yield from _store_results(job, total, running=len(targets))
        finally:
            job.token.cancel()
            job.room.release(len(targets))
            executor.shutdown(wait=True)
            job.store.flush()


def _store_results(job: Job, total: int, *, running: int) -> Iterator[BlocksDone]:
    """Store what the threads finish, until all of them have ended; raise what ended one."""
    meter, done, failed, flushed = RateMeter(), 0, 0, time.monotonic()
    while running:
        result = job.results.get()
        if isinstance(result, Future):
            result.result()
            running -= 1
            continue
        job.room.release()
        job.slide.check_unchanged()  # before it is stored: what was decoded by now is of the old bytes
        job.store.write_block(result.block.row, result.block.col, result.codes, result.failed)
        finished = int(job.store.coverage[result.rows, result.cols].sum())
        done += finished
        failed += int(result.failed.sum())
        if time.monotonic() - flushed > FLUSH_SECONDS:
            job.slide.check_unchanged(read=True)
            job.store.flush()
            flushed = time.monotonic()
        yield BlocksDone(
            done, total, "compressing", blocks=(result,), rate=meter.add(finished), failed=failed
        )
