"""Exports as CLAM keeps slides: features, the tensor that it trains on, and the patches that it cut.

::

    h5_files/{slide}.h5    features (N, D) float32, coords (N, 2) int64
    pt_files/{slide}.pt    a tensor (N, D) float32, the same rows in the same order
    patches/{slide}.h5     coords (N, 2) int64 with the attributes of the level that patches are cut from

``coords`` are **(x, y)** of the top left corners in level-0 pixels. Under another name than CLAM's the three
lie side by side: ``mine.h5``, ``mine.pt`` and ``mine_patches.h5``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.hdf5_writing import new_file, write_places, write_rows
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import CodeTable, header_attribute
from napari_nic.embeddings.interchange.tensor_writing import new_tensor
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name

FEATURES, TENSORS, PATCHES = "h5_files", "pt_files", "patches"
_NEARLY_WHOLE = 0.01


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features, tensor and patches of the encoded cells; codes are read once, slab by slab."""
    table, header = CodeTable.of(store), named_header(store)
    tensor_path, patches_path = companions(path)
    attributes = _attributes(header)
    # The companions get their names first: features alone tell neither the side of a patch nor its level.
    with (
        new_file(path) as features_file,
        new_tensor(tensor_path, token) as add,
        new_file(patches_path) as patches_file,
    ):
        for file in (patches_file, features_file):
            write_places(file, table, (np.int64, table.coords_of)).attrs.update(attributes)
            file.attrs.update(header_attribute(header))
        features = features_file.create_dataset("features", table.shape, np.float32)
        for part, codes in table.slabs(token):
            rows = codes.astype(np.float32)
            write_rows(features, part, rows)
            add(rows)


def write_tensor(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write the features of the encoded cells alone, float32, row by row of the grid."""
    with new_tensor(path, token, columns=store.code_size) as add:
        for _, codes in CodeTable.of(store).slabs(token):
            add(codes.astype(np.float32))


def _attributes(header: StoreHeader) -> dict[str, Any]:
    grid = header.grid
    level, downsample, patch = _level(grid)
    height, width = header.slide_shape
    level_dim = (round(width / downsample[0]), round(height / downsample[1]))
    return {
        "patch_size": patch,
        "patch_level": level,
        "downsample": downsample,
        "downsampled_level_dim": level_dim,
        "level_dim": level_dim,  # of patch_level too, as CLAM has it
        "name": readable(header.slide_name),
        "save_path": PATCHES,  # no folder of this machine: readers look for none
    }


def _level(grid: PatchGrid) -> tuple[int, tuple[float, float], int]:
    """Level, its (x, y) downsample, and a patch's side in its pixels.

    CLAM multiplies by the whole part of the downsample, so one of 3.9999 is written as 4. A grid of pixels
    that the slide does not hold is told in those of level 0.
    """
    down_y, down_x = grid.downsample
    if grid.level == 0:
        return 0, (1.0, 1.0), max(1, round(grid.patch_px * down_x))
    x, y = (
        float(round(down)) if abs(down - round(down)) < _NEARLY_WHOLE * down else down
        for down in (down_x, down_y)
    )
    return grid.level, (x, y), grid.patch_px


def companions(path: Path) -> tuple[Path, ...]:
    """(tensor, patches) that belong to features."""
    if path.parent.name == FEATURES:
        root = path.parent.parent
        return root / TENSORS / f"{path.stem}.pt", root / PATCHES / path.name
    return path.with_name(f"{path.stem}.pt"), path.with_name(f"{path.stem}_{PATCHES}{path.suffix}")


def default_name(header: StoreHeader) -> Path:
    """``h5_files/{slide}.h5``."""
    return Path(FEATURES, f"{safe_name(header.slide_name)}.h5")


def _default_tensor_name(header: StoreHeader) -> Path:
    return Path(TENSORS, f"{safe_name(header.slide_name)}.pt")


EXPORTER = Exporter("CLAM features (.h5, .pt and patches)", ".h5", default_name, write, companions)
TENSOR = Exporter("CLAM features (.pt, without coordinates)", ".pt", _default_tensor_name, write_tensor)
