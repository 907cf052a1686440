"""NumPy's files of other programs: arrays in bounded memory, and never an object that was pickled."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from napari_nic.disk import check_regular
from napari_nic.embeddings.interchange.hdf5 import ALWAYS_BYTES, MOST_RATIO
from napari_nic.errors import StoreError

MAGIC = b"\x93NUMPY"

UNREADABLE = (
    *(ValueError, OSError, EOFError, OverflowError, MemoryError, TypeError, KeyError),
    *(SyntaxError, RecursionError, tokenize.TokenError),  # of the header, which is Python's text of a dict
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)
"""What NumPy raises over arrays, and archives of them, that are damaged or hostile."""


def is_array(path: Path) -> bool:
    """Whether a file begins as a NumPy array does."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def map_array(path: Path) -> np.ndarray:
    """Map a ``.npy`` into memory, so that a header that promises more than there is fills none.

    Raises
    ------
    StoreError
        If it is no array, or one of objects.
    """
    check_regular(path, StoreError)
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except UNREADABLE as error:
        raise StoreError("not a readable NumPy array", path=path, found=f"{error}") from error


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a ``.npz``.

    Raises
    ------
    StoreError
        If it is none, unpacks to far more than it holds, or an array in it cannot be read.
    """
    check_regular(path, StoreError)
    try:
        with zipfile.ZipFile(path) as file:
            _check_total(file, path)
            yield Archive(file, path)
    except StoreError:
        raise
    except UNREADABLE as error:
        raise StoreError("not a readable archive of NumPy arrays", path=path, found=f"{error}") from error


def _check_total(file: zipfile.ZipFile, path: Path) -> None:
    total = sum(member.file_size for member in file.infolist())
    if total > max(ALWAYS_BYTES, MOST_RATIO * path.stat().st_size):
        raise StoreError(
            "an archive that unpacks to far more than it holds",
            path=path,
            expected=f"at most {MOST_RATIO} times its size",
            found=f"{total:,} bytes",
        )


class Archive:
    """Arrays by name in a ``.npz`` that is open; made by :func:`open_archive`."""

    def __init__(self, file: zipfile.ZipFile, path: Path) -> None:
        self._file, self._path = file, path

    @property
    def names(self) -> frozenset[str]:
        """Of the arrays."""
        return frozenset(name.removesuffix(".npy") for name in self._file.namelist())

    def rows(self, name: str) -> MemberRows:
        """Rows of a numerical array, read slab by slab while the archive is open."""
        if name not in self.names:
            raise StoreError(
                f"the archive holds no array {name!r}", path=self._path, found=", ".join(sorted(self.names))
            )
        return MemberRows(self._file, f"{name}.npy", self._path)

    def read(self, name: str) -> np.ndarray:
        """Read a numerical array whole."""
        rows = self.rows(name)
        return rows[0 : rows.shape[0]] if rows.shape else rows.scalar()

    def text(self, name: str) -> str | None:
        """Read an array of one text; None where there is none of that name."""
        if name not in self.names:
            return None
        with self._file.open(f"{name}.npy") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
        return str(array.item()) if array.ndim == 0 and array.dtype.kind == "U" else None


class MemberRows:
    """An array of an archive whose rows are unpacked as they are asked for; best asked in rising order."""

    def __init__(self, file: zipfile.ZipFile, member: str, path: Path) -> None:
        self._file, self._member, self._path = file, member, path
        self._stream: IO[bytes] = file.open(member)
        self.shape, is_fortran, self.dtype = _header(self._stream)
        self._start = self._stream.tell()
        if self.dtype.kind not in "fiu" or (is_fortran and len(self.shape) > 1):
            raise StoreError(
                f"array {member.removesuffix('.npy')!r} is no plain table of numbers", path=path,
                found=f"{self.dtype}, by columns" if is_fortran else f"{self.dtype}",
            )  # fmt: skip
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        held = file.getinfo(member).file_size - self._start
        if held != self.dtype.itemsize * math.prod(self.shape):
            raise StoreError("an array of another size than it says", path=path, found=f"{self.shape}")

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        count = max(0, stop - start)
        self._stream.seek(self._start + start * self._row_bytes)
        content = self._stream.read(count * self._row_bytes)
        return np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])

    def scalar(self) -> np.ndarray:
        """Read an array without axes."""
        self._stream.seek(self._start)
        return np.frombuffer(self._stream.read(self.dtype.itemsize), self.dtype).reshape(())


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version} of NumPy's format")
    shape, is_fortran, dtype = read[version](stream)
    if any(side < 0 for side in shape):
        raise ValueError(f"an array of shape {shape}")
    return shape, is_fortran, dtype
