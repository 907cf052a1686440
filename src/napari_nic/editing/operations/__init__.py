"""Geometry of drawing: strokes, wands, set algebra, cutting, growing, snapping, measuring.

All functions take and give shapely geometries in level-0 pixels, (x, y), corner-based, and what they give is
valid. Distances in micrometres are those on the glass, on slides whose pixels are not square too.

Public modules beside this list: ``objects``.
"""

from napari_nic.editing.operations.areas import (
    Area,
    area_of,
    common,
    filled,
    n_holes,
    parts_of,
    united,
    without,
    without_specks,
)
from napari_nic.editing.operations.lengths import (
    area_text,
    area_um2,
    in_px,
    in_um,
    length_text,
    length_um,
    size_text,
)
from napari_nic.editing.operations.masks import area_of_mask, rough_outlines
from napari_nic.editing.operations.reshaping import (
    carried,
    expanded,
    inverted,
    merged,
    split,
    subtracted,
    transferred,
)
from napari_nic.editing.operations.simplifying import simplified, simplified_near
from napari_nic.editing.operations.snapping import Snapper
from napari_nic.editing.operations.strokes import Brush, BrushShape, Sweep, erased, painted, swept
from napari_nic.editing.operations.wands import ColorWand, wand_by_color, wand_by_similarity

__all__ = [
    "Area",
    "Brush",
    "BrushShape",
    "ColorWand",
    "Snapper",
    "Sweep",
    "area_of",
    "area_of_mask",
    "area_text",
    "area_um2",
    "carried",
    "common",
    "erased",
    "expanded",
    "filled",
    "in_px",
    "in_um",
    "inverted",
    "length_text",
    "length_um",
    "merged",
    "n_holes",
    "painted",
    "parts_of",
    "rough_outlines",
    "simplified",
    "simplified_near",
    "size_text",
    "split",
    "subtracted",
    "swept",
    "transferred",
    "united",
    "wand_by_color",
    "wand_by_similarity",
    "without",
    "without_specks",
]
