"""The log of a training run: two CSV files and, on request, a plot of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from napari_nic.disk import replacing
from napari_nic.errors import WeightsError
from napari_nic.extras import check_installed
from napari_nic.training.options import TrainingProgress

STEPS_FILE, VALIDATION_FILE, PLOT_FILE = "steps.csv", "validation.csv", "curve.png"


class TrainingLog:
    """Appends rows to ``steps.csv`` and ``validation.csv`` of a folder as they come.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def step(self, report: TrainingProgress) -> None:
        """Note a training step."""
        row = {"step": report.done, "loss": report.loss, **report.terms}
        speed = {
            "patches_per_second": round(report.patches_per_second, 1),
            "waiting": round(report.waiting, 4),
        }
        _write(self._folder / STEPS_FILE, [row | speed], "a")

    def validation(self, step: int, measures: Mapping[str, float]) -> None:
        """Note a validation."""
        _write(self._folder / VALIDATION_FILE, [{"step": step, **measures}], "a")

    def rewind(self, step: int) -> None:
        """Drop rows after `step`: a resumed run writes them again."""
        for name in (STEPS_FILE, VALIDATION_FILE):
            file = self._folder / name
            rows = read_log(file)
            if rows and rows[-1]["step"] > step:
                temporary = file.with_suffix(".new")
                _write(temporary, [row for row in rows if row["step"] <= step], "w")
                temporary.replace(file)


def read_log(file: Path) -> list[dict[str, float]]:
    """Read one of the log's files; an absent one is empty, and lines that a kill left half are left out."""
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8", errors="replace") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, csv.Error) as error:
        raise WeightsError("the log of the training cannot be read", path=file, found=str(error)) from error
    return [numbers for row in rows if (numbers := _numbers(row)) is not None]


def _numbers(row: Mapping[str | None, Any]) -> dict[str, float] | None:
    try:
        return {str(name): float(value) for name, value in row.items()}
    except (TypeError, ValueError):
        return None


def _write(file: Path, rows: list[dict[str, float]], mode: Literal["a", "w"]) -> None:
    with file.open(mode, newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["step"])
        if stream.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


def plot_log(folder: Path) -> Path:
    """Draw the losses of a training folder to ``curve.png``.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    check_installed("matplotlib", "plots of the losses")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, label in ((STEPS_FILE, "training (smoothed)"), (VALIDATION_FILE, "validation")):
        rows = read_log(folder / name)
        if rows:
            axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], label=label)
    axes.set(xlabel="step", ylabel="loss", title=folder.name.removesuffix(".training"))
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(folder / PLOT_FILE) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    return folder / PLOT_FILE
