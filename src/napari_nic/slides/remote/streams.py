"""Open what a path names for reading, be it a file or one in the network that the path stands for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

from napari_nic.slides.remote.files import RemoteFile
from napari_nic.slides.remote.places import remote_of


class RemoteStream(io.RawIOBase):
    """A remote file with a position, for libraries that read and seek."""

    def __init__(self, file: RemoteFile) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; see :meth:`io.IOBase.seek`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the start of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # any writable buffer
        """Read as many bytes as there are and fit."""
        data = self._file.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def binary_stream(path: Path) -> BinaryIO:
    """Open a file, or what a path stands for, for reading bytes."""
    place = remote_of(path)
    if place is None:
        return path.open("rb")
    return cast(BinaryIO, io.BufferedReader(RemoteStream(place.file)))


def size_of(path: Path) -> int:
    """Bytes of a file, or of what a path stands for."""
    place = remote_of(path)
    return path.stat().st_size if place is None else place.file.size
