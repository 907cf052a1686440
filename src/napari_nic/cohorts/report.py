"""A cohort's results as one HTML page that needs no other file."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_nic.cohorts.predictions import ScoredSlide
from napari_nic.cohorts.thumbnails import Thumbnail
from napari_nic.colors import to_hex
from napari_nic.explain import MARKS, VERDICT_COLORS, Reliability
from napari_nic.metrics import METRIC_NAMES
from napari_nic.pages import page, table
from napari_nic.wording import counted

MEASURES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "spearman": "Spearman's correlation",
    "mean_absolute_error": "mean absolute error",
    "mean_absolute_error_of_the_mean": "mean absolute error of guessing the mean",
    "c_index": "concordance index",
    "log_rank_p": "log-rank p, high against low risk",
    "cases": "cases",
    "events": "events",
}
"""Names of the results for people, in the order of the page."""


@dataclass(frozen=True)
class Shown:
    """A slide of the page.

    Attributes
    ----------
    row : ScoredSlide
    about : str
        What is true and what was predicted.
    thumbnail : Thumbnail
    """

    row: ScoredSlide
    about: str
    thumbnail: Thumbnail


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes
    ----------
    title : str
    results : mapping
        As :func:`~napari_nic.cohorts.results.evaluate` gives them.
    facts : mapping of str to str
        About data and models.
    plots : mapping of str to str
        Titles to SVG.
    best, worst : sequence of Shown
    note : str
        How saliency was made and what its colours mean.
    """

    title: str
    results: Mapping[str, Any]
    facts: Mapping[str, str]
    plots: Mapping[str, str]
    best: Sequence[Shown]
    worst: Sequence[Shown]
    note: str

    def to_html(self) -> str:
        """Return the page."""
        title = html.escape(self.title)
        parts = [
            f"<h1>{title}</h1>",
            table(("", ""), self.facts.items()),
            "<h2>Results on slides that the models did not see</h2>",
            self._overall(),
            self._runs(),
            '<div class="row">',
            *(_figure(name, svg) for name, svg in self.plots.items()),
            "</div>",
            *self._sizes(),
            *_slides("Most wrong", self.worst),
            *_slides("Most right", self.best),
            f'<p class="small">{html.escape(self.note)}</p>' if self.note else "",
        ]
        return page(self.title, parts)

    def _overall(self) -> str:
        overall = self.results["overall"]
        rows = [(label, with_interval(overall[name])) for name, label in MEASURES.items() if name in overall]
        found = overall.get("calibration")
        if found:
            rows.append(("Brier score", number(found["brier"])))
            rows.append(("calibration error", number(found["error"])))
        text = "In brackets: 95 % of cohorts of as many cases, drawn with replacement from this one."
        confusion = overall.get("confusion")
        names = self.results["class_names"]
        matrix = ""
        if confusion:
            lines = ((f"true: {name}", *line) for name, line in zip(names, confusion, strict=True))
            matrix = table(("", *(f"found: {name}" for name in names)), lines)
        return table(("measure", "all models together"), rows) + f'<p class="small">{text}</p>' + matrix

    def _runs(self) -> str:
        metric = METRIC_NAMES[self.results["task"]]
        name = MEASURES[metric]
        seeds = self.results["seeds"]
        per_seed = (
            f"{number(seeds['mean'])} ± {number(seeds['std'])} over {counted(len(seeds['seeds']), 'seed')}"
        )
        rows = [
            (run["fold"], run["seed"], run["slides"], number(run[metric])) for run in self.results["runs"]
        ]
        header = ("fold", "seed", "test slides", name)
        return f"<p>{name}, all test parts of a seed together: {per_seed}</p>" + table(header, rows)

    def _sizes(self) -> list[str]:
        bins = self.results["overall"].get("by_size")
        if not bins:
            return []
        rows = [
            (f"{b['low']:g} to {b['high']:g}", b["slides"], number(b["auc"]), f"{b['found']:.0%}")
            for b in bins
        ]
        sizes = table(("size of the lesion", "slides", "AUC against all without", "found"), rows)
        return ["<h2>By size of the lesion</h2>", sizes]


def number(value: float | None) -> str:
    """Write a result."""
    return "not defined" if value is None else f"{value:.3g}"


def with_interval(value: Any) -> str:
    """Write a result with its interval where it has one."""
    if isinstance(value, Mapping):
        return f"{number(value['value'])} ({number(value['low'])} to {number(value['high'])})"
    return number(value)


def _figure(title: str, svg: str) -> str:
    return f"<figure>{svg}<figcaption>{html.escape(title)}</figcaption></figure>"


def _slides(title: str, shown: Sequence[Shown]) -> list[str]:
    if not shown:
        return []
    return [f"<h2>{html.escape(title)}</h2>", '<div class="row">', *(_slide(s) for s in shown), "</div>"]


def _slide(shown: Shown) -> str:
    name, about = html.escape(shown.row.slide), html.escape(shown.about)
    thumbnail = shown.thumbnail
    if thumbnail.problem:
        return (
            f"<figure><figcaption>{name}: {about}<br>{html.escape(thumbnail.problem)}</figcaption></figure>"
        )
    pictures = (
        f'<img src="{thumbnail.picture}" alt="slide {name}"> '
        f'<img src="{thumbnail.saliency}" alt="saliency of {name}">'
    )
    note = f"<br>{html.escape(thumbnail.note)}" if thumbnail.note else ""
    found = thumbnail.reliability
    believed = "" if found is None else _believed(found)
    return f"<figure>{pictures}<figcaption>{name}: {about}{note}{believed}</figcaption></figure>"


def _believed(found: Reliability) -> str:
    """Say whether a map should be believed; a click opens the numbers."""
    color = to_hex(VERDICT_COLORS[found.verdict])
    mark = f'<b style="color: {color}">{MARKS[found.verdict]}</b>'
    line = f"{mark} saliency is {found.verdict}: {html.escape(found.reason)}"
    return f"<details><summary>{line}</summary>{table(('', ''), found.rows())}</details>"
