"""The threads of this room: they write shards while others are filled, and sum up the files that are read."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np

from napari_nic.disk import sync_files
from napari_nic.embeddings import layout
from napari_nic.embeddings.layout import BLOCK, BLOCKS_PER_SHARD, SHARD
from napari_nic.embeddings.plain_shards import NewShard, is_plain
from napari_nic.embeddings.shards import ShardBuffer, ShardKey, shard_blocks, shard_of
from napari_nic.embeddings.stored import StoredCodes
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken

A = TypeVar("A")
B = TypeVar("B")

Version = tuple[int, int, int]
"""Inode, time of the last change in ns, size: another one is another content."""


def in_threads(work: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Yield ``work(item)`` of each item in their order, several at a time; what is told is heard as without.

    When the caller stops, what was not begun is not done, and what was is waited for.
    """
    if workers <= 1 or len(items) <= 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(min(workers, len(items)), "imports")
    try:
        futures = deque(pool.submit(copy_context().run, work, item) for item in items)
        while futures:
            yield futures.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def one_ahead(work: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
    """Yield ``work(item)`` of each item in their order; a thread works on the next while one is used.

    It does no more than that: of each item but two the caller is through with what it was given.
    """
    begun: _Begun[B] | None = None
    try:
        for item in items:
            waited, begun = begun, None
            found = None if waited is None else (waited.result(),)
            begun = _Begun(work, item)
            if found is not None:
                yield found[0]
        if begun is not None:
            yield begun.result()
    finally:
        if begun is not None:
            begun.end()


class _Begun(Generic[B]):
    """Work in a thread that ends with it: whoever asks for no result leaves none behind."""

    def __init__(self, work: Callable[[A], B], item: A) -> None:
        self._pool = ThreadPoolExecutor(1, "ahead")
        self._future = self._pool.submit(copy_context().run, work, item)
        self._pool.shutdown(wait=False)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def end(self) -> None:
        """Wait for the thread, whatever became of it."""
        self._pool.shutdown(wait=True)

    def result(self) -> B:
        """Wait for the thread, and return or raise what the work did."""
        self.end()
        return self._future.result()


class Flushing:
    """Brings a file to the disk while it is written, so that little is left to wait for at its end.

    Parameters
    ----------
    handle : int
        Of the file, which stays open until :meth:`end`.
    """

    def __init__(self, handle: int) -> None:
        self._handle, self._since = handle, 0
        self._begun: _Begun[None] | None = None

    def wrote(self, size: int) -> None:
        """Take note of bytes that were written.

        Raises
        ------
        OSError
            If what was written before did not reach the disk. The system tells that once.
        """
        self._since += size
        if self._since < _FLUSHED_BYTES or (self._begun is not None and not self._begun.done):
            return
        self.end()
        self._since, self._begun = 0, _Begun(os.fsync, self._handle)

    def end(self) -> None:
        """Wait for what is on its way; raises as :meth:`wrote`."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()


_FLUSHED_BYTES = 2**26
"""Bytes that are brought to the disk at a time."""


class FileSums:
    """SHA-256 of files, computed while they are read.

    Parameters
    ----------
    token : CancellationToken
        Asked at each slab. When the sums are not wanted any more, they end on their own.
    """

    def __init__(self, token: CancellationToken) -> None:
        self._token = CancellationToken(token)
        self._thread = ThreadPoolExecutor(1, "sums")
        self._sums: dict[Path, Future[tuple[str, Version]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._token.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def start(self, file: Path) -> None:
        """Begin to sum up a file, unless that was begun before."""
        if file not in self._sums:
            self._sums[file] = self._thread.submit(self._sum, file)

    def result(self, file: Path) -> tuple[str, Version]:
        """Wait for the sum of a file.

        Returns
        -------
        str
            Hexadecimal.
        tuple
            Version of the file when its sum was begun.

        Raises
        ------
        StoreError
            If it cannot be read.
        CancelledError
        """
        self.start(file)
        try:
            return self._sums[file].result()
        except OSError as error:
            raise StoreError("the file cannot be read", path=file, found=str(error)) from error

    def _sum(self, file: Path) -> tuple[str, Version]:
        digest, slab = hashlib.sha256(), bytearray(_SUMMED_BYTES)
        with file.open("rb", buffering=0) as stream:
            version = version_of(os.fstat(stream.fileno()))
            while size := stream.readinto(slab):
                self._token.checkpoint()
                digest.update(memoryview(slab)[:size])
        return digest.hexdigest(), version


_SUMMED_BYTES = 2**20
"""Bytes that are summed up at a time: so few stay in the processor's cache."""


def version_of(status: os.stat_result) -> Version:
    """Return what tells one content of a file from the next."""
    return status.st_ino, status.st_mtime_ns, status.st_size


class ShardWriter:
    """Writes shard files of a store that nobody else sees yet, piece by piece.

    Parameters
    ----------
    root : Path
        Of the store.
    coverage : ndarray of bool, (rows, cols)
        Cells that hold codes.
    code_size : int
    look_through : callable
        ``look_through(codes)``, of each piece before it is written, while it is in the processor's cache; by
        several threads.

    Attributes
    ----------
    side : int
        Of a piece, in cells: a block, or a shard where its blocks are packed together.
    """

    def __init__(
        self,
        root: Path,
        coverage: np.ndarray,
        code_size: int,
        look_through: Callable[[np.ndarray], None],
    ) -> None:
        group, shape = layout.open_group(root, writable=True), (*coverage.shape, code_size)
        self._root, self._shape, self._look_through = root, shape, look_through
        self._stored = StoredCodes(root, group, shape)
        is_whole = is_plain(layout.get_array(group, "embeddings", shape, root))
        self.side = BLOCK if is_whole else SHARD
        self._work = self._write_block if is_whole else self._write_shard
        self._blocks = layout.blocks_with_cells(coverage)
        self._shards: dict[ShardKey, NewShard] = {}
        # All pieces of a shard are one thread's.
        self._threads = [ThreadPoolExecutor(1, "shards") for _ in range(_WRITING)]
        self._syncing = ThreadPoolExecutor(_SYNCING, "syncing")
        self._synced: list[Future[None]] = []
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (*self._threads, self._syncing):
            pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            while self.waiting:
                self.written()
            for synced in self._synced:
                synced.result()

    @property
    def waiting(self) -> int:
        """Number of pieces that were not taken back by :meth:`written` yet."""
        return len(self._waiting)

    def write(self, at: tuple[int, int], codes: np.ndarray, number: int) -> None:
        """Write a piece.

        Parameters
        ----------
        at : (int, int)
            Row and column of the piece among pieces.
        codes : ndarray of float16, (side * side, C)
            Row by row, 0 where nothing is encoded; must stay as it is until it is taken back.
        number : int
            Its name for :meth:`written`.
        """
        shard = shard_of(*at)[1] if self.side == BLOCK else 0  # packed ones share what packs them
        thread = self._threads[shard % _WRITING]
        self._waiting.append((number, thread.submit(self._looked_through, at, codes)))

    def written(self) -> int:
        """Wait until the first piece that waits is written, and return its number.

        Raises
        ------
        OSError
            If it could not be written.
        """
        number, future = self._waiting.popleft()
        future.result()
        return number

    def _looked_through(self, at: tuple[int, int], codes: np.ndarray) -> None:
        self._look_through(codes)
        self._work(at, codes)

    def _write_block(self, at: tuple[int, int], codes: np.ndarray) -> None:
        key, inside = shard_of(*at), (at[0] % BLOCKS_PER_SHARD, at[1] % BLOCKS_PER_SHARD)
        if key not in self._shards:
            self._shards[key] = self._new_shard(key)
        if self._shards[key].write(inside, codes):
            # On its way to the disk while others are filled.
            self._synced.append(self._syncing.submit(sync_files, [self._shards.pop(key).file]))

    def _new_shard(self, key: ShardKey) -> NewShard:
        file = self._root / self._stored.name_of(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        present = np.zeros((BLOCKS_PER_SHARD, BLOCKS_PER_SHARD), bool)
        here = self._blocks[shard_blocks(key)]
        present[: here.shape[0], : here.shape[1]] = here
        return NewShard(file, present, self._shape[2])

    def _write_shard(self, key: ShardKey, codes: np.ndarray) -> None:
        buffer = ShardBuffer.empty(key, self._shape[:2], self._shape[2])
        rows, cols = buffer.codes.shape[:2]
        buffer.codes[...] = codes.reshape(SHARD, SHARD, -1)[:rows, :cols]
        self._stored.write({key: buffer})


def sync_all(folder: Path) -> None:
    """Bring all files below a folder to the disk, several at once: the system then keeps its books once."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    with ThreadPoolExecutor(_SYNCING, "syncing") as pool:
        for _ in pool.map(sync_files, ([file] for file in files)):
            pass


_WRITING, _SYNCING = 2, 8
