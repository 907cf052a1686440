"""Read bytes at an offset from several threads at once."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

from napari_nic.errors import DamagedSlideError
from napari_nic.slides.remote import remote_of

_HAS_PREAD = hasattr(os, "pread")  # Windows has none


class ByteSource:
    """A file, or one in the network, opened for reading at given offsets; threads share no position.

    Closed by :meth:`close`, or when nobody holds it any more: a viewer drops its layers without a word.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        place = remote_of(path)
        self._remote = None if place is None else place.file
        if self._remote is not None:
            self._size = self._remote.size
            return
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._close = weakref.finalize(self, os.close, self._descriptor)
        self._lock = threading.Lock()
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        return self._size

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset`.

        Raises
        ------
        DamagedSlideError
            If the file ends before.
        """
        data = self._read(offset, size)
        if len(data) != size:
            raise DamagedSlideError(
                "the file ends within a tile",
                path=self.path,
                expected=f"{size} bytes at {offset}",
                found=f"{len(data)} bytes",
                hint="the file was cut off, for instance in copying: copy it again",
            )
        return data

    def _read(self, offset: int, size: int) -> bytes:
        if self._remote is not None:
            return self._remote.read(offset, size)
        if _HAS_PREAD:
            return os.pread(self._descriptor, size, offset)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._remote is None:
            self._close()
