"""Coordinates moved and stretched, with all that a shape brings along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Scaling:
    """``new = old * scale + offset``, for x and for y."""

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def inverse(self) -> Scaling:
        """The way back."""
        scale = np.array(self.scale)
        return Scaling(pair(1 / scale), pair(-np.array(self.offset) / scale))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map (n, 2) points (x, y)."""
        return np.asarray(points * np.array(self.scale) + np.array(self.offset))


def moved_extra(extra: Mapping[str, Any], scaling: Scaling) -> Mapping[str, Any]:
    """Map the nucleus of a cell, which is a geometry of its own beside the cell's."""
    nucleus = extra.get("nucleusGeometry")
    if not isinstance(nucleus, Mapping) or "coordinates" not in nucleus:
        return extra
    return {
        **extra,
        "nucleusGeometry": {**nucleus, "coordinates": _moved_list(nucleus["coordinates"], scaling)},
    }


def _moved_list(value: Any, scaling: Scaling) -> Any:
    """Map the points of nested lists, as GeoJSON has them; what is no point stays as it is."""
    if not isinstance(value, list):
        return value
    if len(value) > 1 and all(isinstance(number, int | float) for number in value[:2]):
        x, y = scaling(np.array([value[:2]], np.float64))[0]
        return [float(x), float(y), *value[2:]]
    return [_moved_list(member, scaling) for member in value]


def pair(values: np.ndarray) -> tuple[float, float]:
    """Two numbers of an array as plain ones."""
    return float(values[0]), float(values[1])
