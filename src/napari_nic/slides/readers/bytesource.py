"""Read bytes at an offset from several threads at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from napari_nic.errors import DamagedSlideError

_HAS_PREAD = hasattr(os, "pread")  # Windows has none


class ByteSource:
    """A file opened for reading at given offsets; no position is shared between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes from `offset`.

        Raises
        ------
        DamagedSlideError
            If the file ends before.
        """
        if _HAS_PREAD:
            data = os.pread(self._file.fileno(), size, offset)
        else:
            with self._lock:
                self._file.seek(offset)
                data = self._file.read(size)
        if len(data) != size:
            raise DamagedSlideError(
                "the file ends within a tile",
                path=self.path,
                expected=f"{size} bytes at {offset}",
                found=f"{len(data)} bytes",
                hint="the file was cut off, for instance in copying: copy it again",
            )
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()
