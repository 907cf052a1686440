"""Annotations that are not in the frame of the slide: counted from its scanned part, or of another slide."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import shapely

from napari_nic.annotations.model import AnnotationSet
from napari_nic.errors import AnnotationError
from napari_nic.geometry import RegionPx
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted

Frame = Literal["slide", "scan"]

RIM = 0.01
"""People draw a little over the edge: this share of the scanned part's sides."""


def counts_from_bounds(annotations: AnnotationSet, bounds: RegionPx | None) -> bool:
    """Whether annotations lie on the scanned part of a slide only when they are moved by its corner.

    QuPath counts from there. Where they lie on it either way nothing is said, since nothing tells which is
    meant.

    Parameters
    ----------
    annotations : AnnotationSet
        Level-0 pixels, as the file has them.
    bounds : RegionPx or None
        The scanned part in level-0 pixels from the slide's corner, see
        :attr:`~napari_nic.slides.Slide.bounds`.
    """
    if bounds is None or (bounds.y, bounds.x) == (0, 0) or len(annotations) == 0:
        return False
    return not _lie_on(annotations, bounds) and _lie_on(annotations.shifted(bounds.x, bounds.y), bounds)


def n_outside(annotations: AnnotationSet, shape: tuple[int, int]) -> int:
    """Number of annotations that have no point on a slide of `shape` (rows, cols)."""
    return int(is_outside(annotations, shape).sum())


def is_outside(annotations: AnnotationSet, shape: tuple[int, int]) -> np.ndarray:
    """Say of each annotation whether it has no point on a slide of `shape` (rows, cols); bool (N,)."""
    height, width = shape
    geometries = np.array([*(a.geometry for a in annotations.annotations), None], object)[:-1]
    left, top, right, bottom = shapely.bounds(geometries).reshape(-1, 4).T
    return np.asarray((right < 0) | (bottom < 0) | (left > width) | (top > height))


def on_slide(
    annotations: AnnotationSet,
    shape: tuple[int, int],
    bounds: RegionPx | None,
    counted_from: Frame | None = None,
) -> AnnotationSet:
    """Return annotations in the frame of the slide, or refuse them; tell of shapes that lie outside of it.

    Parameters
    ----------
    annotations : AnnotationSet
        As the file has them.
    shape : (int, int)
        (rows, cols) of level 0.
    bounds : RegionPx or None
        Its scanned part.
    counted_from : {"slide", "scan"}, optional
        What the user says that they count from; without, what looks as if it counted from the scanned part is
        refused.

    Raises
    ------
    AnnotationError
        As of :func:`check_frame`, or if the scanned part is not known.
    """
    if counted_from == "scan":
        if bounds is None:
            raise AnnotationError(
                "it is not known where the scanned part of the slide begins",
                path=annotations.source or None,
                expected="a slide that says which part of it was scanned",
            )
        annotations = annotations.shifted(bounds.x, bounds.y)
    check_frame(annotations, shape, None if counted_from else bounds)
    outside = n_outside(annotations, shape)
    if outside:
        text = f"{outside:,} of {counted(len(annotations), 'shape')} lie outside of the slide"
        tell(Notices(Path(annotations.source).name, (text,)))
    return annotations


def check_frame(annotations: AnnotationSet, shape: tuple[int, int], bounds: RegionPx | None) -> None:
    """Refuse annotations that do not lie on the slide, before anything is computed from them.

    Parameters
    ----------
    annotations : AnnotationSet
    shape : (int, int)
        (rows, cols) of level 0.
    bounds : RegionPx or None
        Its scanned part.

    Raises
    ------
    AnnotationError
        If they count from the scanned part, or all lie outside of the slide.
    """
    if counts_from_bounds(annotations, bounds) and bounds is not None:
        raise AnnotationError(
            "the annotations count from the scanned part of the slide, not from its corner",
            path=annotations.source or None,
            found=f"a scanned part that begins at x {bounds.x:,}, y {bounds.y:,} px",
            hint="QuPath writes them so: say --annotation-from scan, or open them in the window",
        )
    if len(annotations) and n_outside(annotations, shape) == len(annotations):
        raise AnnotationError(
            "all annotations lie outside of the slide",
            path=annotations.source or None,
            expected=f"shapes within {shape[1]:,} x {shape[0]:,} px",
            hint="they may belong to another slide, or be in another unit or frame",
        )


def _lie_on(annotations: AnnotationSet, bounds: RegionPx) -> bool:
    left, top, right, bottom = shapely.total_bounds([a.geometry for a in annotations.annotations])
    rim_y, rim_x = bounds.height * RIM, bounds.width * RIM
    return bool(
        left >= bounds.x - rim_x
        and top >= bounds.y - rim_y
        and right <= bounds.right + rim_x
        and bottom <= bounds.bottom + rim_y
    )
