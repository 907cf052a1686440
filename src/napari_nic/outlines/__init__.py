"""Very many outlines: an index of places, pictures drawn tile by tile, and a cache of what was read of files.

Public modules beside this list: ``cache``, ``preview``, ``reading``, ``values``.
"""

from napari_nic.outlines.index import Found, OutlineIndex
from napari_nic.outlines.pyramid import TILE, OutlinePyramid, Tile

__all__ = ["TILE", "Found", "OutlineIndex", "OutlinePyramid", "Tile"]
