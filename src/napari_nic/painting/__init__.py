"""Class labels painted on a slide of any size: tiles at each stroke's resolution, undo, files, outlines."""

from napari_nic.painting.areas import iter_areas, iter_paint
from napari_nic.painting.files import PaintingFiles, PaintingHeader, iter_repair, read_header
from napari_nic.painting.history import Change
from napari_nic.painting.labels import PaintedLabels
from napari_nic.painting.picture import PaintedPicture
from napari_nic.painting.tiles import MOST_CLASSES, TILE, Tile

__all__ = [
    "MOST_CLASSES",
    "TILE",
    "Change",
    "PaintedLabels",
    "PaintedPicture",
    "PaintingFiles",
    "PaintingHeader",
    "Tile",
    "iter_areas",
    "iter_paint",
    "iter_repair",
    "read_header",
]
