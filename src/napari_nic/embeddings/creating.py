"""Make an empty store, or replace an older one, in one step that happens or does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.disk import replacing_folder
from napari_nic.embeddings import layout
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.lease import LEASE_FILE
from napari_nic.errors import InvalidParameterError, StoreError


def create_store(path: Path, header: StoreHeader, coverage: np.ndarray, *, overwrite: bool) -> None:
    """Write an empty store under a temporary name and rename it; see :meth:`CompressedSlide.create`."""
    if coverage.shape != header.grid.shape:
        raise InvalidParameterError(
            "the coverage does not fit the grid", expected=f"{header.grid.shape}", found=f"{coverage.shape}"
        )
    check_replaceable(path, overwrite=overwrite)
    coverage = np.array(coverage, bool)
    with replacing_folder(path) as temporary:
        layout.create_arrays(temporary, header, coverage, ~layout.blocks_with_cells(coverage))


def check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Make sure that a store may be written at a path.

    Raises
    ------
    StoreError
        If something is there, and it is no store of ours or `overwrite` is False.
    """
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise StoreError(
            "a store of this name exists", path=path, hint="open it to go on, or overwrite it (--overwrite)"
        )
    if path.is_symlink() or not _is_ours(path):
        raise StoreError(
            "something that is not a compressed slide is in the way",
            path=path,
            found="a link" if path.is_symlink() else None,
            hint="it is not overwritten; choose another output",
        )


def _is_ours(path: Path) -> bool:
    """Whether a folder is a store of ours, whole or damaged, and holds nothing else; or is empty.

    Its name proves nothing: what says so is our entry in ``zarr.json``, or what is left of it.
    """
    if not path.is_dir():
        return False
    inside = {entry.name for entry in path.iterdir()} - _OF_SYSTEMS
    if not inside <= _PARTS:
        return False
    marked = layout.is_marked(path)
    return not inside or (inside >= _ARRAYS if marked is None else marked)


_ARRAYS = {"embeddings", "coverage", "done"}
_PARTS = _ARRAYS | {"zarr.json", "failed", "offsets", "preview", "turns", ".lock", LEASE_FILE}
_OF_SYSTEMS = {".DS_Store", "Thumbs.db", "desktop.ini"}
