"""What the experiment found, beside what the paper says: tables and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.colors import CLASS_COLORS, to_hex
from napari_nic.disk import replacing
from napari_nic.plots import require_matplotlib
from napari_nic_experiments.digits.encoders import METHODS
from napari_nic_experiments.digits.plan import SALIENCY, Cell, Preset
from napari_nic_experiments.digits.run import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER_JACCARD = 0.612
PAPER_ORDER = ("supervised", "contrastive", "vae", "bigan")
"""By accuracy, best first (section 4.2); the mean was not among them."""

PAPER = {
    "lesion-size": "degrades quickly below 10 % of the picture's size; contrastive is very close to the "
    "oracle, then VAE, then BiGAN",
    "code-size": "larger codes are better, most of all for VAE and BiGAN",
    "stride": "smaller strides are worse",
    "training-size": "in the order of thousands of images are needed",
    SALIENCY: f"mean Jaccard index {PAPER_JACCARD} (Grad-CAM at the first layer, post-processed)",
}
"""What the paper says of each part; its curves are not given as numbers."""

SWEEPS_FILE, MAPS_FILE = "sweeps.png", "saliency.png"
SHOWN = 6
_COLORS = tuple(to_hex(rgb) for rgb in CLASS_COLORS)
_CHANCE = 0.1
_DPI = 130
_SWEEPS_INCHES, _MAP_INCHES = (9.0, 7.0), 1.7


@dataclass(frozen=True)
class Table:
    """A part of the results for people.

    Attributes
    ----------
    title : str
    header : tuple of str
    rows : sequence of tuple of str
    paper : str
        What the paper says of it.
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]] = ()
    paper: str = ""


def tables(results: Mapping[str, Any], preset: Preset) -> list[Table]:
    """Make a table of each part that has results."""
    found = [_size_table(results, preset)]
    for part, axis in (("code-size", "code_size"), ("stride", "stride"), ("training-size", "images")):
        rows = [
            (cell.encoder, str(getattr(cell, axis)), _percent(known))
            for cell, known in _known(results, preset, part)
        ]
        found.append(
            Table(f"accuracy by {part}", ("encoder", axis.replace("_", " "), "accuracy"), rows, PAPER[part])
        )
    maps = [
        (
            method,
            f"{known['jaccard']:.3f} ± {known['standard_error']:.3f}",
            _where_right(known),
            _routine(known["routine"]),
        )
        for method, known in results["saliency"].items()
    ]
    found.append(
        Table(
            "".join(
                f"saliency on the tilted rectangle, of {cell.name} (accuracy {_percent(known)})"
                for cell, known in _known(results, preset, SALIENCY)
            ),
            ("method", "Jaccard", "where the answer is right", "routine"),
            maps,
            PAPER[SALIENCY],
        )
    )
    return [table for table in found if table.rows]


def order_of_encoders(results: Mapping[str, Any], preset: Preset) -> tuple[str, ...]:
    """Return the trained encoders that have results, the best first."""
    known = {cell.encoder: found["accuracy"] for cell, found in _known(results, preset, "lesion-size")}
    return tuple(sorted((name for name in PAPER_ORDER if name in known), key=lambda name: -known[name]))


