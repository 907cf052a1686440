"""How often an outline crosses itself, found out without finding all the places."""

from __future__ import annotations

import numpy as np
import shapely

FEW_CORNERS = 200
"""Outlines of no more corners are repaired at once, whatever they look like."""

MAX_CROSSINGS = 20_000
"""Repairing takes a second for four times as many, and minutes and gigabytes for fifty times."""

SAMPLED = 64
"""Sides whose crossings are counted."""


def is_tangled(area: shapely.Geometry) -> bool:
    """Whether an outline crosses itself so often that it cannot be repaired in a second.

    Told from some of its sides, the same ones every time: counting all crossings would take as long as
    the repair.
    """
    if shapely.get_num_coordinates(area) <= FEW_CORNERS:
        return False
    sides = _sides(area)
    step = max(1, len(sides) // SAMPLED)
    chosen = sides[::step]
    _, crossed = shapely.STRtree(sides).query(chosen, predicate="crosses")
    return len(crossed) / len(chosen) * len(sides) / 2 > MAX_CROSSINGS


def _sides(area: shapely.Geometry) -> np.ndarray:
    points, ring = shapely.get_coordinates(shapely.get_rings(area), return_index=True)
    pairs = np.stack([points[:-1], points[1:]], axis=1)[ring[:-1] == ring[1:]]
    return np.asarray(shapely.linestrings(pairs))
