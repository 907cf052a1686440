"""Plots of a cohort's results as SVG; matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.cohorts.results import POSITIVE, Table
from napari_nic.colors import CLASS_COLORS, to_hex
from napari_nic.plots import draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = tuple(to_hex(rgb) for rgb in CLASS_COLORS)
_FAINT = "0.6"


def training_curves(logs: Mapping[str, Sequence[Mapping[str, float]]], metric: str) -> dict[str, str]:
    """Plot losses and the validation metric over epochs, one line a run.

    Parameters
    ----------
    logs : mapping of str to sequence of mapping
        By the runs' names: entries ``epoch``, ``loss``, ``validation_loss``, ``metric``.
    metric : str
        Name of the metric.

    Returns
    -------
    dict of str to str
        Titles to SVG.
    """

    def losses(axes: Axes) -> None:
        for number, (name, log) in enumerate(logs.items()):
            color = _COLORS[number % len(_COLORS)]
            epochs = [row["epoch"] for row in log]
            axes.plot(epochs, [row["loss"] for row in log], ":", color=color)
            axes.plot(epochs, [row["validation_loss"] for row in log], color=color, label=name)
        axes.set(xlabel="epoch", ylabel="loss (dotted: training)")
        axes.legend(fontsize="x-small", frameon=False)

    def metrics(axes: Axes) -> None:
        for number, (name, log) in enumerate(logs.items()):
            values = [row["metric"] for row in log]
            color = _COLORS[number % len(_COLORS)]
            axes.plot([row["epoch"] for row in log], values, color=color, label=name)
        axes.set(xlabel="epoch", ylabel=f"validation {metric}")

    return {"Training": draw(losses), "Validation": draw(metrics)}


def result_plots(task: str, results: Mapping[str, Any], table: Table) -> dict[str, str]:
    """Plot what shows a task's results best.

    Parameters
    ----------
    task : {"classification", "regression", "survival"}
    results : mapping
        As :func:`~napari_nic.cohorts.results.evaluate` gives them.
    table : Table
        Of the averaged scores.

    Returns
    -------
    dict of str to str
        Titles to SVG.
    """
    overall = results["overall"]
    if task == "classification":
        plots = {"ROC curves": draw(lambda axes: _roc(axes, table, results["class_names"]))}
        if "calibration" in overall:
            plots["Calibration"] = draw(lambda axes: _calibration(axes, overall["calibration"]))
        if overall.get("by_size"):
            plots["By lesion size"] = draw(lambda axes: _by_size(axes, overall["by_size"]))
        return plots
    if task == "regression":
        return {"Predicted and true": draw(lambda axes: _scatter(axes, table, results["class_names"][0]))}
    return {"Kaplan-Meier": draw(lambda axes: _survival(axes, overall))}


def _roc(axes: Axes, table: Table, class_names: Sequence[str]) -> None:
    first = POSITIVE if len(class_names) == POSITIVE + 1 else 0
    for number in range(first, len(class_names)):
        positive = table.labels == number
        if positive.all() or not positive.any():
            continue
        order = np.argsort(-table.scores[:, number], kind="stable")
        # Slides of the same score pass the threshold together.
        last = np.append(np.diff(table.scores[order, number]) != 0, True)
        found, false = np.cumsum(positive[order])[last], np.cumsum(~positive[order])[last]
        color = _COLORS[number % len(_COLORS)]
        sensitivity, fall_out = found / positive.sum(), false / (~positive).sum()
        axes.plot(np.append(0, fall_out), np.append(0, sensitivity), color=color, label=class_names[number])
    axes.plot([0, 1], [0, 1], ":", color=_FAINT)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    axes.legend(frameon=False)


def _calibration(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.plot([0, 1], [0, 1], ":", color=_FAINT)
    axes.plot(found["predicted"], found["observed"], "o-", color=_COLORS[0])
    axes.set(xlabel="mean predicted probability", ylabel="share of positive slides", aspect="equal")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _by_size(axes: Axes, bins: Sequence[Mapping[str, Any]]) -> None:
    positions = range(len(bins))
    axes.plot(positions, [b["auc"] for b in bins], "o-", color=_COLORS[0], label="AUC")
    axes.plot(positions, [b["found"] for b in bins], "s--", color=_COLORS[1], label="found")
    labels = [f"{b['low']:g}-{b['high']:g}\n({b['slides']})" for b in bins]
    axes.set_xticks(positions, labels, fontsize="x-small")
    axes.set(xlabel="size of the lesion (slides)", ylim=(0, 1.02))
    axes.legend(frameon=False)


def _scatter(axes: Axes, table: Table, name: str) -> None:
    values = np.concatenate([table.labels, table.scores[:, 0]])
    ends = [float(values.min()), float(values.max())]
    axes.plot(ends, ends, ":", color=_FAINT)
    axes.plot(table.labels, table.scores[:, 0], "o", color=_COLORS[0], alpha=0.6, markersize=4)
    axes.set(xlabel=f"{name}, true", ylabel=f"{name}, predicted")


def _survival(axes: Axes, overall: Mapping[str, Any]) -> None:
    for name, color in (("low", _COLORS[0]), ("high", _COLORS[1])):
        curve = overall["kaplan_meier"].get(name)
        if curve:
            label = f"{name} risk ({curve['cases']} cases, {curve['events']} events)"
            axes.step(curve["times"], curve["shares"], where="post", color=color, label=label)
    axes.set(xlabel="time", ylabel="share without event", ylim=(0, 1.02))
    p = overall["log_rank_p"]
    axes.legend(frameon=False, title=None if p is None else f"log-rank p = {p:.2g}")
