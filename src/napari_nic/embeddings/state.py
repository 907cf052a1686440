"""What a store says of itself, on disk and as far as it is known here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.disk import exclusive, writing_to
from napari_nic.embeddings import layout
from napari_nic.embeddings.shards import block_cells
from napari_nic.errors import StoreMismatchError

if TYPE_CHECKING:
    import zarr


class StoreState:
    """Description, status, and which blocks are done.

    What is known is told at once (:meth:`known`), also while a write waits for the disk or another process.
    That no two threads change it together is the store's to see to.

    Attributes
    ----------
    header : StoreHeader
    status : str
        ``"partial"`` or ``"complete"``.
    done : ndarray of bool, (block_rows, block_cols)
        Blocks that are finished, those that wait in memory too.
    failed : ndarray of bool, (rows, cols)
        Cells whose pixels could not be read.
    """

    def __init__(self, path: Path, group: zarr.Group) -> None:
        self._path, self._group = path, group
        self.header, self.status, self._id = layout.read_description(group, path)
        self.block_shape = layout.block_shape(*self.header.grid.shape)
        self.done, self.failed = self._flags(group)
        self._changing = threading.Lock()

    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """Return copies of `done` and `failed`, of one moment."""
        with self._changing:
            return self.done.copy(), self.failed.copy()

    def learn(self, block: tuple[int, int], failed: np.ndarray) -> None:
        """Take note that a block is done, and which of its cells failed: (rows, cols) bool of the block."""
        with self._changing:
            self.failed[block_cells(*block, self.failed.shape)] = failed
            self.done[block] = True

    def on_disk(self) -> tuple[np.ndarray, np.ndarray]:
        """Read the status anew and return `done` and `failed` as they are on disk.

        Raises
        ------
        StoreMismatchError
            If another store lies there now.
        """
        group = layout.open_group(self._path)
        _, self.status, store_id = layout.read_description(group, self._path)
        if store_id != self._id:
            raise StoreMismatchError(
                "the store was replaced by another one while it was open",
                path=self._path,
                hint="open it again",
            )
        return self._flags(group)

    def take_over(self, done: np.ndarray, failed: np.ndarray, ours: np.ndarray) -> None:
        """Learn the state of blocks on disk, but of `ours`: those that wait in memory."""
        theirs = layout.cells_of_blocks(~ours, self.header.grid.shape)
        with self._changing:
            self.done |= done
            self.failed = np.where(theirs, failed, self.failed)

    def write(self, done: np.ndarray, failed: np.ndarray) -> None:
        """Write which blocks are done; their codes were written before."""
        layout.write_failed(self._group, failed, self._path)
        layout.writable_array(self._group, "done", self.block_shape, self._path)[:] = done

    def write_status(self, status: str) -> None:
        """Say that the store is partial or complete."""
        with writing_to(self._path), exclusive(self._path):
            group = layout.open_group(self._path, writable=True)
            description = layout.Description(self.header, status, self._id)
            group.attrs[layout.ATTRIBUTES_KEY] = description.to_dict()
        self.status = status

    def _flags(self, group: zarr.Group) -> tuple[np.ndarray, np.ndarray]:
        done = layout.read_flags(group, "done", self.block_shape, self._path)
        return done, layout.read_failed(group, self.header.grid.shape, self._path)
