"""Exports in TRIDENT's form: one HDF5 file a slide.

``features`` (N, D) float32 and ``coords`` (N, 2) int64, **(x, y)** of the patches' top left corners in
level-0 pixels, with the attributes that TRIDENT, Patho-Bench, TITAN and Prov-GigaPath look for. Only the
format was looked at, none of their code.

Where patches overlap, two readers want two numbers of one attribute. TRIDENT calls the **side** of a patch
``patch_size_level0``. TITAN and Prov-GigaPath divide the coordinates by it to find a patch's cell, so for
them it must be the **distance** of neighbours: with the side, patches that overlap share a cell and all but
one are lost. Format ``trident`` says what TRIDENT says; ``titan`` is the same file with the distance.
Both numbers stand in every file under names of their own, ``patch_side_level0`` and ``patch_size_lv0``
(what TITAN calls its argument).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.hdf5_writing import write_table
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import (
    UM_PER_PX_AT_1X,
    CodeTable,
    header_attribute,
    magnification_of,
    side_px,
    step_px,
)
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import readable, safe_name
from napari_nic.telling import Notices, tell

CLASSES = ((0.16, 80), (0.2, 60), (0.3, 40), (0.6, 20), (1.2, 10), (2.4, 5))
"""um/px of level 0 below which TRIDENT speaks of a magnification: 0.2431 is 40x, not 41x."""

_USUAL, _SAME = (80, 60, 40, 20, 10, 5), 0.05
"""Resolutions that differ by so much go by one magnification: 0.4862 um/px, half of a slide's 40x, is 20x."""


def level0_magnification(mpp: float) -> int:
    """Magnification that TRIDENT gives a slide of `mpp` um/px."""
    return next((name for limit, name in CLASSES if mpp < limit), magnification_of(mpp))


def target_magnification(mpp: float) -> int | float:
    """Magnification of the patches' resolution: whole, as in the names of folders, where one is near."""
    exact = round(UM_PER_PX_AT_1X / mpp, 4)
    whole = min(_USUAL, key=lambda usual: abs(usual / exact - 1))
    if abs(whole / exact - 1) <= _SAME:
        return whole
    return int(exact) if exact == int(exact) else exact


def write(store: CompressedSlide, path: Path, token: CancellationToken, *, spaced: bool = False) -> None:
    """Write features and coordinates of the encoded cells, slab by slab.

    Parameters
    ----------
    store, path, token
        See :class:`Exporter`.
    spaced : bool
        ``patch_size_level0`` is the distance of neighbours, for slide encoders.
    """
    table, header = CodeTable.of(store), named_header(store)
    # No folder of this machine: readers look for none, and its name may be a patient's.
    place = {"name": readable(header.slide_name), "savetodir": default_name(header).parent.as_posix()}
    attributes = {
        "features": place | {"encoder": header.encoder_name},
        "coords": place | _geometry(header, spaced=spaced),
        "/": header_attribute(header),
    }
    places = (np.int64, table.coords_of)
    write_table(path, table, "features", places, attributes, token, dtype=np.float32)
    grid = header.grid
    if not spaced and side_px(grid) != step_px(grid):
        tell(Notices(path.name, (_two_readers(grid),)))


def _two_readers(grid: PatchGrid) -> str:
    return (
        f"patches of {side_px(grid)} px lie {step_px(grid)} px apart: TITAN and Prov-GigaPath would take "
        "the side for the distance and lose patches; export for them with format titan"
    )


def _geometry(header: StoreHeader, *, spaced: bool) -> dict[str, Any]:
    grid = header.grid
    return {
        "patch_size": grid.patch_size,
        "patch_size_level0": step_px(grid) if spaced else side_px(grid),
        "patch_side_level0": side_px(grid),
        "patch_size_lv0": step_px(grid),
        "level0_magnification": level0_magnification(grid.pixel_size.mean),
        "target_magnification": target_magnification(grid.mpp),
        "overlap": overlap_of(grid),
        "level0_width": header.slide_shape[1],
        "level0_height": header.slide_shape[0],
    }


def overlap_of(grid: PatchGrid) -> int:
    """Overlap of neighbouring patches in pixels that the encoder sees; negative where there are gaps."""
    return round((grid.patch_px - grid.stride_px) * grid.patch_size / grid.patch_px)


def default_name(header: StoreHeader) -> Path:
    """Path inside a TRIDENT job folder."""
    grid = header.grid
    cut = f"{target_magnification(grid.mpp):g}x_{grid.patch_size}px_{overlap_of(grid)}px_overlap"
    return Path(cut, f"features_{safe_name(header.encoder_name)}", f"{safe_name(header.slide_name)}.h5")


def _default_name_spaced(header: StoreHeader) -> Path:
    return Path("titan", f"features_{safe_name(header.encoder_name)}", f"{safe_name(header.slide_name)}.h5")


EXPORTER = Exporter("TRIDENT features (.h5)", ".h5", default_name, write)
SPACED = Exporter(
    "TITAN, Prov-GigaPath (.h5 in TRIDENT's form)", ".h5", _default_name_spaced, partial(write, spaced=True)
)
