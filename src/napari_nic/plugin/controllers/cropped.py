"""Annotations that count from the scanned part of a slide and not from its corner, as QuPath writes them."""

from __future__ import annotations

import shapely

from napari_nic.annotations import AnnotationSet
from napari_nic.geometry import RegionPx

RIM = 0.01
"""People draw a little over the edge: this share of the scanned part's sides."""


def counts_from_bounds(annotations: AnnotationSet, bounds: RegionPx | None) -> bool:
    """Whether annotations lie on the scanned part of a slide only when they are moved by its corner.

    Where they do either way nothing is said, since nothing tells which is meant.

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


def _lie_on(annotations: AnnotationSet, bounds: RegionPx) -> bool:
    left, top, right, bottom = shapely.total_bounds([a.geometry for a in annotations.annotations])
    rim_y, rim_x = bounds.height * RIM, bounds.width * RIM
    return bool(
        left >= bounds.x - rim_x
        and top >= bounds.y - rim_y
        and right <= bounds.right + rim_x
        and bottom <= bounds.bottom + rim_y
    )
