"""Make an empty store, or replace an older one, in one step that happens or does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_nic.compressed import layout
from napari_nic.compressed.header import StoreHeader
from napari_nic.disk import replacing_folder
from napari_nic.errors import InvalidParameterError, StoreError


def create_store(path: Path, header: StoreHeader, coverage: np.ndarray, *, overwrite: bool) -> None:
    """Write an empty store under a temporary name and rename it; see :meth:`CompressedSlide.create`."""
    if coverage.shape != header.grid.shape:
        raise InvalidParameterError(
            "the coverage does not fit the grid", expected=f"{header.grid.shape}", found=f"{coverage.shape}"
        )
    _check_free(path, overwrite)
    coverage = np.array(coverage, bool)
    with replacing_folder(path) as temporary:
        layout.create_arrays(temporary, header, coverage, ~layout.blocks_with_cells(coverage))


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
        layout.read_description(layout.open_group(path), path)
    except StoreError:
        return False
    return True
