"""Where two readings differ, as a picture: only the first, only the second, both."""

from __future__ import annotations

import numpy as np

from napari_nic.annotations import rasterise
from napari_nic.colors import BLUE, GREEN, VERMILION
from napari_nic.explain import Overlay
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.cells import square_grid
from napari_nic.reader_study.pairs import INSIDE, clipped
from napari_nic.reader_study.readings import Reading

SIDE_PX = 1024
"""Pixels that the longer side of a picture has by default."""

BOTH, ONLY_FIRST, ONLY_SECOND = 0, 1, 2
"""Numbers of the overlay's classes."""


def difference_overlay(
    first: Reading,
    second: Reading,
    label: str,
    extent: RegionPx,
    pixel: PixelSize,
    *,
    step_um: float | None = None,
    token: CancellationToken | None = None,
) -> Overlay:
    """Show where two readings differ on a class.

    Parameters
    ----------
    first, second : Reading
    label : str
    extent : RegionPx
        The part of the slide to show, level-0 pixels.
    pixel : PixelSize
        Of level 0.
    step_um : float, optional
        Side of a pixel of the picture; by default :data:`SIDE_PX` of them make the longer side.
    token : CancellationToken, optional

    Returns
    -------
    Overlay
        Of classes: both, only the first, only the second; transparent where neither has the class, and where
        a model saw nothing.
    """
    step = step_um or default_step_um(extent, pixel)
    grid = square_grid(extent, pixel, step)
    masks = [
        rasterise(clipped(own.annotations, other.seen, token), grid, label, token=token) >= INSIDE
        for own, other in checked([(first, second), (second, first)], token)
    ]
    data = np.full(grid.shape, BOTH, np.uint8)
    data[masks[0] & ~masks[1]] = ONLY_FIRST
    data[masks[1] & ~masks[0]] = ONLY_SECOND
    return Overlay(
        name=f"Difference: {label}",
        kind="difference",
        data=data,
        mask=masks[0] | masks[1],
        placement=grid.placement,
        legend=difference_legend(first.name, second.name),
        note=(
            f"Where {first.name} ({first.how}) and {second.name} ({second.how}) have {label!r}, in squares "
            f"of {step:.3g} um that are at least half covered."
        ),
    )


def difference_legend(first: str, second: str) -> tuple[tuple[str, tuple[int, int, int]], ...]:
    """Return the classes of the overlay with their colours, by number."""
    return ("both", GREEN), (f"only {first}", VERMILION), (f"only {second}", BLUE)


def default_step_um(extent: RegionPx, pixel: PixelSize) -> float:
    """Return the side of a pixel that makes a picture of :data:`SIDE_PX`, and never less than a slide's."""
    side = max(extent.height * pixel.y, extent.width * pixel.x)
    return max(side / SIDE_PX, pixel.y, pixel.x)
