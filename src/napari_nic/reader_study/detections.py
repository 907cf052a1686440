"""Points where lesions are thought to be, with a score each: of a table, or the peaks of a map."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from napari_nic.disk import check_regular
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.readings import ValueMap

APART_UM = 200.0
"""Peaks of a map are at least this far apart: the largest extent of isolated tumour cells."""

LEAST_SCORE = 0.5

_SCORES = ("confidence", "score", "probability", "prob")

_COLUMNS = 3

_MOST_BYTES = 100_000_000


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections on a slide.

    Attributes
    ----------
    points_px : ndarray of float64, (n, 2)
        (x, y), level-0 pixels.
    scores : ndarray of float64, (n,)
        High where a lesion is likely.
    """

    points_px: np.ndarray
    scores: np.ndarray


def read_detections(path: Path, *, token: CancellationToken | None = None) -> Detections:
    """Read a table of detections as Camelyon16 has them: score, x, y in level-0 pixels, one a line.

    A header may give the columns another order: x, y and one of confidence, score, probability. An empty
    table is a slide on which nothing was detected.

    Raises
    ------
    AnnotationError
        If it is no such table.
    """
    check_regular(path, AnnotationError)
    if path.stat().st_size > _MOST_BYTES:
        raise AnnotationError("the table of detections is too large", path=path, expected="100 MB at most")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError("this is no table of detections", path=path, found=str(error)) from error
    order = (0, 1, 2)
    if rows and not _is_number(rows[0][0]):
        order = _order(rows[0], path)
        rows = rows[1:]
    found = np.array([_row(row, order, path) for row in checked(rows, token)], np.float64).reshape(
        -1, _COLUMNS
    )
    return Detections(found[:, 1:], found[:, 0])


def map_detections(
    values: ValueMap,
    *,
    apart_um: float = APART_UM,
    least: float = LEAST_SCORE,
    token: CancellationToken | None = None,
) -> Detections:
    """Return the peaks of a map: the highest cell, then the highest that is far enough from it, and so on.

    Parameters
    ----------
    values : ValueMap
    apart_um : float
        Least distance of two detections (non-maximum suppression).
    least : float
        Lower values are no detections.
    token : CancellationToken, optional
    """
    rows, cols = np.nonzero(values.mask & (values.values >= least))
    scores = values.values[rows, cols].astype(np.float64)
    placement, pixel = values.grid.placement, values.grid.pixel_size
    y = placement.origin_um[0] + (rows + 0.5) * placement.step_um[0]
    x = placement.origin_um[1] + (cols + 0.5) * placement.step_um[1]
    points = np.stack([x, y], axis=1)
    kept: list[int] = []
    free = np.ones(len(points), bool)
    tree = cKDTree(points) if len(points) else None
    for index in checked(np.argsort(-scores, kind="stable").tolist(), token):
        if tree is not None and free[index]:
            kept.append(index)
            free[tree.query_ball_point(points[index], apart_um)] = False
    return Detections(points[kept] / (pixel.x, pixel.y), scores[kept])


def _order(header: Sequence[str], path: Path) -> tuple[int, int, int]:
    names = [name.strip().lower() for name in header]
    score = next((names.index(name) for name in _SCORES if name in names), None)
    if score is None or "x" not in names or "y" not in names:
        raise AnnotationError(
            "the table of detections lacks a column",
            path=path,
            expected=f"x, y and one of {', '.join(_SCORES)}",
            found=", ".join(header)[:200],
        )
    return score, names.index("x"), names.index("y")


def _row(row: Sequence[str], order: tuple[int, int, int], path: Path) -> list[float]:
    if max(order) < len(row) and all(_is_number(row[k]) for k in order):
        return [float(row[k]) for k in order]
    raise AnnotationError(
        "a line of the table is no detection",
        path=path,
        expected="score, x, y, all of them numbers",
        found=",".join(row)[:200],
    )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
