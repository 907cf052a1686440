"""Results as bars; matplotlib is imported when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.colors import FURTHER, PALETTE
from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.report import scores_of
from napari_nic.evaluation.run import Outcome
from napari_nic.extras import check_installed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 1.6, 2.4
"""Inches per set, and per classifier."""

LEAST_WIDTH = 6.0
BARS = 0.8
"""Share of the axis that bars take; the rest parts the sets."""

DPI = 150
_CHANCE = "0.35"


def colors(count: int) -> list[tuple[float, float, float]]:
    """Return that many colours, 0 to 1, told apart by colour-blind eyes while there are at most 15."""
    palette = np.array((*PALETTE, *FURTHER)) / 255
    return [tuple(palette[index % len(palette)]) for index in range(count)]


def plot_bars(outcomes: Sequence[Outcome], file: Path) -> None:
    """Draw balanced accuracy per patch: sets side by side, a bar for each encoder, a row for each classifier.

    Bars are means over seeds, the lines on them standard deviations; a dotted line is chance.

    Parameters
    ----------
    outcomes : sequence of Outcome
    file : Path
        PNG, SVG or PDF, by its suffix.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    InvalidParameterError
        If there is no result, or the file cannot be written.
    """
    check_installed("matplotlib", "the plot")
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(e.classifier for outcome in outcomes for e in outcome.evaluations))
    sets = list(dict.fromkeys(o.labelled.name for o in outcomes if o.evaluations))
    if not names:
        raise InvalidParameterError("there is no result to plot")
    size = (max(LEAST_WIDTH, WIDTH * len(sets)), HEIGHT * len(names))
    figure = Figure(figsize=size, layout="constrained")
    rows = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(rows, names, strict=True):
        _bars(axes, outcomes, sets, name)
    rows[-1].set_xticks(range(len(sets)), sets)
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False)
    save(figure, file)


def _bars(axes: Axes, outcomes: Sequence[Outcome], sets: list[str], classifier: str) -> None:
    encoders = list(dict.fromkeys(outcome.encoder.name for outcome in outcomes))
    width = BARS / len(encoders)
    for index, (encoder, color) in enumerate(zip(encoders, colors(len(encoders)), strict=True)):
        places, means, spreads = [], [], []
        for outcome in outcomes:
            scores = scores_of(outcome, classifier, "patch") if outcome.encoder.name == encoder else None
            if scores is None:
                continue
            values, place = scores.balanced_accuracy, sets.index(outcome.labelled.name)
            places.append(place + (index + 0.5) * width - BARS / 2)
            means.append(values.mean())
            spreads.append(np.std(values, ddof=1) if len(values) > 1 else 0.0)
            chance = 1 / len(scores.class_names)
            axes.plot([place - BARS / 2, place + BARS / 2], [chance, chance], ":", color=_CHANCE)
        axes.bar(places, means, width, yerr=spreads, color=color, label=encoder, error_kw={"lw": 1})
    axes.set(ylim=(0, 1), ylabel="balanced accuracy", title=classifier)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, file: Path) -> None:
    """Write a figure; its format follows from the suffix.

    Raises
    ------
    InvalidParameterError
        If the format is not known or the file cannot be written.
    """
    try:
        with replacing(file) as temporary:
            figure.savefig(temporary, dpi=DPI, format=file.suffix.removeprefix(".").lower())
    except (OSError, ValueError) as error:
        raise InvalidParameterError(
            "the picture cannot be written", path=file, expected=".png, .svg or .pdf", found=str(error)
        ) from error
