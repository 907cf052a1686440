"""Whether a saliency map should be believed: the numbers, and the verdict that they give."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_nic.colors import GREEN, ORANGE, RGB, VERMILION
from napari_nic.explain.curves import Curve

Verdict = Literal["reliable", "uncertain", "not reliable"]

MARKS: dict[Verdict, str] = {
    "reliable": "\N{CHECK MARK}",
    "uncertain": "?",
    "not reliable": "\N{MULTIPLICATION X}",
}
VERDICT_COLORS: dict[Verdict, RGB] = {"reliable": GREEN, "uncertain": ORANGE, "not reliable": VERMILION}
"""Of the mark. Its shape and the word say it alone: nobody has to tell green from red."""


@dataclass(frozen=True)
class Limits:
    """Where a number stops to be good, and where it begins to be bad.

    Attributes
    ----------
    good : float
        Up to here a map can be reliable.
    bad : float
        Beyond it is not.
    """

    good: float
    bad: float


@dataclass(frozen=True)
class Check:
    """A number that a verdict asks for.

    Attributes
    ----------
    name : str
        Attribute of :class:`Reliability`.
    label : str
        Of the number, for people.
    limits : Limits
        The good one is above the bad one where more is better.
    complaint : str
        What it means where it is not good.
    """

    name: str
    label: str
    limits: Limits
    complaint: str

    def state(self, value: float) -> Verdict:
        """Weigh a number; one that there is not (not-a-number) is no reason against a map."""
        sign = 1 if self.limits.good >= self.limits.bad else -1
        if math.isnan(value) or sign * value >= sign * self.limits.good:
            return "reliable"
        return "uncertain" if sign * value >= sign * self.limits.bad else "not reliable"

    def explain(self, value: float) -> str:
        """Say what is wrong: the complaint, the number and what a reliable map has."""
        return f"{self.complaint} ({self.label} {self.written(value)})"

    def written(self, value: float) -> str:
        """Write a number with what a reliable map has."""
        bound = "at least" if self.limits.good >= self.limits.bad else "at most"
        number = "none" if math.isnan(value) else f"{value:.2f}"
        return f"{number}, reliable {bound} {self.limits.good:.2f}"


CHECKS = (
    Check(
        "unlike",
        "distance from the training",
        Limits(0.4, 0.45),
        "the slide is unlike those that the model learned from",
    ),
    Check(
        "deletion_gain",
        "gain by deletion",
        Limits(0.05, 0.005),
        "masking the marked cells lowers the score hardly more than masking others",
    ),
    Check(
        "insertion_gain",
        "gain by insertion",
        Limits(0.05, 0.005),
        "the marked cells alone give hardly more of the score than others",
    ),
    Check("views", "agreement of views", Limits(0.8, 0.3), "the map changes when the slide is turned"),
    Check("crops", "agreement of crops", Limits(0.8, 0.5), "the map changes when less is seen around"),
    Check("folds", "agreement of folds", Limits(0.2, -0.1), "models of other folds mark other cells"),
    Check("score_std", "spread of the score", Limits(0.15, 0.3), "the score depends on the view"),
)
"""The thresholds of verdicts, here and nowhere else."""


def verdict_of(numbers: Mapping[str, float | None]) -> Verdict:
    """Return the worst state of all checks.

    Parameters
    ----------
    numbers : mapping of str to float or None
        By the names of :data:`CHECKS`, as of :meth:`Reliability.to_dict`; None and not-a-number speak
        neither for nor against a map.
    """
    states = set()
    for check in CHECKS:
        value = numbers[check.name]
        states.add(check.state(float("nan") if value is None else value))
    return next(state for state in ("not reliable", "uncertain", "reliable") if state in states)


NOT_CALIBRATED = "the thresholds were calibrated for classes and Grad-CAM at the first layer only"


@dataclass(frozen=True, eq=False)
class Reliability:
    """What is known of a saliency map beside the map.

    Attributes
    ----------
    target : str
        What the map explains.
    score : float
        Of the target, for the whole slide seen at once; a probability, a value or a risk.
    score_std : float
        Its standard deviation over dihedral views, crops and folds.
    n_scores : int
        Over how many.
    deletion, insertion : Curve
    views : float
        Mean rank correlation of the maps of the eight dihedral views, all pairs.
    crops : float
        Mean rank correlation of the maps of crops with the whole map there; not-a-number without a crop.
    folds : float
        Of the maps of the folds' models, all pairs; not-a-number with a single model.
    unlike : float
        How far the slide's codes are from those of the training, in nats; see
        :func:`~napari_nic.explain.checking.unlikeness`.
    cell_spread : ndarray of float32, (rows, cols)
        Per cell, standard deviation of its rank over views and folds, as a share of all cells; not-a-number
        where nothing is encoded.
    calibrated : bool
        Whether the thresholds were calibrated for such maps; no other is called reliable.
    """

    target: str
    score: float
    score_std: float
    n_scores: int
    deletion: Curve
    insertion: Curve
    views: float
    crops: float
    folds: float
    unlike: float
    cell_spread: np.ndarray
    calibrated: bool = True

    @property
    def deletion_gain(self) -> float:
        """How much lower the area under the deletion curve is than with random masks."""
        return self.deletion.random_auc - self.deletion.auc

    @property
    def insertion_gain(self) -> float:
        """How much higher the area under the insertion curve is than with random masks."""
        return self.insertion.auc - self.insertion.random_auc

    @property
    def verdict(self) -> Verdict:
        """The worst state of all checks; reliable only where that was calibrated."""
        found = verdict_of({check.name: value for check, value in self._checked()})
        return "uncertain" if found == "reliable" and not self.calibrated else found

    @property
    def reason(self) -> str:
        """The first number that spoke against the map, or that none did."""
        verdict = self.verdict
        for check, value in self._checked():
            if verdict != "reliable" and check.state(value) == verdict:
                return check.explain(value)
        if verdict == "uncertain":
            return NOT_CALIBRATED
        return (
            f"masking the marked cells lowers the score more than masking others (gain by deletion "
            f"{self.deletion_gain:.2f}), and the map stays the same (agreement of views {self.views:.2f})"
        )

    @property
    def line(self) -> str:
        """One line for people: mark, verdict and reason."""
        verdict = self.verdict
        return f"{MARKS[verdict]} Saliency of {self.target!r} is {verdict}: {self.reason}"

    def rows(self) -> list[tuple[str, str]]:
        """Return the numbers behind the line, each with its name."""
        spread = self.cell_spread[~np.isnan(self.cell_spread)]
        return [
            ("score of the whole slide", f"{self.score:.2f}"),
            *((check.label, check.written(value)) for check, value in self._checked()),
            ("spread of a cell's rank", f"{float(spread.mean()):.2f} on average" if spread.size else "none"),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, without the single cells; None where there is no number."""
        names = ("score", "score_std", "deletion_gain", "insertion_gain", "views", "crops", "folds", "unlike")
        numbers = {name: float(getattr(self, name)) for name in names}
        curves = {"deletion": self.deletion, "insertion": self.insertion}
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
            "n_scores": self.n_scores,
            **{name: curve.to_dict() for name, curve in curves.items()},
        }

    def _checked(self) -> Iterator[tuple[Check, float]]:
        for check in CHECKS:
            yield check, float(getattr(self, check.name))
