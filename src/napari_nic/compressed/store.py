"""The compressed slide: a Zarr v3 store of codes that can be read while it is written.

How the pieces stay consistent:

* A store is created under a temporary name and renamed, so one that exists has all its parts.
* Codes are gathered in memory by shard; a shard file is replaced as a whole (zarr writes a temporary file
  and renames it), first the codes, then `done`. So every block that `done` names is right, at any moment.
* A write is one transaction under a lock of the operating system: what another process finished since is
  read and merged first. Two runs on one store waste work but lose nothing.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np

from napari_nic.compressed import layout
from napari_nic.compressed.disk import exclusive, sync_files, writing_to
from napari_nic.compressed.header import StoreHeader
from napari_nic.compressed.layout import COMPLETE, PARTIAL
from napari_nic.compressed.preview import write_preview
from napari_nic.compressed.shards import (
    ShardBuffer,
    ShardKey,
    block_cells,
    shard_blocks,
    shard_cells,
    shard_of,
    shards_touching,
)
from napari_nic.errors import InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.grid import PatchGrid

if TYPE_CHECKING:
    import zarr

BUFFER_BYTES = 256 * 2**20
"""Unfinished shards beyond this are written and dropped, so that memory stays bounded."""

READ_ATTEMPTS = 20
"""A shard that a writer replaces while it is read is read again, at most so often."""

_UNDECODABLE = (ValueError, RuntimeError, KeyError, TypeError, OSError)
"""What zarr and its codecs raise on bytes that are not what they should be."""


class SlideLike(Protocol):
    """What :meth:`CompressedSlide.check_slide` needs of a slide."""

    @property
    def name(self) -> str:
        """File stem."""

    @property
    def fingerprint(self) -> str:
        """``"sha256:..."``."""


class SpecLike(Protocol):
    """What :meth:`CompressedSlide.check_encoder` needs of an encoder's specification."""

    @property
    def name(self) -> str:
        """Name of the encoder."""

    def identity(self) -> dict[str, Any]:
        """What determines the codes."""


