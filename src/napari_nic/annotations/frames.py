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
    return not _lie_on(annotations, bounds) and _lie_on(annotations, bounds, (bounds.x, bounds.y))


def n_outside(annotations: AnnotationSet, shape: tuple[int, int]) -> int:
    """Number of annotations that have no point on a slide of `shape` (rows, cols)."""
    return int(is_outside(annotations, shape).sum())


def is_outside(annotations: AnnotationSet, shape: tuple[int, int]) -> np.ndarray:
    """Say of each annotation whether it has no point on a slide of `shape` (rows, cols); bool (N,)."""
    return _lie_beside(_boxes_of(annotations), shape)


def reaches_beyond(annotations: AnnotationSet, shape: tuple[int, int]) -> np.ndarray:
    """Say of each annotation whether it lies on a slide of `shape` (rows, cols) and far beyond it; bool (N,).

    Far is more than :data:`RIM` of its sides.
    """
    return _reach_beyond(_boxes_of(annotations), shape)


def _reach_beyond(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    left, top, right, bottom = boxes
    far_x, far_y = width * RIM, height * RIM
    reaches = (left < -far_x) | (top < -far_y) | (right > width + far_x) | (bottom > height + far_y)
    return np.asarray(reaches & ~_lie_beside(boxes, shape))


def beyond_notes(annotations: AnnotationSet, shape: tuple[int, int], cut: str = "") -> tuple[str, ...]:
    """Say how many annotations do not lie on a slide of `shape` (rows, cols), or not as a whole.

    Parameters
    ----------
    annotations : AnnotationSet
    shape : (int, int)
    cut : str
        What becomes of parts that lie beyond it, if anything does.
    """
    total = counted(len(annotations), "shape")
    boxes = _boxes_of(annotations)
    outside, beyond = int(_lie_beside(boxes, shape).sum()), int(_reach_beyond(boxes, shape).sum())
    notes = []
    if outside:
        notes.append(f"{outside:,} of {total} {'lies' if outside == 1 else 'lie'} outside of the slide")
    if beyond:
        reach = "reaches" if beyond == 1 else "reach"
        notes.append(f"{beyond:,} of {total} {reach} far beyond the slide{f': {cut}' if cut else ''}")
    return tuple(notes)


def _boxes_of(annotations: AnnotationSet) -> np.ndarray:
    """Return left, top, right and bottom edges, (4, N)."""
    geometries = np.array([*(a.geometry for a in annotations.annotations), None], object)[:-1]
    return shapely.bounds(geometries).reshape(-1, 4).T


def _lie_beside(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    left, top, right, bottom = boxes
    return np.asarray((right < 0) | (bottom < 0) | (left > width) | (top > height))


def on_slide(
    annotations: AnnotationSet,
    shape: tuple[int, int],
    bounds: RegionPx | None,
    counted_from: Frame | None = None,
    *,
    cut: str = "",
) -> AnnotationSet:
    """Return annotations in the frame of the slide, or refuse them; tell of what lies beyond it.

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
    cut : str
        What becomes of parts that lie beyond the slide, if anything does: for the user to know.

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
    notes = beyond_notes(annotations, shape, cut)
    if notes:
        tell(Notices(Path(annotations.source).name, notes))
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


def _lie_on(annotations: AnnotationSet, bounds: RegionPx, moved: tuple[float, float] = (0, 0)) -> bool:
    """Whether annotations, moved by (x, y), lie on the scanned part."""
    edges = shapely.total_bounds([a.geometry for a in annotations.annotations])
    left, top, right, bottom = edges + np.tile(moved, 2)
    rim_y, rim_x = bounds.height * RIM, bounds.width * RIM
    return bool(
        left >= bounds.x - rim_x
        and top >= bounds.y - rim_y
        and right <= bounds.right + rim_x
        and bottom <= bounds.bottom + rim_y
    )
