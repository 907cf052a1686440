"""A file on a server, read at any place from several threads; blocks that were read are kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future

from napari_nic.errors import RemoteError
from napari_nic.slides.remote.servers import Server, Version, changed

BLOCK_BYTES = 128 * 2**10
"""What is asked for at least: a tile or two, and all that a directory of tags needs."""

CACHED_BYTES = 128 * 2**20
"""Of one file, kept in memory; what was used longest ago goes first."""

MOST_BLOCKS = 32
"""Neighbouring blocks that are asked for in one request (4 MiB)."""


class RemoteFile:
    """A file on a server, of the version that it had when it was opened.

    Parameters
    ----------
    server : Server

    Attributes
    ----------
    version : Version

    Raises
    ------
    SlideNotFoundError, UnreadableSlideError, RemoteError
        If the server does not have it, or does not give it.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.version: Version = server.version()
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """As it may be shown."""
        return self.server.address

    @property
    def size(self) -> int:
        """Bytes."""
        return self.version.size

    @property
    def is_read_in_parts(self) -> bool:
        """Whether ranges can be read, and a change between two of them would be noticed."""
        return self.version.has_ranges and self.version.is_told

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset`, fewer at the end of the file.

        Raises
        ------
        RemoteError
            If the server does not give them, or the file changed since it was opened.
        """
        stop = min(self.size, offset + size)
        if offset >= stop:
            return b""
        first, last = offset // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
        blocks = b"".join(self._wanted(first, last))
        return blocks[offset - first * BLOCK_BYTES : stop - first * BLOCK_BYTES]

    def check(self) -> None:
        """Raise :class:`RemoteError` if the server has another version by now."""
        if self.server.version().name != self.version.name:
            raise changed(self.address)

    def _wanted(self, first: int, last: int) -> list[bytes]:
        """Return blocks, each asked for once however many threads want it."""
        with self._lock:
            mine = [number for number in range(first, last + 1) if number not in self._blocks]
            for number in mine:
                self._blocks[number] = Future()
            futures = [self._blocks[number] for number in range(first, last + 1)]
            for number in range(first, last + 1):
                self._blocks.move_to_end(number)
        for start, stop in _runs(mine):
            self._fetch(start, stop)
        found = [future.result() for future in futures]
        self._drop_old()
        return found

    def _fetch(self, first: int, stop: int) -> None:
        """Ask for neighbouring blocks; a failure is everybody's who waits for them, and is not kept."""
        at = first * BLOCK_BYTES
        try:
            data = self.server.read(at, min(self.size, stop * BLOCK_BYTES), self.version)
        except BaseException as error:
            with self._lock:
                waiting = [self._blocks.pop(number) for number in range(first, stop)]
            for future in waiting:
                future.set_exception(_for_others(error, self.address))
            raise
        for number in range(first, stop):
            start = number * BLOCK_BYTES - at
            self._blocks[number].set_result(data[start : start + BLOCK_BYTES])

    def _drop_old(self) -> None:
        with self._lock:
            while len(self._blocks) * BLOCK_BYTES > CACHED_BYTES:
                number, future = next(iter(self._blocks.items()))
                if not future.done():
                    return  # somebody is about to use it
                del self._blocks[number]


def _for_others(error: BaseException, address: str) -> BaseException:
    """An interruption is that of one thread; the others only lack what it did not bring."""
    if isinstance(error, Exception):
        return error
    return RemoteError(f"{address}: the request was broken off")


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Group sorted numbers into runs (first, stop) of neighbours, none longer than one request."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number and number - runs[-1][0] < MOST_BLOCKS:
            runs[-1] = (runs[-1][0], number + 1)
        else:
            runs.append((number, number + 1))
    return runs