class CompressedSlide:
    """Codes of a slide's patches in a store ``{slide}.nic.zarr``; made by :meth:`create` or :meth:`open`.

    Safe to use from several threads. Opening reads the description, `coverage` and `done`, no codes.

    Attributes
    ----------
    path : Path
    header : StoreHeader
    coverage : ndarray of bool, (rows, cols)
        Cells that are wanted; read-only.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._lock = threading.RLock()
        self._buffers: dict[ShardKey, ShardBuffer] = {}
        self._group = layout.open_group(path, writable=writable)
        self.header, self._status = layout.read_header(self._group, path)
        self._block_shape = layout.block_shape(*self.grid.shape)
        self.coverage = layout.read_flags(self._group, "coverage", self.grid.shape, path)
        self.coverage.setflags(write=False)
        self._done = layout.read_flags(self._group, "done", self._block_shape, path)
        self._codes = layout.get_array(self._group, "embeddings", self.shape, path)

    # -- making and opening ------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path | str,
        header: StoreHeader,
        coverage: np.ndarray,
        *,
        overwrite: bool = False,
    ) -> CompressedSlide:
        """Make an empty store and open it for writing.

        Parameters
        ----------
        path : Path or str
            Folder to make; its parents are made too.
        header : StoreHeader
        coverage : ndarray of bool, (rows, cols)
            Cells that will be encoded. Blocks without any count as done from the start.
        overwrite : bool
            Replace an older store. A folder that is no store of ours is never replaced.

        Raises
        ------
        StoreError
            If something is in the way, the disk is full or the folder is read-only.
        """
        path = Path(path)
        if coverage.shape != header.grid.shape:
            raise InvalidParameterError(
                "the coverage does not fit the grid",
                expected=f"{header.grid.shape}",
                found=f"{coverage.shape}",
            )
        _check_free(path, overwrite)
        coverage = np.array(coverage, bool)
        temporary = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
        with writing_to(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                layout.create_arrays(temporary, header, coverage, ~layout.blocks_with_cells(coverage))
                _move_into_place(temporary, path)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return cls(path, writable=True)

    @classmethod
    def open(cls, path: Path | str, *, mode: Literal["r", "r+"] = "r") -> CompressedSlide:
        """Open a store, for reading or (``"r+"``) to go on writing.

        Raises
        ------
        StoreError
            If `path` is no store, is damaged, has another schema version, or may not be written.
        """
        path = Path(path)
        if mode not in ("r", "r+"):
            raise InvalidParameterError("unknown mode", expected="'r' or 'r+'", found=repr(mode))
        writable = mode == "r+"
        if writable and path.exists() and not os.access(path, os.W_OK):
            raise StoreError(
                "not allowed to write to this store",
                path=path,
                hint="choose another output folder, or change the permissions",
            )
        return cls(path, writable=writable)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is still in memory."""
        if self.writable:
            self.flush()

    def __repr__(self) -> str:
        rows, cols, size = self.shape
        return f"CompressedSlide({str(self.path)!r}, {rows} x {cols} cells, C={size}, {self.status})"

    # -- what it holds -----------------------------------------------------------------------------------

    @property
    def grid(self) -> PatchGrid:
        """The patch grid."""
        return self.header.grid

    @property
    def code_size(self) -> int:
        """Number of channels C."""
        return self.header.code_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, cols, C)."""
        return (*self.grid.shape, self.code_size)

    @property
    def done(self) -> np.ndarray:
        """Blocks that are finished: ndarray of bool, (block_rows, block_cols); a copy."""
        with self._lock:
            return self._done.copy()

    @property
    def is_complete(self) -> bool:
        """Whether every covered cell is encoded."""
        with self._lock:
            return bool(self._done.all())

    @property
    def status(self) -> str:
        """``"partial"`` or ``"complete"``, as the store itself says; set by :meth:`finish`."""
        return self._status

    def encoded(self) -> np.ndarray:
        """Cells whose codes are here: covered, and their block is done; ndarray of bool, (rows, cols)."""
        return self.coverage & layout.cells_of_blocks(self.done, self.grid.shape)

    def reload(self) -> None:
        """Learn what another process has finished since."""
        group = layout.open_group(self.path)
        header, status = layout.read_header(group, self.path)
        if not self.header.matches(header):
            raise StoreMismatchError(
                "the store was replaced by another one",
                path=self.path,
                found="; ".join(self.header.differences(header)),
                hint="open it again",
            )
        done = layout.read_flags(group, "done", self._block_shape, self.path)
        with self._lock:
            self._status = status
            self._done |= done

    def check_slide(self, slide: SlideLike) -> None:
        """Raise :class:`StoreMismatchError` unless the store was made from this slide."""
        if slide.fingerprint != self.header.slide_fingerprint:
            raise StoreMismatchError(
                "the store belongs to another slide",
                path=self.path,
                expected=f"slide {slide.name} ({slide.fingerprint})",
                found=f"made from {self.header.slide_name} ({self.header.slide_fingerprint})",
                hint="choose another output, or overwrite the store (--overwrite)",
            )

    def check_encoder(self, spec: SpecLike) -> None:
        """Raise :class:`StoreMismatchError` unless the store's codes come from this encoder."""
        wanted = spec.identity()
        found = {name: self.header.encoder.get(name) for name in wanted}
        different = [name for name in wanted if wanted[name] != found[name]]
        if different:
            raise StoreMismatchError(
                f"the store's codes come from another encoder than {spec.name}",
                path=self.path,
                expected=f"{spec.name}: " + ", ".join(f"{name}={wanted[name]}" for name in different),
                found=f"{self.header.encoder_name}: "
                + ", ".join(f"{name}={found[name]}" for name in different),
                hint="use that encoder, or compress the slide again into another store",
            )

    # -- reading -----------------------------------------------------------------------------------------

    def read(self) -> np.ndarray:
        """Read all codes: ndarray of float16, (rows, cols, C), 0 where nothing is encoded."""
        return self.read_cells(slice(None), slice(None))

    def read_cells(self, rows: slice, cols: slice) -> np.ndarray:
        """Read the codes of a rectangle of cells.

        Parameters
        ----------
        rows, cols : slice
            Without step; clipped to the grid as numpy does.

        Returns
        -------
        ndarray of float16, (len(rows), len(cols), C)
            0 where nothing is encoded, also where a writer is at work.

        Raises
        ------
        StoreError
            If the codes of a finished block cannot be read.
        """
        rows, cols = _bounded(rows, self.grid.rows), _bounded(cols, self.grid.cols)
        with self._lock:
            encoded = self.encoded()
            codes = self._read_stored(rows, cols, encoded)
            for key in shards_touching(rows, cols):
                if key in self._buffers:
                    self._buffers[key].copy_into(codes, rows, cols, self.grid.shape)
        codes[~encoded[rows, cols]] = 0
        return codes

    def _read_stored(self, rows: slice, cols: slice, wanted: np.ndarray) -> np.ndarray:
        """Read codes from disk, shard by shard; only the shards that hold `wanted` cells."""
        codes = np.zeros((rows.stop - rows.start, cols.stop - cols.start, self.code_size), np.float16)
        for key in shards_touching(rows, cols):
            shard_rows, shard_cols = shard_cells(key, self.grid.shape)
            inner_rows = slice(max(rows.start, shard_rows.start), min(rows.stop, shard_rows.stop))
            inner_cols = slice(max(cols.start, shard_cols.start), min(cols.stop, shard_cols.stop))
            if not wanted[inner_rows, inner_cols].any():
                continue
            file = self._shard_file(key)
            if not file.exists():
                if key not in self._buffers:
                    raise layout.damaged(self.path, f"{file.relative_to(self.path)} is missing")
                continue
            codes[
                inner_rows.start - rows.start : inner_rows.stop - rows.start,
                inner_cols.start - cols.start : inner_cols.stop - cols.start,
            ] = self._read_shard(file, inner_rows, inner_cols)
        return codes

    def _read_shard(self, file: Path, rows: slice, cols: slice) -> np.ndarray:
        """Read cells of one shard file.

        zarr reads a part of a shard in several steps. When another process replaces the file in between,
        the parts do not fit together: this is seen by the file's identity, and it is read again.
        """
        for _ in range(READ_ATTEMPTS):
            before = _identity_of(file)
            try:
                codes = np.asarray(self._codes[rows, cols])
            except _UNDECODABLE as error:
                if _identity_of(file) == before:
                    found = f"{file.relative_to(self.path)}: {type(error).__name__}: {error}"
                    raise layout.damaged(self.path, found) from error
                continue
            if _identity_of(file) == before:
                return codes
        raise StoreError(
            "the store is being rewritten too fast to be read",
            path=self.path,
            hint="wait for the other run to end",
        )

    def _shard_file(self, key: ShardKey) -> Path:
        return self.path / "embeddings" / "c" / str(key[0]) / str(key[1]) / "0"

    # -- writing -----------------------------------------------------------------------------------------

    def write_block(self, block_row: int, block_col: int, codes: np.ndarray) -> None:
        """Take the codes of one block; kept in memory until its shard is full or :meth:`flush`.

        Parameters
        ----------
        block_row, block_col : int
            Position in the raster of blocks of ``BLOCK`` x ``BLOCK`` cells.
        codes : ndarray of float, (rows, cols, C)
            Of the block's cells, clipped to the grid. Values of cells without coverage are ignored.

        Raises
        ------
        StoreError
            If a code is no finite float16 number, or the shard cannot be written. In the latter case
            nothing is lost: the codes stay in memory, and the next :meth:`flush` tries again.
        """
        self._require_writable()
        block = (block_row, block_col)
        rows, cols = self._cells_of(block)
        codes = self._checked(codes, rows, cols)
        key = shard_of(*block)
        with self._lock:
            if key not in self._buffers:
                self._buffers[key] = ShardBuffer.empty(key, self.grid.shape, self.code_size)
            self._buffers[key].put(block, rows, cols, codes)
            self._done[block] = True
            if self._done[shard_blocks(key)].all():
                self._write([key])
            elif sum(buffer.codes.nbytes for buffer in self._buffers.values()) > BUFFER_BYTES:
                self._write(list(self._buffers))
                self._buffers.clear()

    def flush(self) -> None:
        """Write what is in memory: first the codes, then which blocks are done.

        Raises
        ------
        StoreError
            If it cannot be written; the codes stay in memory, and the next call tries again.
        """
        self._require_writable()
        with self._lock:
            dirty = [key for key, buffer in self._buffers.items() if buffer.dirty]
            if dirty:
                self._write(dirty)

    def finish(self) -> None:
        """Write what is in memory, and set the status to complete if every covered cell is encoded."""
        self.flush()
        with self._lock:
            self.reload()
            if self.is_complete and self._status != COMPLETE:
                self._set_status(COMPLETE)

    def write_preview(self, rgb: np.ndarray) -> None:
        """Store a picture of the codes, so that any OME-Zarr viewer shows something sensible.

        Parameters
        ----------
        rgb : ndarray of uint8, (rows, cols, 3)
        """
        self._require_writable()
        if rgb.shape != (*self.grid.shape, 3) or rgb.dtype != np.uint8:
            raise InvalidParameterError(
                "the preview does not fit the grid",
                expected=f"uint8 {(*self.grid.shape, 3)}",
                found=f"{rgb.dtype} {rgb.shape}",
            )
        with self._lock, writing_to(self.path), exclusive(self.path):
            write_preview(self._fresh_group(), rgb, self.grid, self.header.slide_name)

    def _write(self, keys: Iterable[ShardKey]) -> None:
        """Write shards and then `done`, as one transaction; see the module's text."""
        keys = list(keys)
        with writing_to(self.path), exclusive(self.path):
            stored = layout.read_flags(self._group, "done", self._block_shape, self.path)
            array = layout.writable_array(self._group, "embeddings")
            for key in keys:
                buffer = self._buffers[key]
                self._merge(key, buffer, stored)
                array[buffer.rows, buffer.cols] = buffer.codes
            sync_files(self._shard_file(key) for key in keys)
            for key in keys:
                for block in self._buffers[key].present:
                    stored[block] = True
            layout.writable_array(self._group, "done")[:] = stored
        self._done |= stored
        for key in keys:
            self._buffers[key].dirty = False
            if self._done[shard_blocks(key)].all():
                del self._buffers[key]

    def _merge(self, key: ShardKey, buffer: ShardBuffer, stored: np.ndarray) -> None:
        """Bring the blocks of a shard that are on disk but not in memory into the buffer."""
        rows, cols = shard_blocks(key)
        for offset in np.argwhere(stored[rows, cols]):
            block = (rows.start + int(offset[0]), cols.start + int(offset[1]))
            cells = self._cells_of(block)
            if block not in buffer.present and self.coverage[cells].any():
                buffer.put(block, *cells, self._read_shard(self._shard_file(key), *cells))

    def _set_status(self, status: str) -> None:
        with writing_to(self.path), exclusive(self.path):
            group = self._fresh_group()
            group.attrs[layout.ATTRIBUTES_KEY] = layout.describe(self.header, status)
        self._status = status

    def _fresh_group(self) -> zarr.Group:
        """Open the root group anew: its attributes may have been changed by another process."""
        return layout.open_group(self.path, writable=True)

    def _require_writable(self) -> None:
        if not self.writable:
            raise StoreError(
                "the store was opened for reading", path=self.path, hint="open it with mode='r+'"
            )

    def _cells_of(self, block: tuple[int, int]) -> tuple[slice, slice]:
        if not (0 <= block[0] < self._block_shape[0] and 0 <= block[1] < self._block_shape[1]):
            raise InvalidParameterError(
                "there is no such block", expected=f"below {self._block_shape}", found=f"{block}"
            )
        return block_cells(*block, self.grid.shape)

    def _checked(self, codes: np.ndarray, rows: slice, cols: slice) -> np.ndarray:
        """Return a float16 copy with zeros where there is no coverage; refuse what float16 cannot hold."""
        expected = (rows.stop - rows.start, cols.stop - cols.start, self.code_size)
        if codes.shape != expected:
            raise InvalidParameterError(
                "the codes do not fit the block", expected=f"{expected}", found=f"{codes.shape}"
            )
        with np.errstate(over="ignore"):
            stored = codes.astype(np.float16)
        stored[~self.coverage[rows, cols]] = 0
        if not np.isfinite(stored).all():
            raise StoreError(
                f"encoder {self.header.encoder_name!r} gave codes that float16 cannot hold",
                path=self.path,
                expected=f"finite numbers within +-{np.finfo(np.float16).max:g}",
                found=f"largest magnitude {np.abs(codes[self.coverage[rows, cols]]).max():g}",
                hint="scale the encoder's output down",
            )
        return stored


