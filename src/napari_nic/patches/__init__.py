"""Patches for training and evaluation: where they come from, and how they are drawn.

Public modules beside this list: ``tiles``, ``tileset``.
"""

from napari_nic.patches.extract import ExtractProgress, ExtractRecipe, extract_patches
from napari_nic.patches.model import ADJACENT_SHARE, FixedPatches, PairBatch, PatchBatch, PatchSource
from napari_nic.patches.records import PatchOrigin, StoreRecord
from napari_nic.patches.slide_patches import SlideOptions
from napari_nic.patches.splits import split_by_group
from napari_nic.patches.store import PatchStore
from napari_nic.patches.stored import StoredPatches
from napari_nic.patches.tiles import LoadedTiles, Tile, TileFolder, load_tiles, split_tiles
from napari_nic.patches.tileset import TileSet

__all__ = [
    "ADJACENT_SHARE",
    "ExtractProgress",
    "ExtractRecipe",
    "FixedPatches",
    "LoadedTiles",
    "PairBatch",
    "PatchBatch",
    "PatchOrigin",
    "PatchSource",
    "PatchStore",
    "SlideOptions",
    "StoreRecord",
    "StoredPatches",
    "Tile",
    "TileFolder",
    "TileSet",
    "extract_patches",
    "load_tiles",
    "split_by_group",
    "split_tiles",
]
