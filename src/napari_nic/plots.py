"""Plots as SVG elements for pages; matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_nic.extras import check_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Draw = Callable[["Axes"], None]
SIZE = (4.6, 3.6)
"""Inches."""


def require_matplotlib() -> None:
    """Raise :class:`MissingDependencyError` where plots cannot be drawn, before hours of work."""
    check_installed("matplotlib", "the plots of the report")


def draw(plot: Draw) -> str:
    """Draw a plot and return it as an SVG element."""
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # Text stays text, and the same plot gives the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "napari-nic"}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        plot(axes)
        axes.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
