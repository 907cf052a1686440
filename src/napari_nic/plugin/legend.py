"""What the colours of an overlay mean, as values that a widget can paint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.explain import Overlay

BAR_STEPS = 128

UM = "\N{MICRO SIGN}m"
"""Micrometres, as people read them."""


@dataclass(frozen=True, eq=False)
class Bar:
    """A gradient with its ends.

    Attributes
    ----------
    colors : ndarray of uint8, (n, 3)
        From `low` to `high`.
    low, high : float
    unit : str
    low_means, high_means : str
        What the ends say, in a word or two; empty where the numbers say it all.
    """

    colors: np.ndarray
    low: float
    high: float
    unit: str
    low_means: str = ""
    high_means: str = ""

    def ticks(self) -> tuple[float, ...]:
        """Values to be written: both ends, and 0 where it lies between them."""
        if self.low < 0 < self.high:
            return self.low, 0.0, self.high
        return self.low, self.high


@dataclass(frozen=True, eq=False)
class Legend:
    """What to show under the overlays.

    Attributes
    ----------
    title : str
    swatches : tuple of (str, (int, int, int))
        Classes and their colours.
    bar : Bar or None
        For values.
    note : str
        Method, direction, and what cold means.
    """

    title: str
    swatches: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    bar: Bar | None = None
    note: str = ""


def legend_of(overlay: Overlay) -> Legend:
    """Explain an overlay's colours."""
    bar = None
    if overlay.data.ndim == 2 and overlay.limits is not None:
        low, high = overlay.limits
        bar = Bar(colormap_colors(overlay.colormap), float(low), float(high), overlay.unit, *overlay.ends)
    title = "PCA: like colours, like tissue" if overlay.kind == "pca" else overlay.name
    return Legend(title, tuple(overlay.legend), bar, overlay.note)


def colormap_colors(name: str, steps: int = BAR_STEPS) -> np.ndarray:
    """Sample a colour map as napari paints it, (steps, 3) uint8."""
    from napari.utils.colormaps import ensure_colormap

    rgba = ensure_colormap(name).map(np.linspace(0, 1, steps))
    return np.asarray(np.round(rgba[:, :3] * 255), np.uint8)


def format_value(value: float) -> str:
    """Write a value as the legend and the pointer show it."""
    if not np.isfinite(value):
        return "none"
    if value == 0:
        return "0"
    if 100 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0.01 <= abs(value) < 100 else f"{value:.2g}"
