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
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

from napari_nic.disk import exclusive, writing_to
from napari_nic.embeddings import checks, layout, shards
from napari_nic.embeddings.creating import create_store
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.lease import Lease, WriterInfo
from napari_nic.embeddings.paths import current_name
from napari_nic.embeddings.preview import OME, read_preview, write_preview
from napari_nic.embeddings.state import StoreState
from napari_nic.embeddings.stored import StoredCodes
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked
from napari_nic.notebook import card


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
        self._lease = Lease(path)
        self._group = layout.open_group(path, writable=writable)
        self._state = StoreState(path, self._group)
        self.header = self._state.header
        self.coverage = layout.read_flags(self._group, "coverage", self.grid.shape, path)
        self.coverage.setflags(write=False)
        self._buffers = shards.ShardBuffers(self.shape)
        self._stored = StoredCodes(path, self._group, self.shape)

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
        StoreBusyError
            If a run is writing the store that would be replaced.
        """
        path = Path(path)
        if overwrite:
            Lease(path).check_free()
        create_store(path, header, coverage, overwrite=overwrite)
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
                hint="choose another output folder (--out), or change the permissions",
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

    def _repr_html_(self) -> str:
        """Facts and the colours of its codes, for notebooks."""
        encoded, covered = int(self.encoded().sum()), int(self.coverage.sum())
        grid = self.grid
        facts = {
            "cells": f"{grid.rows:,} x {grid.cols:,}, {encoded:,} of {covered:,} with tissue encoded",
            "codes": f"C = {self.code_size}, {self.header.encoder_name}",
            "patches": f"{grid.patch_size} px at {grid.mpp:g} um/px, one every {grid.stride_um[0]:g} um",
            "status": self.status,
            "path": self.path,
        }
        return card(self.slide_name, facts, read_preview(self._group))

    # -- what it holds -----------------------------------------------------------------------------------

    @property
    def slide_name(self) -> str:
        """Name of the slide as the user calls it now; the header keeps the one it had."""
        return current_name(self.path, self.header)

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
        return self._state.known()[0]

    @property
    def failed(self) -> np.ndarray:
        """Cells whose pixels could not be read: the next run tries again. (rows, cols) bool, a copy."""
        return self._state.known()[1]

    @property
    def is_complete(self) -> bool:
        """Whether every covered cell is encoded."""
        done, failed = self._state.known()
        return bool(done.all() and not failed.any())

    @property
    def status(self) -> str:
        """``"partial"`` or ``"complete"``, as the store itself says; set by :meth:`finish`."""
        return self._state.status

    def encoded(self) -> np.ndarray:
        """Cells whose codes are here: covered, readable, their block done; ndarray of bool, (rows, cols)."""
        done, failed = self._state.known()
        return np.asarray(self.coverage & layout.cells_of_blocks(done, self.grid.shape) & ~failed)

    def pending(self) -> np.ndarray:
        """Blocks still to do: not done, or with cells that failed; (block_rows, block_cols) bool."""
        done, failed = self._state.known()
        return np.asarray(~done | layout.blocks_with_cells(failed))

    def reload(self) -> None:
        """Learn what another process has finished since."""
        with self._lock:
            self._state.take_over(*self._state.on_disk(), self._buffers.mark_unwritten())

    def check_slide(self, slide: checks.SlideLike) -> None:
        """Raise :class:`StoreMismatchError` unless the store was made from this slide."""
        checks.check_slide(self.path, self.header, slide)

    def check_encoder(self, spec: checks.SpecLike) -> None:
        """Raise :class:`StoreMismatchError` unless the store's codes come from this encoder."""
        checks.check_encoder(self.path, self.header, spec)

    # -- who writes --------------------------------------------------------------------------------------

    def writer(self) -> WriterInfo | None:
        """Return the run that is writing this store just now; None when there is none, or it is our own.

        Quick, and meant to be asked again: a run that was killed is forgotten at once.
        """
        return self._lease.writer()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one run that writes this store, for the length of a ``with`` block.

        Raises
        ------
        StoreBusyError
            If another run is, in this process or in another one; it says which.
        """
        self._require_writable()
        with self._lease.writing():
            with exclusive(self.path):  # another process may store a picture
                layout.remove_half_files(self.path)
            self.reload()  # what the run before has stored since we opened
            yield

    # -- reading -----------------------------------------------------------------------------------------

    def read(self, *, token: CancellationToken | None = None) -> np.ndarray:
        """Read all codes, with a checkpoint at each shard.

        Returns
        -------
        ndarray of float16, (rows, cols, C)
            0 where nothing is encoded.
        """
        return self.read_cells(slice(None), slice(None), token=token)

    def read_cells(
        self,
        rows: slice,
        cols: slice,
        *,
        into: np.ndarray | None = None,
        token: CancellationToken | None = None,
    ) -> np.ndarray:
        """Read the codes of a rectangle of cells.

        Parameters
        ----------
        rows, cols : slice
            Without step; clipped to the grid as numpy does.
        into : ndarray of float16, (len(rows), len(cols), C), optional
            Is filled and returned in place of a new array.
        token : CancellationToken, optional
            Asked at each shard.

        Returns
        -------
        ndarray of float16, (len(rows), len(cols), C)
            0 where nothing is encoded, also where a writer is at work.

        Raises
        ------
        StoreError
            If the codes of a finished block cannot be read.
        """
        rows, cols = shards.bounded(rows, self.grid.rows), shards.bounded(cols, self.grid.cols)
        encoded = self.encoded()
        shape = (rows.stop - rows.start, cols.stop - cols.start, self.code_size)
        codes = np.empty(shape, np.float16) if into is None else into
        if codes.shape != shape:
            raise InvalidParameterError(
                "the array does not fit the cells", expected=f"{shape}", found=f"{codes.shape}"
            )
        for key in checked(shards.shards_touching(rows, cols), token):
            # Locked for one shard only: a job that is paused at the checkpoint must hold nothing that the
            # window asks for.
            with self._lock:
                buffer = self._buffers.get(key)
                self._stored.read_into(codes, key, (rows, cols), encoded, elsewhere=buffer is not None)
                if buffer is not None:
                    buffer.copy_into(codes, rows, cols, self.grid.shape)
        missing = ~encoded[rows, cols]
        if missing.any():
            codes[missing] = 0
        return codes

    def offsets(self, cells: np.ndarray) -> np.ndarray:
        """Read how far patches lie from the corners of their cells.

        Parameters
        ----------
        cells : ndarray of int, (N, 2)
            (row, col).

        Returns
        -------
        ndarray of float64, (N, 2)
            (y, x) in level-0 pixels; 0 for slides that were compressed here, and for others' grids.
        """
        return layout.read_offsets(self._group, self.grid.shape, cells, self.path)

    # -- writing -----------------------------------------------------------------------------------------

    def write_block(
        self, block_row: int, block_col: int, codes: np.ndarray, failed: np.ndarray | None = None
    ) -> None:
        """Take the codes of one block; kept in memory until its shard is full or :meth:`flush`.

        Parameters
        ----------
        block_row, block_col : int
            Position in the raster of blocks of ``BLOCK`` x ``BLOCK`` cells.
        codes : ndarray of float, (rows, cols, C)
            Of the block's cells, clipped to the grid. Values of cells without coverage are ignored.
        failed : ndarray of bool, (rows, cols), optional
            Cells of the block whose pixels could not be read. They hold no code, and count as not encoded.

        Raises
        ------
        StoreError
            If a code is no finite float16 number, or the shard cannot be written. In the latter case
            nothing is lost: the codes stay in memory, and the next :meth:`flush` tries again.
        """
        self._require_writable()
        block = (block_row, block_col)
        rows, cols = shards.block_cells(*block, self.grid.shape)
        lost = np.zeros(codes.shape[:2], bool) if failed is None else failed & self.coverage[rows, cols]
        codes = checks.checked_codes(self.path, self.header, codes, self.coverage[rows, cols])
        codes[lost] = 0
        with self._lock:
            key = self._buffers.put(block, codes)
            self._state.learn(block, lost)
            if self._state.done[shards.shard_blocks(key)].all():
                self._write([key])
            elif self._buffers.are_too_large():
                self._write(self._buffers.keys())
                self._buffers.drop(self._buffers.keys())

    def flush(self) -> None:
        """Write what is in memory: first the codes, then which blocks are done.

        Raises
        ------
        StoreError
            If it cannot be written; the codes stay in memory, and the next call tries again.
        """
        self._require_writable()
        self._lease.sign_of_life()
        with self._lock:
            if unwritten := self._buffers.unwritten():
                self._write(unwritten)

    def finish(self) -> None:
        """Write what is in memory, and set the status to complete if every covered cell is encoded."""
        self.flush()
        with self._lock:
            self.reload()
            if self.is_complete and self._state.status != layout.COMPLETE:
                self._state.write_status(layout.COMPLETE)

    @property
    def has_preview(self) -> bool:
        """Whether a picture of the codes is stored; it may be older than they are."""
        return OME in layout.open_group(self.path).attrs

    def write_preview(self, rgb: np.ndarray) -> None:
        """Store a picture of the codes, so that any OME-Zarr viewer shows something sensible.

        Parameters
        ----------
        rgb : ndarray of uint8, (rows, cols, 3)
        """
        self._require_writable()
        with self._lock, writing_to(self.path), exclusive(self.path):
            layout.remove_half_files(self.path)  # of a run that was killed while it stored a picture
            # Opened anew: another process may have changed the attributes since.
            group = layout.open_group(self.path, writable=True)
            write_preview(group, rgb, self.grid, self.slide_name)

    def _write(self, keys: list[shards.ShardKey]) -> None:
        """Write shards and then `done`, as one transaction; see the module's text."""
        buffers = self._buffers.of(keys)
        with writing_to(self.path), exclusive(self.path):
            stored, failed = self._state.on_disk()
            for key, buffer in buffers.items():
                self._merge(key, buffer, stored, failed)
            self._stored.write(buffers)
            for buffer in buffers.values():
                for block in buffer.present:
                    stored[block] = True
                    cells = shards.block_cells(*block, self.grid.shape)
                    failed[cells] = self._state.failed[cells]
            self._state.write(stored, failed)
        for buffer in buffers.values():
            buffer.dirty = False
        self._state.take_over(stored, failed, self._buffers.mark_unwritten())
        self._buffers.drop([key for key in keys if self._state.done[shards.shard_blocks(key)].all()])

    def _merge(
        self, key: shards.ShardKey, buffer: shards.ShardBuffer, stored: np.ndarray, failed: np.ndarray
    ) -> None:
        """Bring the blocks of a shard that are on disk but not in memory into the buffer."""
        rows, cols = shards.shard_blocks(key)
        for offset in np.argwhere(stored[rows, cols]):
            block = (rows.start + int(offset[0]), cols.start + int(offset[1]))
            cells = shards.block_cells(*block, self.grid.shape)
            if block not in buffer.present and self.coverage[cells].any():
                buffer.put(block, *cells, self._stored.read_shard(key, *cells))
                self._state.learn(block, failed[cells])

    def _require_writable(self) -> None:
        if not self.writable:
            raise StoreError(
                "the store was opened for reading", path=self.path, hint="open it with mode='r+'"
            )
