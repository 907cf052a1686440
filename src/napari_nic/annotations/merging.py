"""Many areas made one, step by step: GEOS cannot be interrupted within a call."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely

from napari_nic.jobs import CancellationToken, checked

AT_ONCE = 64
"""So many areas are merged in one call, which takes milliseconds."""


def merged(
    areas: Sequence[shapely.Geometry] | np.ndarray, *, token: CancellationToken | None = None
) -> shapely.Geometry:
    """Merge areas to one; neighbours first, as GEOS itself does.

    Parameters
    ----------
    areas : sequence of shapely geometries
        Valid Polygons and MultiPolygons.
    token : CancellationToken, optional
        Asked before each group that is merged. The last calls are the longest: each puts together what
        covers a large part of the whole.

    Returns
    -------
    shapely geometry
        Empty if there are no areas.
    """
    rest = np.asarray(areas, object)
    while len(rest) > AT_ONCE:
        groups = _neighbours(rest)
        rest = np.array([shapely.union_all(group) for group in checked(groups, token)], object)
    if token is not None:
        token.checkpoint()
    return shapely.union_all(rest)


def _neighbours(areas: np.ndarray) -> list[np.ndarray]:
    """Deal areas out into groups that lie together: upright strips, cut across."""
    left, bottom, right, top = shapely.bounds(areas).T
    x, y = np.nan_to_num(left + right), np.nan_to_num(bottom + top)  # an empty area has no bounds
    strip = np.empty(len(areas), int)
    height = AT_ONCE * max(1, math.isqrt(len(areas) // AT_ONCE))
    strip[np.argsort(x, kind="stable")] = np.arange(len(areas)) // height
    order = np.lexsort((y, strip))
    return [areas[order[start : start + AT_ONCE]] for start in range(0, len(areas), AT_ONCE)]
