"""Which part of a painting is shown: what the screen shows of the slide, at its resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.painting import TILE

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

MOST_WINDOW = 4096
"""Side of the window at the most, in pixels of its level: what a texture holds, and a stroke's undo."""

AROUND = 0.35
"""Share of the view's size that the window goes beyond it on each side, so that a small pan keeps it."""


def seen_part(viewer: ViewerModel, shown: Layer, shapes: list[tuple[int, int]]) -> tuple[int, RegionPx]:
    """Return the level that fits the screen, and what of it is seen, in its pixels.

    Parameters
    ----------
    viewer : ViewerModel
    shown : napari layer
        Of the slide.
    shapes : list of (int, int)
        (rows, cols) of the levels, each half of the one before.
    """
    camera = viewer.scene.camera
    step = 1 / (max(camera.zoom, 1e-9) * float(np.mean(shown.scale[-2:])))
    level = int(np.clip(round(np.log2(step)), 0, len(shapes) - 1))
    middle = (np.array(shown.world_to_data(camera.center)[-2:]) + 0.5) / 2**level
    size = np.array(viewer.canvas.size) * step / 2**level
    (top, left), (bottom, right) = np.floor(middle - size / 2), np.ceil(middle + size / 2)
    view = RegionPx(int(top), int(left), int(bottom - top), int(right - left))
    rows, cols = shapes[level]
    return level, view.intersect(RegionPx(0, 0, rows, cols))


def window_around(view: RegionPx, shape: tuple[int, int]) -> RegionPx:
    """Return what is shown around a view, on the grid of tiles, of a size that a texture holds."""
    sides = []
    for start, length, whole in ((view.y, view.height, shape[0]), (view.x, view.width, shape[1])):
        around = int(length * AROUND)
        first = max(0, (start - around) // TILE * TILE)
        last = min(whole, -(-(start + length + around) // TILE) * TILE)
        if last - first > MOST_WINDOW:
            first = max(0, start + length // 2 - MOST_WINDOW // 2)
            last = min(whole, first + MOST_WINDOW)
        sides.append((first, max(1, last - first)))
    (top, height), (left, width) = sides
    return RegionPx(top, left, height, width)
