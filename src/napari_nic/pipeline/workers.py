"""The threads of a compression: what each does, and what they share."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import Encoder
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline.batches import Work
from napari_nic.pipeline.feeding import BatchLine
from napari_nic.pipeline.plan import Block, WorkOrder
from napari_nic.pipeline.progress import BlockCodes
from napari_nic.pipeline.reading import BlockReader
from napari_nic.slides import Slide

LOWEST_PRIORITY = 19

CPU_BATCH_STEP = 4
"""On a CPU the last batch of a block is padded to a multiple of this, not to a whole batch."""


@dataclass
class Job:
    """What the worker threads of one run share.

    `room` bounds the blocks in flight: a worker acquires it before it takes a block, and it is released when
    the block is stored. So memory does not grow when storing, or the viewer, is slow.

    `token` is a child of the caller's: cancelling it takes the run down, and wakes threads that are paused.
    """

    slide: Slide
    encoder: Encoder
    store: CompressedSlide
    work: Work
    order: WorkOrder
    reader: BlockReader
    token: CancellationToken
    room: threading.Semaphore
    results: queue.SimpleQueue[BlockCodes | Future[None]] = field(default_factory=queue.SimpleQueue)


def step_back() -> None:
    """Give the calling thread the lowest priority. Linux takes a thread for what POSIX calls a process."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)


def thread_targets(job: Job, workers: int) -> list[Callable[[], None]]:
    """List what the threads of this run do, one entry a thread."""
    if job.encoder.device == "cpu":
        return [partial(_encode_blocks, job)] * workers
    line = BatchLine(job.work, job.order, job.encoder.spec, readers=workers)
    return [*[partial(_prepare_blocks, job, line)] * workers, partial(_feed_device, job, line)]


def _encode_blocks(job: Job) -> None:
    """Worker on a CPU: a block from its tiles to its codes."""
    job.encoder.prepare_thread()
    for block in _blocks(job, job.order.take):
        patches = job.reader.room(block)
        failed = job.reader.read(block, [patches], job.token.checkpoint)
        _deliver(job, block, encode_padded(job.encoder, patches, step=CPU_BATCH_STEP), failed)


def _prepare_blocks(job: Job, line: BatchLine) -> None:
    """Worker beside a GPU: a block from its tiles to its places in the batches."""
    stored = set(job.work.stored)
    try:
        for block in _blocks(job, line.take):
            places = line.places(block)
            line.fill(block, job.reader.read(block, places, job.token.checkpoint, stored=block in stored))
    finally:
        line.leave()


def _feed_device(job: Job, line: BatchLine) -> None:
    """Encode the batches one by one, in their order, and hand on the blocks that they complete."""
    job.encoder.prepare_thread()
    stored = set(job.work.stored)
    for batch in line:
        job.token.checkpoint()
        codes = job.encoder.encode(batch.patches)
        for done in line.spread(batch, codes):
            if done.block in stored:
                _deliver(job, done.block, done.joined(), done.failed)
            else:
                job.room.release()


def _blocks(job: Job, take: Callable[[], Block | None]) -> Iterator[Block]:
    """Take blocks until none is left, each when there is room for it."""
    while True:
        job.room.acquire()
        job.token.checkpoint()
        block = take()
        if block is None:
            return
        yield block


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


def _deliver(job: Job, block: Block, codes: np.ndarray, failed: np.ndarray) -> None:
    """Hand a block's codes to the generator."""
    rows, cols = block.cells(job.store.grid)
    covered = job.store.coverage[rows, cols]
    array = np.zeros((*covered.shape, codes.shape[1]), np.float32)
    array[covered] = codes
    array[failed] = 0
    with np.errstate(over="ignore"):  # a code beyond float16 becomes infinite, which the store refuses
        stored = array.astype(np.float16)
    job.results.put(BlockCodes(block, rows, cols, stored, failed))
