"""The codes on disk: shard files, read whole or in part while another process may replace them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_nic.disk import sync_files
from napari_nic.embeddings import layout
from napari_nic.embeddings.layout import SHARD
from napari_nic.embeddings.plain_shards import is_plain, read_shard
from napari_nic.embeddings.shards import ShardBuffer, ShardKey, shard_cells
from napari_nic.errors import StoreError, StoreMismatchError

if TYPE_CHECKING:
    import zarr

Area = tuple[slice, slice]
"""Rows and columns of cells."""

READ_ATTEMPTS = 20
"""A shard that a writer replaces while it is read is read again, at most so often."""

_UNDECODABLE = (ValueError, RuntimeError, KeyError, TypeError, OSError, ExceptionGroup)
"""What zarr and its codecs raise on bytes that are not what they should be; newer ones in groups of tasks."""


class StoredCodes:
    """Array `embeddings` of a store.

    Parameters
    ----------
    path : Path
        The store.
    group : zarr.Group
        Its root, opened.
    shape : (int, int, int)
        (rows, cols, C) as the header promises.
    """

    def __init__(self, path: Path, group: zarr.Group, shape: tuple[int, int, int]) -> None:
        self._path = path
        self._group = group
        self._shape = shape
        self._array = layout.get_array(group, "embeddings", shape, path)
        self._is_plain = is_plain(self._array)
        self._folder = path.stat().st_ino

    def read_into(
        self, codes: np.ndarray, key: ShardKey, area: Area, wanted: np.ndarray, *, elsewhere: bool = False
    ) -> None:
        """Read a shard, if it holds `wanted` cells of an area.

        Parameters
        ----------
        codes : ndarray of float16, (len(rows), len(cols), C)
            Of the area; the part that lies in the shard is filled in.
        key : (int, int)
            Of the shard.
        area : (slice, slice)
            Bounded rows and columns of the grid.
        wanted : ndarray of bool, (rows, cols) of the grid
        elsewhere : bool
            The shard need not be on disk yet.
        """
        shard_rows, shard_cols = shard_cells(key, self._shape[:2])
        rows, cols = _common(area[0], shard_rows), _common(area[1], shard_cols)
        if not wanted[rows, cols].any():
            return
        if self._file(key).is_file():
            part = codes[_shifted(rows, area[0].start), _shifted(cols, area[1].start)]
            self.read_shard(key, rows, cols, part)
        elif not elsewhere:
            raise layout.damaged(self._path, f"{self.name_of(key)} is missing")

    def read_shard(
        self, key: ShardKey, rows: slice, cols: slice, codes: np.ndarray | None = None
    ) -> np.ndarray:
        """Read cells of one shard, into an array that is there or a new one.

        zarr reads a part of a shard in several steps. When another process replaces the file in between,
        the parts do not fit together: this is seen by the file's identity, and it is read again.
        """
        file = self._file(key)
        if codes is None:
            codes = np.empty((rows.stop - rows.start, cols.stop - cols.start, self._shape[2]), np.float16)
        for _ in range(READ_ATTEMPTS):
            before = self._identity_of(file)
            if before.size == 0:  # zarr takes an empty file for a missing one, which stands for zeros
                raise layout.damaged(self._path, f"{self.name_of(key)} is empty")
            try:
                self._read_cells(key, rows, cols, codes)
            except _UNDECODABLE as error:
                if self._identity_of(file) == before:
                    found = f"{self.name_of(key)}: {type(error).__name__}: {error}"
                    raise layout.damaged(self._path, found) from error
                continue
            if self._identity_of(file) == before:
                return codes
        raise StoreError(
            "the store is being rewritten too fast to be read",
            path=self._path,
            hint="wait for the other run to end",
        )

    def _read_cells(self, key: ShardKey, rows: slice, cols: slice, codes: np.ndarray) -> None:
        if self._is_plain:
            inside = _shifted(rows, key[0] * SHARD), _shifted(cols, key[1] * SHARD)
            read_shard(self._file(key), *inside, codes)
        else:
            codes[...] = self._array[rows, cols]

    def write(self, buffers: Mapping[ShardKey, ShardBuffer]) -> None:
        """Replace shard files, and return when they are on the disk."""
        array = layout.writable_array(self._group, "embeddings", self._shape, self._path)
        for buffer in buffers.values():
            array[buffer.rows, buffer.cols] = buffer.codes
        sync_files(self._file(key) for key in buffers)

    def _file(self, key: ShardKey) -> Path:
        return self._path / self.name_of(key)

    def _identity_of(self, file: Path) -> _FileIdentity:
        try:
            status, folder = file.stat(), self._path.stat().st_ino
        except FileNotFoundError:
            status, folder = None, None
        # Another store under the same name has codes of its own, maybe of another encoder.
        if status is None or folder != self._folder:
            raise StoreMismatchError(
                "the store was replaced or removed while it was open", path=self._path, hint="open it again"
            )
        return _FileIdentity(status.st_ino, status.st_mtime_ns, status.st_size)

    @staticmethod
    def name_of(key: ShardKey) -> Path:
        """Return the file of a shard within the store."""
        return Path("embeddings", "c", str(key[0]), str(key[1]), "0")


def _common(first: slice, second: slice) -> slice:
    return slice(max(first.start, second.start), min(first.stop, second.stop))


def _shifted(part: slice, origin: int) -> slice:
    return slice(part.start - origin, part.stop - origin)


class _FileIdentity(NamedTuple):
    """Tells one version of a file from the next: a replaced file has another inode or time."""

    inode: int
    modified_ns: int
    size: int
