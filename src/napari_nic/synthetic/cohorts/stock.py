"""Windows of real tissue that slides are composed of: all tumour or all normal by an expert's outline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.patches.tiles import Tile, TileFolder, load_tiles
from napari_nic.synthetic.cohorts.parts import PARTS, deal_groups
from napari_nic.telling import LeftOut, tell

WINDOW_UM = 80.0
"""Side of a window: a little more than a patch of 64 um, so that most patches hold one or two windows."""

STEP_PX = 8
"""Windows are taken at multiples of this."""

TUMOUR_LEAST, NORMAL_MOST = 0.9, 0.02
"""Shares of a window within the outline: outlines leave out gaps between nests, but no nest."""

BRIGHT = 215
BRIGHT_MOST = 0.5
"""A window is no tissue if more than this share of it is brighter, in every channel."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A tile and where windows can be taken.

    Attributes
    ----------
    image : ndarray of uint8, (h, w, 3), RGB
    source : str
        Folder: windows of one slide come from one folder, since folders differ in stain and scanner.
    group : str
        Slide or patient.
    tumour, normal : ndarray of int32, (n, 2)
        (y, x) of the corners of windows of either kind.
    """

    image: np.ndarray
    source: str
    group: str
    tumour: np.ndarray
    normal: np.ndarray

    def corners(self, *, tumour: bool) -> np.ndarray:
        """Corners (n, 2) of one kind."""
        return self.tumour if tumour else self.normal


@dataclass(frozen=True)
class TissueFolders:
    """Where real tissue is found.

    Attributes
    ----------
    tumour : tuple of TileFolder
        Tiles with outlines of tumour in a folder ``masks``; what is outside the outlines is normal tissue.
    normal : tuple of TileFolder
        Tiles without tumour; they join the normal tissue of all slides, with and without a lesion.
    """

    tumour: tuple[TileFolder, ...]
    normal: tuple[TileFolder, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form: folders' names, not where they lie."""
        return {
            kind: [{"folder": f.path.name, "mpp": f.mpp, "group": f.group} for f in folders]
            for kind, folders in (("tumour", self.tumour), ("normal", self.normal))
        }


