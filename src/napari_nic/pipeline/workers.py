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
from napari_nic.pipeline.plan import Block, WorkOrder
from napari_nic.pipeline.progress import BlockCodes
from napari_nic.pipeline.reading import BlockReader
from napari_nic.slides import Slide

LOWEST_PRIORITY = 19

CPU_BATCH_STEP = 4
"""On a CPU the last batch of a block is padded to a multiple of this, not to a whole batch."""

DEVICE_BATCH_STEP = 256
"""The same on a GPU, where a small batch costs as much as a larger one."""


@dataclass
class _Prepared:
    """A block's patches on their way to the encoder."""

    block: Block
    covered: np.ndarray
    patches: np.ndarray
    failed: np.ndarray


@dataclass
class Job:
    """What the worker threads of one run share.

    `room` bounds the blocks in flight: a worker acquires it before it takes a block, the generator releases
    it when the block is stored. So memory does not grow when storing, or the viewer, is slow.

    `token` is a child of the caller's: cancelling it takes the run down, and wakes threads that are paused.
    """

    slide: Slide
    encoder: Encoder
    store: CompressedSlide
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
    ready: queue.Queue[_Prepared | None] = queue.Queue()
    return [*[partial(_prepare_blocks, job, ready)] * workers, partial(_feed_device, job, ready, workers)]


def _encode_blocks(job: Job) -> None:
    """Worker on a CPU: a block from its tiles to its codes."""
    job.encoder.prepare_thread()
    for prepared in _prepared_blocks(job):
        _deliver(job, prepared, encode_padded(job.encoder, prepared.patches, step=CPU_BATCH_STEP))


def _prepare_blocks(job: Job, ready: queue.Queue[_Prepared | None]) -> None:
    """Worker beside a GPU: a block from its tiles to its patches."""
    try:
        for prepared in _prepared_blocks(job):
            ready.put(prepared)
    finally:
        ready.put(None)


def _feed_device(job: Job, ready: queue.Queue[_Prepared | None], producers: int) -> None:
    """Join the patches of several blocks to full batches, or to what there is when the device would idle."""
    gathered: list[_Prepared] = []
    while producers or gathered:
        if gathered and (ready.empty() or _patches_in(gathered) >= job.encoder.batch_size):
            job.token.checkpoint()
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


def _encode_gathered(job: Job, gathered: list[_Prepared]) -> None:
    patches = np.concatenate([prepared.patches for prepared in gathered])
    codes = encode_padded(job.encoder, patches, step=min(DEVICE_BATCH_STEP, job.encoder.batch_size))
    start = 0
    for prepared in gathered:
        stop = start + len(prepared.patches)
        _deliver(job, prepared, codes[start:stop])
        start = stop


def _prepared_blocks(job: Job) -> Iterator[_Prepared]:
    """Take blocks until none is left; decode, average and cut their patches."""
    while True:
        job.room.acquire()
        job.token.checkpoint()
        block = job.order.take()
        if block is None:
            return
        covered = job.store.coverage[block.cells(job.store.grid)]
        read = job.reader.read(block, job.token.checkpoint)
        yield _Prepared(block, covered, read.patches, read.failed)


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


def _deliver(job: Job, prepared: _Prepared, codes: np.ndarray) -> None:
    """Hand a block's codes to the generator."""
    rows, cols = prepared.block.cells(job.store.grid)
    array = np.zeros((*prepared.covered.shape, codes.shape[1]), np.float32)
    array[prepared.covered] = codes
    array[prepared.failed] = 0
    with np.errstate(over="ignore"):  # a code beyond float16 becomes infinite, which the store refuses
        stored = array.astype(np.float16)
    job.results.put(BlockCodes(prepared.block, rows, cols, stored, prepared.failed))
