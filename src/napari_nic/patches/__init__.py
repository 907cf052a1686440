"""Patches for training and evaluation: where they come from, and how they are drawn."""

from napari_nic.patches.model import PairBatch, PatchBatch, PatchSource
from napari_nic.patches.tiles import LoadedTiles, Tile, TileFolder, load_tiles, split_tiles
from napari_nic.patches.tileset import TileSet

__all__ = [
    "LoadedTiles",
    "PairBatch",
    "PatchBatch",
    "PatchSource",
    "Tile",
    "TileFolder",
    "TileSet",
    "load_tiles",
    "split_tiles",
]