def _bounded(part: slice, size: int) -> slice:
    start, stop, step = part.indices(size)
    if step != 1:
        raise InvalidParameterError("cells are read without a step", found=f"{part}")
    return slice(start, max(start, stop))


def _identity_of(file: Path) -> tuple[int, int, int]:
    """Tell one version of a file from the next: a replaced file has another inode or time."""
    status = file.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise StoreError(
            "a store of this name exists", path=path, hint="open it to go on, or overwrite it (--overwrite)"
        )
    if not _is_ours(path):
        raise StoreError(
            "something that is not a compressed slide is in the way",
            path=path,
            hint="it is not overwritten; choose another output",
        )


def _is_ours(path: Path) -> bool:
    """Whether a folder may be replaced: named like a store of ours, or readable as one, or empty."""
    if not path.is_dir():
        return False
    if path.name.endswith(layout.SUFFIX) and (path / "zarr.json").is_file():
        return True
    if not any(path.iterdir()):
        return True
    try:
        layout.read_header(layout.open_group(path), path)
    except StoreError:
        return False
    return True


def _move_into_place(temporary: Path, path: Path) -> None:
    """Rename a finished store; an older one gives way to it and is then removed."""
    if not path.exists():
        temporary.rename(path)
        return
    old = path.parent / f".{path.name}.{uuid.uuid4().hex}.old"
    path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


__all__ = ["COMPLETE", "PARTIAL", "CompressedSlide"]
