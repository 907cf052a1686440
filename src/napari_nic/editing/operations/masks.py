"""Masks -> areas in level-0 pixels."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from napari_nic.editing.operations.areas import Area, area_of

HALF = 0.5
TRIANGLE = 3


def area_of_mask(
    mask: np.ndarray, origin_px: tuple[float, float], step_px: tuple[float, float], *, smooth: float = 0.0
) -> Area:
    """Trace the outlines of a mask.

    Parameters
    ----------
    mask : ndarray of bool, (rows, cols)
    origin_px : (y, x)
        Corner of its element [0, 0], level-0 pixels.
    step_px : (y, x)
        Size of an element.
    smooth : float
        Standard deviation, in elements, of a Gaussian that rounds steps off; 0 follows the elements' edges
        exactly.

    Returns
    -------
    Polygon or MultiPolygon
        With its holes; empty if the mask is, or if smoothing leaves nothing.
    """
    if not mask.any():
        return Polygon()
    traced = _edges(mask) if smooth == 0 else _smooth(mask, smooth)
    scale, shift = np.array(step_px[::-1]), np.array(origin_px[::-1])
    return area_of(shapely.transform(traced, lambda points: points * scale + shift))


def rough_outlines(
    mask: np.ndarray,
    origin_px: tuple[float, float],
    step_px: tuple[float, float],
    *,
    smooth: float = 0.0,
    speck: float = 0.0,
) -> tuple[np.ndarray, ...]:
    """Lines (n, 2) as (x, y) through the outermost elements of a mask, to be shown while it grows.

    Parameters as of :func:`area_of_mask`; in a fraction of its time, and half an element off. Holes and
    parts of at most `speck` elements are left out, but for the largest part.
    """
    import cv2

    shown = mask.view(np.uint8)
    if smooth > 0:
        shown = (cv2.GaussianBlur(255 * shown, (0, 0), smooth) > HALF * 255).view(np.uint8)
    found, tree = cv2.findContours(shown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = [] if tree is None else tree[0, :, -1].tolist()
    scale, shift = np.array(step_px[::-1]), np.array(origin_px[::-1])
    sizes = [cv2.contourArea(ring) for ring in found]
    whole = max((size for size, parent in zip(sizes, parents, strict=True) if parent < 0), default=0.0)
    rings = [
        np.concatenate([ring[:, 0], ring[:1, 0]])
        for ring, size in zip(found, sizes, strict=True)
        if len(ring) > 1 and (size > speck or size >= whole)
    ]
    return tuple((ring + HALF) * scale + shift for ring in rings)


def _edges(mask: np.ndarray) -> shapely.Geometry:
    """Union of runs of elements: as exact as the mask."""
    padded = np.pad(mask.astype(np.int8), ((0, 0), (1, 1)))
    steps = np.diff(padded, axis=1)
    rows, first = np.nonzero(steps == 1)
    _, last = np.nonzero(steps == -1)
    return shapely.union_all(shapely.box(first, rows, last, rows + 1))


def _smooth(mask: np.ndarray, sigma: float) -> shapely.Geometry:
    from scipy.ndimage import gaussian_filter
    from skimage.measure import find_contours

    rim = int(np.ceil(3 * sigma)) + 1
    soft = gaussian_filter(np.pad(mask.astype(np.float32), rim), sigma)
    rings = [ring for ring in find_contours(soft, HALF) if len(ring) > TRIANGLE]
    lines = [LineString(ring[:, ::-1] - rim + HALF) for ring in rings]
    return shapely.build_area(shapely.geometrycollections(lines))
