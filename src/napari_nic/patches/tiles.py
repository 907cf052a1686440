"""Patches drawn at random places of pictures: tiles of any size, with a class, an outline mask or neither."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.grid import MPP_TOLERANCE
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import TILE_SUFFIXES
from napari_nic.patches.splits import split_by_group
from napari_nic.telling import LeftOut, tell

MASK_FOLDER = "masks"
MASK_LEVEL = 128
"""Masks are saved as pictures, some of them as JPEG: brighter than the middle is inside."""


@dataclass(frozen=True)
class TileFolder:
    """A folder of tiles of one resolution.

    Attributes
    ----------
    path : Path
        Searched recursively; folders called ``masks`` are left out.
    mpp : float
        Of the tiles, um/px.
    labelled : bool
        Whether the folder that a tile lies in, directly below `path`, is its class.
    group : str
        Regular expression searched in a tile's file name; what its first group (or all of it) matches names
        the slide or patient. Empty, or no match: every tile is a group of its own.
    """

    path: Path
    mpp: float
    labelled: bool = False
    group: str = ""


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture to draw patches from.

    Attributes
    ----------
    image : ndarray of uint8, (h, w, 3), RGB
    group : str
        Slide or patient.
    class_name : str or None
        Of the whole tile.
    mask : ndarray of bool, (h, w), or None
        Expert outline.
    """

    image: np.ndarray
    group: str
    class_name: str | None = None
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class LoadedTiles:
    """Tiles at one resolution, and the files that could not be used.

    Attributes
    ----------
    tiles : tuple of Tile
    skipped : tuple of (Path, str)
        File and reason.
    """

    tiles: tuple[Tile, ...]
    skipped: tuple[tuple[Path, str], ...]


def load_tiles(
    folders: Iterable[TileFolder], *, mpp: float, least_side: int, token: CancellationToken | None = None
) -> LoadedTiles:
    """Read tiles, and masks of the same name, and bring them to one resolution by area averaging.

    Parameters
    ----------
    folders : iterable of TileFolder
    mpp : float
        Resolution wanted, um/px.
    least_side : int
        Tiles that are smaller than this after resampling are skipped.
    token : CancellationToken, optional
        Asked at each tile.

    Raises
    ------
    InvalidParameterError
        If no tile at all can be used.
    """
    tiles: list[Tile] = []
    skipped: list[tuple[Path, str]] = []
    for folder in folders:
        for file in checked(tile_files(folder.path), token):
            tile = load_tile(file, folder, mpp)
            if tile is None:
                skipped.append((file, "not a readable picture"))
            elif min(tile.image.shape[:2]) < least_side:
                height, width = tile.image.shape[:2]
                skipped.append((file, f"only {width} x {height} px at {mpp:g} um/px"))
            else:
                tiles.append(tile)
    if not tiles:
        raise InvalidParameterError(
            "no tile can be used",
            expected=f"pictures of at least {least_side} px at {mpp:g} um/px",
            found="; ".join(f"{file}: {why}" for file, why in skipped[:5]) or "no picture files",
        )
    for file, why in skipped:
        tell(LeftOut(str(file), why))
    return LoadedTiles(tuple(tiles), tuple(skipped))


def tile_files(folder: Path) -> list[Path]:
    """List the pictures below a folder, sorted, without those in folders called ``masks``."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in TILE_SUFFIXES)
    return sorted(file for file in files if MASK_FOLDER not in file.relative_to(folder).parts)


def load_tile(file: Path, folder: TileFolder, mpp: float) -> Tile | None:
    """Read one tile, and its mask if there is one, at `mpp` um/px; None if either is no readable picture."""
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        return None
    group = group_in(file.name, folder.group) or file.relative_to(folder.path).as_posix()
    parts = file.relative_to(folder.path).parts
    tile = Tile(
        image=resample(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), folder.mpp / mpp),
        group=f"{folder.path.name}/{group}",
        class_name=parts[0] if folder.labelled and len(parts) > 1 else None,
    )
    outline = mask_of(file, folder)
    if outline is None:
        return tile
    mask = cv2.imread(str(outline), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        return None
    height, width = tile.image.shape[:2]
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return replace(tile, mask=mask >= MASK_LEVEL)


def mask_of(file: Path, folder: TileFolder) -> Path | None:
    """Return the picture in the folder ``masks`` that is called like a tile, whatever its suffix."""
    names = (folder.path / MASK_FOLDER / f"{file.stem}{suffix}" for suffix in TILE_SUFFIXES)
    return next((name for name in names if name.is_file()), None)


def group_in(name: str, pattern: str) -> str | None:
    """Return what the regular expression's first group, or all of it, finds in a file name, or None."""
    match = re.search(pattern, name) if pattern else None
    if match is None:
        return None
    return match.group(1) if match.re.groups else match.group(0)


def resample(image: np.ndarray, factor: float) -> np.ndarray:
    """Return `image` with its sides `factor` times as long: area averages when it shrinks, else bilinear."""
    if abs(factor - 1) <= MPP_TOLERANCE:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)


def split_tiles(tiles: Sequence[Tile], *, held_out: float, seed: int) -> tuple[list[Tile], list[Tile]]:
    """Split by group: every patch of a slide or patient falls on one side, classes on both where possible.

    Parameters
    ----------
    tiles : sequence of Tile
    held_out : float
        Share of the tiles that is held out, at least one group (when there are two).
    seed : int

    Returns
    -------
    kept, held_out : list of Tile
    """
    groups = [tile.group for tile in tiles]
    if len(set(groups)) < 2:
        return list(tiles), []
    names = sorted({tile.class_name or "" for tile in tiles})
    labels = np.array([names.index(tile.class_name or "") for tile in tiles])
    kept, away = split_by_group(groups, (1 - held_out, held_out), labels=labels, seed=seed)
    return [tiles[index] for index in kept], [tiles[index] for index in away]
