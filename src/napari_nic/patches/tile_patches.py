"""Patches of folders of tiles, cut edge to edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_nic.errors import InvalidParameterError, UnreadableSlideError
from napari_nic.grid import MPP_TOLERANCE
from napari_nic.names import TILE_SUFFIXES
from napari_nic.patches.cuts import NO_CLASS, NO_TISSUE, Source, SourceCut
from napari_nic.patches.records import PatchOrigin
from napari_nic.patches.tiles import Tile, TileFolder, load_tile, mask_of, tile_files
from napari_nic.patches.tileset import GLASS, INSIDE, MASK_CLASSES, OUTSIDE
from napari_nic.patches.writing import PatchPiece

LEAST_TISSUE = 0.2
"""Least share of a tile's patch that is darker than glass."""

MOST_ENLARGED = 2.0
"""Tiles coarser than this many times the wanted um/px would be made of invented pixels."""

_SAMPLED = 4  # px: glass is looked for on every fourth pixel of every fourth row


def tile_sources(folder: TileFolder, size: int, mpp: float, *, least_tissue: float) -> list[Source]:
    """List the tiles of a folder.

    Parameters
    ----------
    folder : TileFolder
        If it is labelled, and all of its tiles have outline masks, the classes are ``inside`` and
        ``outside`` of these, as in :class:`~napari_nic.patches.TileSet`; else the sub-folders.
    size, mpp : int, float
        Of the patches.
    least_tissue : float
        Least share of a patch that is darker than glass.

    Raises
    ------
    InvalidParameterError
        If the folder is not there or holds no pictures, or its tiles are too coarse.
    """
    files = tile_files(folder.path)
    if not files:
        raise InvalidParameterError(
            "no tiles are there", path=folder.path, expected=f"pictures ({' '.join(TILE_SUFFIXES)})"
        )
    if folder.mpp > MOST_ENLARGED * mpp:
        raise InvalidParameterError(
            "the tiles are too coarse for these patches",
            path=folder.path,
            expected=f"at most {MOST_ENLARGED * mpp:g} um/px",
            found=f"{folder.mpp:g} um/px",
            hint="ask for patches of more um/px (--target-mpp)",
        )
    outlined = folder.labelled and all(mask_of(file, folder) is not None for file in files)
    wanted = _Wanted(size, mpp, least_tissue, outlined)
    return [Source(_name(file, folder), partial(_cut_tile, file, folder, wanted)) for file in files]


@dataclass(frozen=True)
class _Wanted:
    """What is asked of all tiles of a folder."""

    size: int
    mpp: float
    least_tissue: float
    outlined: bool


@contextmanager
def _cut_tile(file: Path, folder: TileFolder, wanted: _Wanted) -> Iterator[SourceCut]:
    tile = load_tile(file, folder, wanted.mpp)
    if tile is None:
        raise UnreadableSlideError("not a readable picture", path=file)
    height, width = tile.image.shape[:2]
    if min(height, width) < wanted.size:
        raise InvalidParameterError(f"only {width} x {height} px at {wanted.mpp:g} um/px", path=file)
    if not wanted.outlined:
        tile = replace(tile, mask=None)
    factor = folder.mpp / wanted.mpp
    step = wanted.size / (1.0 if abs(factor - 1) <= MPP_TOLERANCE else factor)
    origin = PatchOrigin(_name(file, folder), tile.group, "tile", folder.mpp, (step, step))
    yield SourceCut(origin, iter([_cut(tile, wanted, step)]))


def _cut(tile: Tile, wanted: _Wanted, step: float) -> PatchPiece:
    patches = _edge_to_edge(tile.image, wanted.size)
    stained = patches[:, :, ::_SAMPLED, ::_SAMPLED].min(axis=-1) < GLASS
    is_tissue = stained.mean(axis=(2, 3)) >= wanted.least_tissue
    classes = _classes(tile, wanted.size)
    # A patch on an outline is of no class; a tile that has none as a whole is kept without a label.
    has_class = classes != NO_CLASS
    taken = is_tissue & has_class
    left_out = Counter({NO_TISSUE: int((~is_tissue).sum()), NO_CLASS: int((is_tissue & ~has_class).sum())})
    return PatchPiece(patches[taken], np.argwhere(taken) * step, tuple(classes[taken]), +left_out)


def _classes(tile: Tile, size: int) -> np.ndarray:
    """Class of each patch, (rows, cols) of str or None; NO_CLASS between inside and outside."""
    if tile.mask is None:
        rows, cols = (side // size for side in tile.image.shape[:2])
        return np.full((rows, cols), tile.class_name, dtype=object)
    shares = _edge_to_edge(tile.mask, size).mean(axis=(2, 3))
    outside, inside = MASK_CLASSES
    classes = np.where(shares > INSIDE, inside, np.where(shares < OUTSIDE, outside, NO_CLASS))
    return np.asarray(classes, object)


def _edge_to_edge(image: np.ndarray, size: int) -> np.ndarray:
    """View (h, w, ...) as patches (rows, cols, size, size, ...); what is left at the edges is dropped."""
    rows, cols = (side // size for side in image.shape[:2])
    whole = image[: rows * size, : cols * size]
    return whole.reshape(rows, size, cols, size, *image.shape[2:]).swapaxes(1, 2)


def _name(file: Path, folder: TileFolder) -> str:
    return f"{folder.path.name}/{file.relative_to(folder.path).as_posix()}"
