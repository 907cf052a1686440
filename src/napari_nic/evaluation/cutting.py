"""Labelled patches at the size and resolution that an encoder sees them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_nic.encoders import EncoderSpec
from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.labels import Place, TilePatches
from napari_nic.evaluation.sets import LabelledSet
from napari_nic.jobs import CancellationToken
from napari_nic.patches import Tile, TileFolder
from napari_nic.patches.tiles import load_tile, tile_files
from napari_nic.patches.tileset import GLASS
from napari_nic.telling import LeftOut, tell

PATCHES_PER_TILE = 16
LEAST_TISSUE = 0.2
"""Patches with a smaller share of stained pixels are dropped."""

LEAST_COLOR = 15
"""Difference between a stained pixel's channels: glass may be grey, and darker than white."""


@dataclass(frozen=True)
class Sight:
    """What an encoder sees of a slide: patches of `side` pixels at `mpp` um/px, after area averaging."""

    side: int
    mpp: float

    @classmethod
    def of(cls, spec: EncoderSpec) -> Sight:
        """Return what an encoder's network gets: a patch averaged to the size of its input."""
        return cls(spec.input_size, spec.mpp * spec.patch_size / spec.input_size)


@dataclass(frozen=True, eq=False)
class LabelledPatches:
    """Patches with their class, group and tile.

    Attributes
    ----------
    images : ndarray of uint8, (n, s, s, 3), RGB
    labels : ndarray of int64, (n,)
        Index into `class_names`.
    groups : ndarray of str, (n,)
        Slide or patient.
    tiles : ndarray of int64, (n,)
        Number of the tile that a patch is from.
    class_names : tuple of str
        Sorted.
    left_out : mapping of str to int
        Reason to number of tiles or patches.
    """

    images: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    tiles: np.ndarray
    class_names: tuple[str, ...]
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)


def cut_set(
    labelled: LabelledSet,
    sight: Sight,
    *,
    patches_per_tile: int = PATCHES_PER_TILE,
    token: CancellationToken | None = None,
) -> LabelledPatches:
    """Cut the labelled patches of a set: in rows and columns that cover each tile, without glass.

    Parameters
    ----------
    labelled : LabelledSet
    sight : Sight
        Each tile is averaged (or, if it is too coarse, enlarged) once to this resolution, which gives the
        pixels that compressing a slide gives.
    patches_per_tile : int
        Of a tile with more, this many are taken, chosen by the tile's place in the set.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If the folder is missing, or no patch has a class.
    CancelledError
    """
    if not labelled.folder.is_dir():
        raise InvalidParameterError(
            f"the folder of the set {labelled.name!r} is not there", path=labelled.folder
        )
    cutter = _Cutter(labelled, sight, patches_per_tile)
    for file in tile_files(labelled.folder):
        if token is not None:
            token.checkpoint()
        cutter.add(file)
    return cutter.result()


def cover(length: int, side: int) -> list[int]:
    """Return where patches start so that they cover a length evenly, overlapping where they must."""
    count = -(-length // side)
    return [round(place) for place in np.linspace(0, length - side, count)]


def stained_share(image: np.ndarray) -> float:
    """Return the share of pixels (h, w, 3) that are neither bright nor grey."""
    darkest, brightest = image.min(axis=2), image.max(axis=2)
    return float(((darkest < GLASS) & (brightest - darkest >= LEAST_COLOR)).mean())


class _Cutter:
    def __init__(self, labelled: LabelledSet, sight: Sight, patches_per_tile: int) -> None:
        self._set, self._sight, self._most = labelled, sight, patches_per_tile
        self._folder = TileFolder(labelled.folder, labelled.mpp, labelled=True, group=labelled.group)
        self._images: list[np.ndarray] = []
        self._names: list[str] = []
        self._groups: list[str] = []
        self._tiles: list[int] = []
        self._left_out: Counter[str] = Counter()
        self._count = 0

    def add(self, file: Path) -> None:
        """Cut one tile, or note why it has no patches."""
        self._count += 1
        tile = load_tile(file, self._folder, self._sight.mpp)
        if tile is None:
            self._left_out["tiles that are no readable picture"] += 1
            tell(LeftOut(str(file), "not a readable picture"))
            return
        if min(tile.image.shape[:2]) < self._sight.side:
            self._left_out["tiles smaller than a patch"] += 1
            return
        places = self._places(tile)
        labels = self._set.rule.label(TilePatches(file, tile, places, self._sight.side))
        if all(label is None for label in labels):
            self._left_out["tiles without a class"] += 1
            return
        for place, label in zip(places, labels, strict=True):
            self._take(tile, place, label)

    def _places(self, tile: Tile) -> list[Place]:
        height, width = tile.image.shape[:2]
        side = self._sight.side
        places = [(y, x) for y in cover(height, side) for x in cover(width, side)]
        if len(places) > self._most:
            chosen = np.random.default_rng(self._count).choice(len(places), self._most, replace=False)
            places = [places[index] for index in sorted(chosen)]
        return places

    def _take(self, tile: Tile, place: Place, label: str | None) -> None:
        y, x = place
        image = tile.image[y : y + self._sight.side, x : x + self._sight.side]
        if label is None:
            self._left_out["patches between two classes"] += 1
        elif stained_share(image) < LEAST_TISSUE:
            self._left_out["patches of glass"] += 1
        else:
            self._images.append(image)
            self._names.append(label)
            self._groups.append(tile.group)
            self._tiles.append(self._count)

    def result(self) -> LabelledPatches:
        """Join what was taken."""
        if not self._images:
            raise InvalidParameterError(
                f"the set {self._set.name!r} has no labelled patch",
                path=self._set.folder,
                expected=f"tiles of at least {self._sight.side * self._sight.mpp:g} um with a class",
                found=", ".join(f"{count} {why}" for why, count in self._left_out.items()) or "no pictures",
                hint="check the um per pixel (--set NAME=FOLDER@UM) and the rule for labels of --sets",
            )
        names, labels = np.unique(self._names, return_inverse=True)
        return LabelledPatches(
            np.stack(self._images),
            labels.astype(np.int64),
            np.array(self._groups),
            np.array(self._tiles, np.int64),
            tuple(str(name) for name in names),
            dict(self._left_out),
        )
