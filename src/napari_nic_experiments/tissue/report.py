"""The experiment's results for people: tables and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.colors import CLASS_COLORS, to_hex
from napari_nic.disk import replacing
from napari_nic.plots import draw
from napari_nic_experiments.tissue.localisation import MAPS, METHODS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT_FILES = {"AUC by lesion size": "auc-by-size.svg", "Saliency by lesion size": "saliency-by-size.svg"}
AIMS = {"auc_of_large_lesions": 0.95, "pixel_auc": 0.9}
"""What weak supervision should reach here: slides with lesions above 10 % of the tissue, and saliency."""

_COLORS = tuple(to_hex(rgb) for rgb in CLASS_COLORS)
_FAINT = "0.6"


@dataclass(frozen=True)
class Table:
    """A part of the results.

    Attributes
    ----------
    title : str
    header : tuple of str
    rows : sequence of tuple of str
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]] = ()


def tables(results: Mapping[str, Any]) -> list[Table]:
    """Make tables of what :func:`~napari_nic_experiments.tissue.run_tissue` found."""
    found = [_scores(results["scores"]), _sizes(results["scores"]["by_size"])]
    found.append(
        _maps("saliency against outlines that training never saw (test slides)", results["saliency"])
    )
    probes = {"test slides": results["probe"]}
    if "regions" in results:
        regions = results["regions"]
        found.append(_regions(regions))
        found.append(_maps("the same on the real regions", regions["saliency"]))
        probes["real regions"] = regions["probe"]
    return [*found, _probes(probes)]


def write_plots(results: Mapping[str, Any], out: Path) -> list[Path]:
    """Plot AUC and saliency against lesion size; return the files.

    Raises
    ------
    MissingDependencyError
        Without matplotlib.
    """
    pictures = {
        "AUC by lesion size": draw(lambda axes: _plot_auc(axes, results["scores"]["by_size"])),
        "Saliency by lesion size": draw(lambda axes: _plot_saliency(axes, results["saliency"])),
    }
    files = []
    for title, svg in pictures.items():
        file = out / PLOT_FILES[title]
        with replacing(file) as temporary:
            temporary.write_text(svg, encoding="utf-8")
        files.append(file)
    return files


def _scores(scores: Mapping[str, Any]) -> Table:
    rows = [
        ("AUC, all lesions", _interval(scores["auc"]), ""),
        ("AUC, lesions above 10 %", _number(scores["auc_of_large_lesions"]), _aim("auc_of_large_lesions")),
        ("balanced accuracy", _interval(scores["balanced_accuracy"]), ""),
    ]
    return Table(
        "scores of test slides, trained on labels of slides alone", ("measure", "value", "aim"), rows
    )


def _sizes(bins: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            f"{100 * b['low']:g}-{100 * b['high']:g} %",
            str(b["slides"]),
            _number(b["auc"]),
            f"{100 * b['found']:.0f} %",
        )
        for b in bins
    ]
    return Table("by the lesion's share of the tissue", ("share", "slides", "AUC", "found"), rows)


def _maps(title: str, found: Mapping[str, Mapping[str, Any]]) -> Table:
    header = ("map", "slides", "pixel AUC", "least", "Jaccard", "best Jaccard (optimistic)")
    rows = [
        (
            name,
            str(found[name]["slides"]),
            *(
                _number(found[name][key])
                for key in ("pixel_auc", "least_pixel_auc", "jaccard", "best_jaccard")
            ),
        )
        for name in MAPS
    ]
    return Table(f"{title}; aim: pixel AUC {AIMS['pixel_auc']:g}", header, rows)


def _regions(regions: Mapping[str, Any]) -> Table:
    each = {entry["slide"]: entry["pixel_auc"] for entry in regions["saliency"][METHODS[0]]["each"]}
    rows = [
        (name, "yes" if regions["has_tumour"][name] else "no", f"{score:.2f}", _number(each.get(name)))
        for name, score in regions["scores"].items()
    ]
    header = ("region", "tumour", "score", f"{METHODS[0]} pixel AUC")
    return Table("real regions", header, rows)


def _probes(probes: Mapping[str, Mapping[str, Any]]) -> Table:
    """Tell how a classifier of cells that was shown the outlines of the training slides maps others."""
    learned = next(iter(probes.values()))
    rows = [("training slides", "", _number(learned["training_pixel_auc"]), "")]
    rows += [
        (name, str(found["slides"]), _number(found["pixel_auc"]), _number(found["least_pixel_auc"]))
        for name, found in probes.items()
    ]
    title = "for comparison: cells learned from outlines, by a linear probe on the same codes"
    return Table(title, ("on", "slides", "pixel AUC", "least"), rows)


def _interval(estimate: Mapping[str, float | None]) -> str:
    numbers = (_number(estimate[name]) for name in ("value", "low", "high"))
    return "{} [{}, {}]".format(*numbers)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _aim(name: str) -> str:
    return f"{AIMS[name]:g}"


def _plot_auc(axes: Axes, bins: Sequence[Mapping[str, Any]]) -> None:
    positions = range(len(bins))
    axes.plot(positions, [b["auc"] for b in bins], "o-", color=_COLORS[0], label="AUC")
    axes.plot(positions, [b["found"] for b in bins], "s--", color=_COLORS[1], label="found")
    axes.axhline(AIMS["auc_of_large_lesions"], color=_FAINT, linestyle=":")
    labels = [f"{100 * b['low']:g}-{100 * b['high']:g}\n({b['slides']})" for b in bins]
    axes.set_xticks(positions, labels, fontsize="x-small")
    axes.set(xlabel="lesion, % of the tissue (slides)", ylim=(0, 1.02))
    axes.legend(frameon=False)


def _plot_saliency(axes: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, color in zip(MAPS, _COLORS, strict=False):
        each = sorted(found[name]["each"], key=lambda entry: entry["share"])
        shares, values = [100 * e["share"] for e in each], [e["pixel_auc"] for e in each]
        axes.plot(shares, values, ".", color=color, label=name)
    axes.axhline(AIMS["pixel_auc"], color=_FAINT, linestyle=":")
    axes.set(xlabel="lesion, % of the tissue", ylabel="pixel AUC", xscale="log", ylim=(0, 1.02))
    axes.xaxis.set_major_formatter("{x:g}")  # 1 and 10, not powers of ten
    axes.legend(frameon=False, fontsize="x-small")
