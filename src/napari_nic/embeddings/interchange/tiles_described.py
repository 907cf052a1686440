"""A slide and its patches as wsidata (LazySlide) describes them: ``slide_properties`` and ``tile_spec``."""

from __future__ import annotations

import math
import re
from typing import Any

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.table import side_px, step_px
from napari_nic.embeddings.interchange.trident_export import level0_magnification
from napari_nic.grid import PatchGrid

TILES = "tiles"
"""What LazySlide calls the tiles of a slide."""


def slide_properties(header: StoreHeader) -> dict[str, Any]:
    """Describe level 0, which is all that a store knows; programs that open the slide ask it for the rest."""
    shape = list(header.slide_shape)
    return {
        "shape": shape,
        "n_level": 1,
        "level_shape": [shape],
        "level_downsample": [1.0],
        "mpp": header.grid.pixel_size.mean,
        "magnification": float(level0_magnification(header.grid.pixel_size.mean)),
    }


def tile_spec(grid: PatchGrid) -> dict[str, Any]:
    """Describe the tiles so that ``int(width * base_downsample)`` and the same of the stride are level-0 px.

    They are told in pixels that the encoder saw where that comes out right for both, else in those of level
    0: their numbers are whole, and their products are cut off.
    """
    side, step = side_px(grid), step_px(grid)
    width, scale = grid.patch_size, side / grid.patch_size
    if int(width * scale) < side:
        scale = math.nextafter(scale, math.inf)
    stride, mpp = round(step / scale), grid.mpp
    if (int(width * scale), int(stride * scale)) != (side, step):
        width, stride, scale, mpp = side, step, 1.0, grid.pixel_size.mean
    return {
        "height": width,
        "width": width,
        "stride_height": stride,
        "stride_width": stride,
        "mpp": mpp,
        "ops_level": 0,
        "ops_downsample": scale,
        "base_level": 0,
        "base_downsample": scale,
        "tissue_name": None,
    }


def element_name(text: str) -> str:
    """Make a name that SpatialData takes: letters, digits, ``_``, ``.`` and ``-``."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", text).lstrip("_")
    return name if name.strip(".") else "unnamed"
