"""Many areas made one, step by step: GEOS cannot be interrupted within a call."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_nic.jobs import CancellationToken, checked

AT_ONCE = 64
"""So many areas are merged in one call, which takes milliseconds."""

MAX_PAIRS = 2_000_000
"""With more overlaps than these, all areas are merged at once: a list of the pairs would take gigabytes."""

SAMPLED = 200
"""Areas whose overlaps are counted to tell how many there are in all."""


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


def joined(
    areas: Sequence[shapely.Geometry] | np.ndarray, *, token: CancellationToken | None = None
) -> shapely.Geometry:
    """Merge areas to one as :func:`merged` does, in a fraction of its time where few of them overlap.

    Parameters
    ----------
    areas : sequence of shapely geometries
        Valid Polygons and MultiPolygons.
    token : CancellationToken, optional
        Asked at each group of areas that overlap.

    Returns
    -------
    shapely Polygon or MultiPolygon
        Valid; empty if there are no areas.
    """
    if not len(areas):
        return shapely.MultiPolygon()
    parts = shapely.get_parts(disjoint(areas, token=token))
    parts = parts[~shapely.is_empty(parts)]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def disjoint(
    areas: Sequence[shapely.Geometry] | np.ndarray, *, token: CancellationToken | None = None
) -> np.ndarray:
    """Merge areas that overlap or touch; the others, often thousands of nuclei, stay as they are.

    Parameters
    ----------
    areas : sequence of shapely geometries
        Valid Polygons and MultiPolygons, one at least.
    token : CancellationToken, optional
        Asked at each group of areas that overlap.

    Returns
    -------
    ndarray of shapely geometries
        No two of them meet.
    """
    geometries = np.asarray(areas, object)
    tree = shapely.STRtree(geometries)
    if _pairs_expected(tree, geometries) > MAX_PAIRS:
        return np.asarray(shapely.get_parts(merged(geometries, token=token)))
    first, second = tree.query(geometries, predicate="intersects")
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(areas),) * 2)
    _, cluster = connected_components(graph, directed=False)
    order = np.argsort(cluster, kind="stable")
    groups = np.split(geometries[order], np.flatnonzero(np.diff(cluster[order])) + 1)
    parts = [group[0] if len(group) == 1 else merged(group, token=token) for group in checked(groups, token)]
    return np.array(parts, object)


def _pairs_expected(tree: shapely.STRtree, geometries: np.ndarray) -> float:
    """Number of pairs whose boxes meet, told from some of the areas, the same ones every time."""
    chosen = geometries[:: max(1, len(geometries) // SAMPLED)]
    return len(tree.query(chosen)[0]) / len(chosen) * len(geometries)


def _neighbours(areas: np.ndarray) -> list[np.ndarray]:
    """Deal areas out into groups that lie together: upright strips, cut across."""
    left, bottom, right, top = shapely.bounds(areas).T
    x, y = np.nan_to_num(left + right), np.nan_to_num(bottom + top)  # an empty area has no bounds
    strip = np.empty(len(areas), int)
    height = AT_ONCE * max(1, math.isqrt(len(areas) // AT_ONCE))
    strip[np.argsort(x, kind="stable")] = np.arange(len(areas)) // height
    order = np.lexsort((y, strip))
    return [areas[order[start : start + AT_ONCE]] for start in range(0, len(areas), AT_ONCE)]
