"""Patches of the open slides to train on: squares of tissue, read once and kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.patches import Tile, TileSet, split_tiles
from napari_nic.slides import Slide
from napari_nic.tissue import find_tissue

REGION_PX = 256
"""Side of the squares; patches lie anywhere in them, and those side by side still fit in."""

MOST_REGIONS = 256
"""In all: 48 MiB, enough that a small encoder does not learn them by heart in a few thousand steps."""

MIN_TISSUE = 0.5
"""Least share of a square that is tissue."""

HELD_OUT = 0.1
SLIDES_TO_HOLD_OUT = 4
"""With fewer slides, squares and not slides are held out: a whole slide less would be missed too much."""


@dataclass(frozen=True, eq=False)
class SlidePatches:
    """What was read of the slides; a training set in the sense of :mod:`napari_nic.training.sets`.

    Attributes
    ----------
    tiles : tuple of Tile
        Squares of tissue; the group is the slide, or with a single slide the square itself.
    mpp : float
        um/px.
    slides : tuple of str
        Names of the slides that gave any.
    skipped : tuple of (str, str)
        Slides that gave none, and why.
    """

    tiles: tuple[Tile, ...]
    mpp: float
    slides: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def split(self, *, seed: int) -> tuple[list[Tile], list[Tile]]:
        """Return (to train on, held out): whole slides where there are enough, else squares."""
        by_slide = len(self.slides) >= SLIDES_TO_HOLD_OUT
        if by_slide:
            return split_tiles(self.tiles, held_out=HELD_OUT, seed=seed)
        order = np.random.default_rng(seed).permutation(len(self.tiles))
        away = set(order[: max(1, round(HELD_OUT * len(order)))] if len(order) > 1 else [])
        kept = [tile for index, tile in enumerate(self.tiles) if index not in away]
        return kept, [tile for index, tile in enumerate(self.tiles) if index in away]

    def sources(self, size: int, *, seed: int) -> tuple[TileSet, TileSet | None]:
        """Return (to train on, held out) as sources of patches of `size` px."""
        kept, away = self.split(seed=seed)
        train = TileSet(kept, size, mpp=self.mpp)
        return train, TileSet(away, size, mpp=self.mpp) if away else None

    @property
    def facts(self) -> dict[str, object]:
        """For the encoder's model card."""
        by_slide = len(self.slides) >= SLIDES_TO_HOLD_OUT
        return {
            "slides": list(self.slides),
            "squares": len(self.tiles),
            "held_out": "slides" if by_slide else "squares of the same slides",
        }


def read_slides(
    slides: Sequence[Slide], mpp: float, *, seed: int, token: CancellationToken
) -> Iterator[Progress | SlidePatches]:
    """Read squares of tissue of all slides; the same slides and seed give the same squares.

    Parameters
    ----------
    slides : sequence of Slide
    mpp : float
        Resolution wanted, um/px.

    Yields
    ------
    Progress, and SlidePatches at last

    Raises
    ------
    InvalidParameterError
        If no slide gives any; the text says why.
    CancelledError
    """
    tiles: list[Tile] = []
    skipped: list[tuple[str, str]] = []
    used: list[str] = []
    per_slide = max(1, MOST_REGIONS // max(1, len(slides)))
    for done, slide in enumerate(slides):
        yield Progress(done, len(slides), f"reading {slide.name}", "slides")
        token.checkpoint()
        try:
            read = list(_squares(slide, mpp, per_slide, seed=seed, token=token))
        except (NicError, OSError) as error:
            token.checkpoint()
            skipped.append((slide.name, error.problem if isinstance(error, NicError) else str(error)))
            continue
        if read:
            used.append(slide.name)
            tiles += _grouped(read, slide.name, single=len(slides) == 1)
        else:
            skipped.append((slide.name, "no square of tissue"))
    if not tiles:
        raise _no_patches(mpp, skipped)
    yield SlidePatches(tuple(tiles), mpp, tuple(used), tuple(skipped))


def _no_patches(mpp: float, skipped: Sequence[tuple[str, str]]) -> InvalidParameterError:
    return InvalidParameterError(
        "the open slides give no patches to train on",
        expected=f"squares of {REGION_PX * mpp:g} micrometres that are at least {MIN_TISSUE:.0%} tissue",
        found="; ".join(f"{name}: {why}" for name, why in skipped) or "no slide",
    )


def _grouped(images: list[np.ndarray], name: str, *, single: bool) -> list[Tile]:
    return [Tile(image, f"{name}/{index}" if single else name) for index, image in enumerate(images)]


def _squares(
    slide: Slide, mpp: float, most: int, *, seed: int, token: CancellationToken
) -> Iterator[np.ndarray]:
    """Yield (REGION_PX, REGION_PX, 3) uint8 of tissue, at most so many, drawn by the slide's fingerprint."""
    pixel = slide.require_pixel_size()
    grid = PatchGrid.plan(slide.level_geometries, pixel, patch_size=REGION_PX, mpp=mpp)
    cells = np.argwhere(find_tissue(slide, token=token).cells(grid, min_fraction=MIN_TISSUE))
    rng = np.random.default_rng([seed, int(slide.fingerprint.partition(":")[2], 16)])
    chosen = np.sort(rng.permutation(len(cells))[:most])  # row by row: a tile of the file is decoded once
    method = cv2.INTER_AREA if grid.patch_px > REGION_PX else cv2.INTER_LINEAR
    for row, col in cells[chosen]:
        token.checkpoint()
        square = slide.read_region(grid.level, grid.patch_region(int(row), int(col)))
        yield cv2.resize(square, (REGION_PX, REGION_PX), interpolation=method)