@dataclass(frozen=True, eq=False)
class TissueStock:
    """Pictures at one resolution.

    Attributes
    ----------
    pictures : tuple of Picture
    window : int
        Side of a window, px.
    skipped : tuple of (Path, str)
        Files that could not be used, and why.
    """

    pictures: tuple[Picture, ...]
    window: int
    skipped: tuple[tuple[Path, str], ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Folders that have windows of both kinds, which a slide can be composed of; sorted."""
        both = [{p.source for p in self.pictures if len(p.corners(tumour=t))} for t in (True, False)]
        return tuple(sorted(both[0] & both[1]))

    def of_groups(self, groups: Collection[str]) -> TissueStock:
        """Keep the pictures of some slides or patients."""
        return replace(self, pictures=tuple(p for p in self.pictures if p.group in groups))

    def pictures_of(self, source: str, *, tumour: bool) -> tuple[Picture, ...]:
        """Pictures with windows of a kind for a slide of a source: its own, and those of normal folders."""
        lonely = {p.source for p in self.pictures} - {p.source for p in self.pictures if len(p.tumour)}
        wanted = {source} if tumour else {source, *lonely}
        return tuple(p for p in self.pictures if p.source in wanted and len(p.corners(tumour=tumour)))


def load_stock(folders: TissueFolders, *, mpp: float) -> TissueStock:
    """Read tiles and find their windows.

    Parameters
    ----------
    folders : TissueFolders
    mpp : float
        Of the slides that will be composed, um/px.

    Raises
    ------
    InvalidParameterError
        If no folder has windows of tumour and of normal tissue.
    """
    window = round(WINDOW_UM / mpp)
    marked = load_tiles(folders.tumour, mpp=mpp, least_side=window)
    skipped = list(marked.skipped)
    skipped += [(Path(tile.group), "no outline of its tumour") for tile in marked.tiles if tile.mask is None]
    pictures = [_picture(tile, window) for tile in marked.tiles if tile.mask is not None]
    if folders.normal:
        plain = load_tiles(folders.normal, mpp=mpp, least_side=window)
        skipped += plain.skipped
        pictures += [_picture(replace(tile, mask=_empty(tile)), window) for tile in plain.tiles]
    for tile in marked.tiles:
        if tile.mask is None:
            tell(LeftOut(tile.group, "no outline of its tumour"))
    used = tuple(picture for picture in pictures if len(picture.tumour) or len(picture.normal))
    stock = TissueStock(used, window, tuple(skipped))
    if not stock.sources:
        raise InvalidParameterError(
            "no folder has both tumour and normal tissue to compose slides of",
            expected=f"squares of {WINDOW_UM:g} um wholly inside, and wholly outside, of an outline",
            found=", ".join(f.path.name for f in folders.tumour) or "no folder",
            hint="check the um per pixel, and that masks lie in a folder called masks",
        )
    return stock


def split_stock(stock: TissueStock, *, seed: int) -> dict[str, TissueStock]:
    """Share a stock out to train, validation and test by slide or patient, each folder by itself.

    A folder with fewer than three groups teaches only.

    Raises
    ------
    InvalidParameterError
        If a part would have no folder with both kinds of tissue.
    """
    groups: dict[str, list[str]] = {part: [] for part in PARTS}
    for source in sorted({picture.source for picture in stock.pictures}):
        names = sorted({picture.group for picture in stock.pictures if picture.source == source})
        for part, dealt in deal_groups(names, seed=seed).items():
            groups[part] += dealt
    parts = {part: stock.of_groups(groups[part]) for part in PARTS}
    lacking = [part for part, share in parts.items() if not share.sources]
    if lacking:
        raise InvalidParameterError(
            "too few slides or patients for train, validation and test",
            expected="in one folder at least three, each with tumour and normal tissue",
            found=f"none for {', '.join(lacking)}",
            hint="add tiles of other slides, or name the groups by a regular expression (--group)",
        )
    return parts


def _picture(tile: Tile, window: int) -> Picture:
    assert tile.mask is not None  # noqa: S101 - tiles without were sorted out
    inside = _share(tile.mask, window)
    tissue = _share(tile.image.min(axis=2) > BRIGHT, window) <= BRIGHT_MOST
    return Picture(
        image=tile.image,
        source=tile.group.partition("/")[0],
        group=tile.group,
        tumour=_corners(tissue & (inside >= TUMOUR_LEAST)),
        normal=_corners(tissue & (inside <= NORMAL_MOST)),
    )


def _share(mask: np.ndarray, window: int) -> np.ndarray:
    """Share of each window that is True, at every ``STEP_PX``: float64 (rows, cols)."""
    total = cv2.integral(mask.astype(np.uint8))
    near, far = slice(0, -window, STEP_PX), slice(window, None, STEP_PX)
    sums = total[far, far] - total[near, far] - total[far, near] + total[near, near]
    return np.asarray(sums / window**2)


def _corners(usable: np.ndarray) -> np.ndarray:
    return (np.argwhere(usable) * STEP_PX).astype(np.int32)


def _empty(tile: Tile) -> np.ndarray:
    return np.zeros(tile.image.shape[:2], bool)


def draw_pictures(
    pictures: Sequence[Picture], count: int, *, tumour: bool, rng: np.random.Generator
) -> tuple[Picture, ...]:
    """Choose pictures for one slide, those with more windows more often.

    Parameters
    ----------
    pictures : sequence of Picture
        Each has windows of the kind.
    count : int
        At most.
    tumour : bool
        The kind.
    rng : numpy.random.Generator
    """
    weights = np.array([len(picture.corners(tumour=tumour)) for picture in pictures], float)
    size = min(count, len(pictures))
    chosen = rng.choice(len(pictures), size, replace=False, p=weights / weights.sum())
    return tuple(pictures[index] for index in chosen)