def write_plots(experiment: Experiment, results: Mapping[str, Any]) -> list[Path]:
    """Draw the sweeps, and maps of some test pictures; return the files.

    Raises
    ------
    MissingDependencyError
        Without matplotlib.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SWEEPS_INCHES, layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    _draw_sizes(axes[0], results, experiment.preset)
    labels = (("code-size", "code_size", "code size C"), ("stride", "stride", "stride, px"))
    for ax, (part, key, label) in zip(
        axes[1:], (*labels, ("training-size", "images", "pictures")), strict=True
    ):
        _draw_sweep(ax, results, experiment.preset, part=part, key=key, label=label)
    for ax in axes:
        ax.set(ylim=(0, 1.02), ylabel="accuracy")
        ax.axhline(_CHANCE, color="0.7", linestyle=":")
        ax.spines[["top", "right"]].set_visible(False)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(frameon=False, fontsize="small")
    files = [experiment.out / SWEEPS_FILE]
    _save(figure, files[0])
    if results["saliency"]:
        files.append(_write_maps(experiment, results["saliency"]))
    return files


def _known(results: Mapping[str, Any], preset: Preset, part: str) -> Iterator[tuple[Cell, dict[str, Any]]]:
    for cell in preset.sweep(part):
        if cell.name in results["cells"]:
            yield cell, results["cells"][cell.name]


def _size_table(results: Mapping[str, Any], preset: Preset) -> Table:
    known = list(_known(results, preset, "lesion-size"))
    bins = sorted({(b["low"], b["high"], b["images"]) for _, found in known for b in found["by_size"]})
    header = ("encoder", "all", *(f"{100 * low:g}-{100 * high:g} % ({count})" for low, high, count in bins))
    rows = []
    for cell, found in known:
        each = {(b["low"], b["high"], b["images"]): f"{b['accuracy']:.2f}" for b in found["by_size"]}
        rows.append((cell.encoder, _percent(found), *(each.get(one, "-") for one in bins)))
    title = "accuracy by the tilted rectangle's long side, as a share of the picture's side (pictures)"
    return Table(title, header, rows, PAPER["lesion-size"])


def _percent(found: Mapping[str, Any]) -> str:
    return f"{found['accuracy']:.3f} ± {found['standard_error']:.3f}"


def _where_right(known: Mapping[str, Any]) -> str:
    if known["jaccard_where_right"] is None:
        return "-"
    return f"{known['jaccard_where_right']:.3f} ({known['images_where_right']} of {known['images']})"


def _routine(numbers: Mapping[str, float]) -> str:
    return (
        f"sigma {numbers['sigma']:g}, {100 * numbers['share']:g} % of the highest, "
        f"parts of {numbers['min_cells']} cells or more"
    )


def _color(encoder: str) -> str:
    return _COLORS[METHODS.index(encoder)]


def _draw_sizes(axes: Axes, results: Mapping[str, Any], preset: Preset) -> None:
    for cell, found in _known(results, preset, "lesion-size"):
        middles = [50 * (b["low"] + b["high"]) for b in found["by_size"]]
        values = [b["accuracy"] for b in found["by_size"]]
        axes.plot(middles, values, "o-", color=_color(cell.encoder), label=cell.encoder)
    axes.set(xlabel="long side of the tilted rectangle, % of the picture's side")


def _draw_sweep(
    axes: Axes, results: Mapping[str, Any], preset: Preset, *, part: str, key: str, label: str
) -> None:
    lines: dict[str, list[tuple[float, float]]] = {}
    for cell, found in _known(results, preset, part):
        lines.setdefault(cell.encoder, []).append((getattr(cell, key), found["accuracy"]))
    for encoder, points in lines.items():
        x, y = zip(*sorted(points), strict=True)
        axes.plot(x, y, "o-", color=_color(encoder), label=encoder)
    axes.set(xlabel=label)


def _write_maps(experiment: Experiment, saliency: Mapping[str, Any]) -> Path:
    """Show outlines and Grad-CAM of the first test pictures, with the salient area's border."""
    from matplotlib.figure import Figure

    from napari_nic.slide_models import ModelBundle
    from napari_nic_experiments.digits.saliency import METHODS as SALIENCY_METHODS
    from napari_nic_experiments.digits.saliency import Routine, explain_image

    method = SALIENCY_METHODS[0]
    routine = Routine(**saliency[method]["routine"])
    cell = experiment.preset.explained
    bundle = ModelBundle.load(experiment.model_folder(cell))
    source = experiment.codes(cell, experiment.test_images)
    figure = Figure(figsize=(SHOWN * _MAP_INCHES, 2 * _MAP_INCHES), layout="constrained")
    for column, pair in enumerate(figure.subplots(2, SHOWN).T):
        image = source.images[column]
        found = explain_image(bundle, source, column, method, device=experiment.device)
        pair[0].imshow(image.straight + 0.5 * image.tilted, cmap="gray", vmin=0, vmax=1)
        pair[0].set_title(f"label {image.label}", fontsize="small")
        limit = float(np.abs(found.values).max()) or 1.0
        pair[1].imshow(found.values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        if (area := routine.area(found)).any() and not area.all():
            pair[1].contour(area, levels=[0.5], colors="k", linewidths=0.8)
        pair[1].set_title(f"for {found.target}", fontsize="small")
        for axes in pair:
            axes.set_axis_off()
    file = experiment.out / MAPS_FILE
    _save(figure, file)
    return file


def _save(figure: Any, file: Path) -> None:
    with replacing(file) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=file.suffix.removeprefix("."))


def paper_lines(results: Mapping[str, Any], preset: Preset) -> Sequence[str]:
    """Compare the order of encoders with the paper's, in a line; none before two of them are there."""
    order = order_of_encoders(results, preset)
    if len(order) < 2:
        return []
    expected = tuple(name for name in PAPER_ORDER if name in order)
    verdict = "as in the paper" if order == expected else f"the paper: {' > '.join(expected)}"
    return [f"order of encoders: {' > '.join(order)} ({verdict})"]
