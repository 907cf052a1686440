"""Patches of whole slides: cells of tissue, chosen at random up to a cap, with a class where one is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from napari_nic.annotations import UNCLASSIFIED, AnnotationSet, SlideExtent, rasterise, read_annotations
from napari_nic.annotations.frames import Frame, on_slide
from napari_nic.errors import AnnotationError, DamagedSlideError, InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import (
    ANNOTATION_SUFFIXES,
    CLAIMED_ANNOTATIONS,
    known_suffix,
    slide_stem,
    without_suffix,
)
from napari_nic.patches.choosing import choose_balanced, choose_with_neighbours
from napari_nic.patches.cuts import DAMAGED, NO_CLASS, OVER_CAP, Source, SourceCut
from napari_nic.patches.records import PatchOrigin
from napari_nic.patches.tiles import group_in
from napari_nic.patches.tileset import INSIDE, OUTSIDE
from napari_nic.patches.writing import PatchPiece
from napari_nic.slides import Selection, Slide, open_slide
from napari_nic.tissue import find_tissue

MIN_TISSUE = 0.6
"""Least share of a patch that is tissue: that of the authors' code, above which a patch counts as tissue."""

PER_SLIDE = 1000

PIECE = 128
"""Patches read at a time."""

_BLOCK = 16  # cells: patches are read block by block, so that a native tile is decoded once
_NO_CLASS_INDEX = -1


@dataclass(frozen=True)
class SlideOptions:
    """How patches are taken from slides.

    Attributes
    ----------
    per_slide : int
        Most patches of one slide, chosen at random, two side by side wherever possible, so that adjacent
        pairs can be drawn; on annotated slides each by itself, and the same number of each class if there
        are enough.
    min_tissue : float
        Least share of a patch that is tissue, 0 to 1.
    group : str
        Regular expression for the file name as in :class:`~napari_nic.patches.TileFolder`; every slide is a
        group of its own without it.
    annotated : bool
        Whether patches are of the class of the area that covers more than half of them, and others are left
        out. The annotation file is called like the slide.
    annotations : Path, optional
        Folder of the annotation files; the slide's own by default.
    annotation_from : {"slide", "scan"}, optional
        What annotations count from: the slide's corner, or that of its scanned part, as QuPath does. Without,
        those that look as if they counted from the scanned part are refused.
    rest : str, optional
        Class of patches that no annotated area touches.
    mpp : float, optional
        Level-0 um/px of all slides, whatever their files say.
    channels : tuple of str or int, optional
        Channels of slides that hold no RGB picture.
    selection : Selection, optional
        Scene and planes of slides that hold several.
    color : {"srgb", "raw"}
        Whether embedded colour profiles are applied.
    """

    per_slide: int = PER_SLIDE
    min_tissue: float = MIN_TISSUE
    group: str = ""
    annotated: bool = False
    annotations: Path | None = None
    annotation_from: Frame | None = None
    rest: str | None = None
    mpp: float | None = None
    channels: tuple[str | int, ...] | None = None
    selection: Selection | None = None
    color: Literal["srgb", "raw"] = "srgb"


@dataclass(frozen=True)
class _Wanted:
    """What is asked of all slides of an extraction."""

    size: int
    mpp: float
    seed: int
    options: SlideOptions
    token: CancellationToken


def slide_source(
    path: Path, size: int, mpp: float, *, seed: int, options: SlideOptions, token: CancellationToken
) -> Source:
    """Name a slide that patches are to be taken from; it is opened when its turn comes.

    The choice follows from the seed and the slide's fingerprint, so that it does not depend on which other
    slides are there.
    """
    return Source(path.name, partial(_cut_slide, path, _Wanted(size, mpp, seed, options, token)))


@contextmanager
def _cut_slide(path: Path, wanted: _Wanted) -> Iterator[SourceCut]:
    options = wanted.options
    with open_slide(
        path,
        mpp=options.mpp,
        color=options.color,
        channels=options.channels,
        selection=options.selection,
    ) as slide:
        pixel = slide.require_pixel_size()
        grid = PatchGrid.plan(slide.level_geometries, pixel, patch_size=wanted.size, mpp=wanted.mpp)
        is_tissue = find_tissue(slide, token=wanted.token).cells(grid, min_fraction=options.min_tissue)
        is_tissue &= _inside_the_slide(slide, grid)
        names, kinds = _classes(slide, path, grid, options)
        cells, left_out = _choose(is_tissue, kinds, _rng(slide, wanted.seed), options)
        group = group_in(path.name, options.group) or slide.name
        step = grid.patch_px * grid.downsample[0], grid.patch_px * grid.downsample[1]
        origin = PatchOrigin(path.name, group, "slide", pixel.mean, step, slide.fingerprint, left_out)
        classes = [names[kind] if names else None for kind in kinds[tuple(cells.T)]]
        yield SourceCut(origin, _pieces(slide, grid, cells, classes))


def _inside_the_slide(slide: Slide, grid: PatchGrid) -> np.ndarray:
    """Cells whose patch does not pass the slide's edge, (rows, cols) bool."""
    height, width = slide.levels[grid.level].shape
    rows = np.arange(grid.rows) * grid.stride_px + grid.patch_px <= height
    cols = np.arange(grid.cols) * grid.stride_px + grid.patch_px <= width
    if not (rows.any() and cols.any()):
        raise InvalidParameterError(
            "the slide is smaller than a patch",
            path=slide.path,
            expected=f"at least {grid.patch_px:g} x {grid.patch_px:g} px",
            found=f"{width} x {height} px",
        )
    return np.logical_and.outer(rows, cols)


