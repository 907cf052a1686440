"""Two sections laid on each other by landmarks that somebody points at in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from skimage.transform import estimate_transform

from napari_nic.errors import InvalidParameterError

AlignmentKind = Literal["translation", "similarity", "affine"]
Point = tuple[float, float]

LEAST_LANDMARKS = {"translation": 1, "similarity": 2, "affine": 3}
"""So many landmarks determine each kind; from one more on the residual says how well they agree."""

_LEAST_SPREAD = 1e-3
"""Of landmarks across their longest direction, as a share of it: on one line they leave the rest open."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a place of the second section lies on the first.

    Attributes
    ----------
    kind : {"translation", "similarity", "affine"}
    matrix : ndarray, (3, 3)
        Maps (y, x, 1) in micrometres of the second section to those of the first.
    residual_um : float or None
        Root mean square of the distances between landmarks after the fit; None where the landmarks are as few
        as determine the fit, and agree whatever they are.
    count : int
        Landmarks that it was fitted to.
    """

    kind: AlignmentKind
    matrix: npt.NDArray[np.float64]
    residual_um: float | None
    count: int

    @property
    def scale(self) -> float:
        """How many micrometres of the first section one of the second becomes."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:2, :2]))))

    @property
    def angle(self) -> float:
        """Rotation in degrees, anticlockwise as it is seen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0]))) + 0.0

    def to_first(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map points (n, 2) of the second section to the first."""
        places = np.asarray(points, np.float64)
        return np.asarray(places @ self.matrix[:2, :2].T + self.matrix[:2, 2])


def align(first: Sequence[Point], second: Sequence[Point], kind: AlignmentKind) -> Alignment:
    """Fit the second section to the first by least squares (Umeyama 1991 for similarities).

    Parameters
    ----------
    first, second : sequence of (float, float)
        The same landmarks on both, (y, x) in micrometres.
    kind : {"translation", "similarity", "affine"}
        A similarity turns, moves and scales and never mirrors; an affine map stretches and shears too.

    Raises
    ------
    InvalidParameterError
        If there are too few landmarks, or they lie so that the fit is not determined.
    """
    if len(first) != len(second) or len(first) < LEAST_LANDMARKS[kind]:
        raise InvalidParameterError(
            f"too few landmarks for this alignment ({kind})",
            expected=f"{LEAST_LANDMARKS[kind]} at least, on both sections",
            found=f"{len(first)} and {len(second)}",
        )
    to, of = np.asarray(first, np.float64), np.asarray(second, np.float64)
    for points in (to, of):
        _check_spread(points, kind)
    if kind == "translation":
        matrix = np.eye(3)
        matrix[:2, 2] = (to - of).mean(axis=0)
    else:
        # scikit-image's points are (x, y); a turn by columns keeps its sense.
        turned = np.asarray(estimate_transform(kind, of[:, ::-1], to[:, ::-1]).params)
        matrix = turned[[1, 0, 2]][:, [1, 0, 2]]
    if not np.isfinite(matrix).all():
        raise InvalidParameterError("these landmarks do not determine an alignment")
    distances = np.linalg.norm(of @ matrix[:2, :2].T + matrix[:2, 2] - to, axis=1)
    residual = float(np.sqrt((distances**2).mean())) if len(to) > LEAST_LANDMARKS[kind] else None
    return Alignment(kind, matrix, residual, len(to))


def _check_spread(points: npt.NDArray[np.float64], kind: AlignmentKind) -> None:
    if kind == "translation":
        return
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if spread[0] < 1e-6:
        raise InvalidParameterError("the landmarks lie at one place", hint="take places that are far apart")
    if kind == "affine" and spread[1] < _LEAST_SPREAD * spread[0]:
        raise InvalidParameterError(
            "the landmarks lie on one line", hint="take one beside the line of the others"
        )