def _rng(slide: Slide, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(slide.fingerprint.partition(":")[2], 16)])


def _classes(
    slide: Slide, path: Path, grid: PatchGrid, options: SlideOptions
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return class names and the index of each cell's class, -1 for none; no names if none are asked for."""
    if not options.annotated:
        return (), np.zeros(grid.shape, int)
    file = _annotation_file(path, options.annotations or path.parent)
    annotations = read_annotations(file, extent=SlideExtent.of(slide))
    annotations = on_slide(
        annotations,
        slide.levels[0].shape,
        slide.bounds,
        options.annotation_from,
        cut="only what lies on it counts",
    )
    if options.rest is None and not any(
        a.is_area and a.label != UNCLASSIFIED for a in annotations.annotations
    ):
        raise AnnotationError("no area of the annotations has a class", path=file)
    return _rasterise(annotations, grid, options.rest)


def _rasterise(
    annotations: AnnotationSet, grid: PatchGrid, rest: str | None
) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(label for label in annotations.labels() if label != UNCLASSIFIED)
    kinds = np.full(grid.shape, _NO_CLASS_INDEX)
    for index, name in enumerate(names):
        kinds[rasterise(annotations, grid, name) > INSIDE] = index
    if rest is not None:
        if rest not in names:
            names = (*names, rest)
        kinds[rasterise(annotations, grid) < OUTSIDE] = names.index(rest)
    return names, kinds


def _annotation_file(slide: Path, folder: Path) -> Path:
    known = (suffix for own in ANNOTATION_SUFFIXES.values() for suffix in own)
    suffixes = [suffix for suffix in dict.fromkeys(known) if suffix in (*CLAIMED_ANNOTATIONS, ".json")]
    stem = slide_stem(slide)
    files = [
        file
        for file in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if known_suffix(file.name, suffixes) and without_suffix(file.name, suffixes) == stem
    ]
    if not files:
        names = " or ".join(dict.fromkeys(f"{stem}{suffix}" for suffix in suffixes))
        raise AnnotationError("no annotation file of this slide", path=slide, found=f"no {names} in {folder}")
    if len(files) > 1:
        raise AnnotationError(
            "several annotation files of this slide",
            path=slide,
            found=", ".join(file.name for file in files),
            hint="leave one of them in the folder",
        )
    return files[0]


def check_annotations_apart(slides: Sequence[Path], options: SlideOptions) -> None:
    """Make sure that no two slides would take the same annotation file.

    Raises
    ------
    AnnotationError
        If two slides that are to be annotated bear one name.
    """
    if not options.annotated:
        return
    owners: dict[Path, Path] = {}
    for slide in slides:
        place = (options.annotations or slide.parent) / slide_stem(slide)
        first = owners.setdefault(place, slide)
        if first != slide:
            raise AnnotationError(
                f"{first} and {slide} would both be labelled by the annotations of {place.name}",
                path=place.parent,
                hint="rename one of them, or keep each beside annotations of its own",
            )


def _choose(
    is_tissue: np.ndarray, kinds: np.ndarray, rng: np.random.Generator, options: SlideOptions
) -> tuple[np.ndarray, dict[str, int]]:
    """Return the chosen cells, (n, 2), block by block, and how many of the tissue were left out."""
    eligible = np.argwhere(is_tissue & (kinds != _NO_CLASS_INDEX))
    if options.annotated:
        chosen = choose_balanced(kinds[tuple(eligible.T)], options.per_slide, rng)
    else:
        chosen = choose_with_neighbours(eligible, options.per_slide, rng)
    cells = eligible[chosen]
    order = np.lexsort((*cells.T[::-1], *(cells.T[::-1] // _BLOCK)))
    left_out = Counter({NO_CLASS: int(is_tissue.sum()) - len(eligible), OVER_CAP: len(eligible) - len(cells)})
    return cells[order], dict(+left_out)


def _pieces(
    slide: Slide, grid: PatchGrid, cells: np.ndarray, classes: list[str | None]
) -> Iterator[PatchPiece]:
    for start in range(0, len(cells), PIECE):
        part = cells[start : start + PIECE]
        images = np.empty((len(part), grid.patch_size, grid.patch_size, 3), np.uint8)
        good = np.array([_read(slide, grid, cell, target) for cell, target in zip(part, images, strict=True)])
        corners = np.array([grid.patch_corner_px(int(row), int(col)) for row, col in part])
        kept = tuple(name for name, use in zip(classes[start : start + PIECE], good, strict=True) if use)
        left_out = +Counter({DAMAGED: int((~good).sum())})
        yield PatchPiece(images[good], corners[good], kept, left_out)


def _read(slide: Slide, grid: PatchGrid, cell: np.ndarray, target: np.ndarray) -> bool:
    """Read one patch into `target`; False if the slide is damaged there."""
    try:
        patch = slide.read_region(grid.level, grid.patch_region(int(cell[0]), int(cell[1])))
    except DamagedSlideError:
        return False
    # Area averaging is for shrinking only; a slide slightly too coarse is enlarged linearly.
    method = cv2.INTER_AREA if grid.patch_px > grid.patch_size else cv2.INTER_LINEAR
    cv2.resize(patch, (grid.patch_size, grid.patch_size), dst=target, interpolation=method)
    return True


def check_options(options: SlideOptions) -> None:
    """Raise :class:`InvalidParameterError` if the options make no sense."""
    if options.per_slide < 1 or not 0 <= options.min_tissue <= 1:
        raise InvalidParameterError(
            "cap and share of tissue are out of range",
            expected="at least 1 patch a slide, and a share from 0 to 1",
            found=f"{options.per_slide} and {options.min_tissue:g}",
        )
