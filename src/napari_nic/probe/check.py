"""How well strokes are told by a probe that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_nic.jobs import CancellationToken, checked
from napari_nic.probe.calibration import HeldOut, fit_temperature
from napari_nic.probe.discriminant import Discriminant
from napari_nic.probe.simple_shot import SimpleShot
from napari_nic.probe.strokes import Stroke
from napari_nic.probe.threads import one_thread


@dataclass(frozen=True, eq=False)
class StrokeCheck:
    """Leave one stroke out: the cells of each stroke classified by all the others.

    Attributes
    ----------
    recall : mapping of str to float
        By class, the share of its cells that was told right; of classes with two strokes or more.
    simple_shot : mapping of str to float
        The same by :class:`~napari_nic.probe.simple_shot.SimpleShot`.
    strokes : int
        That were left out, one after the other.
    temperature : float
        Of the probabilities.
    calibrated : bool
        Whether it was chosen on strokes that were left out; on the cells that were learned from otherwise.
    """

    recall: dict[str, float]
    simple_shot: dict[str, float]
    strokes: int
    temperature: float
    calibrated: bool

    @property
    def accuracy(self) -> float | None:
        """Mean of the classes' recalls (balanced accuracy); None until two classes have two strokes each."""
        return _mean(self.recall)

    @property
    def floor(self) -> float | None:
        """The same by SimpleShot."""
        return _mean(self.simple_shot)


def check_strokes(
    discriminant: Discriminant, strokes: Sequence[Stroke], *, token: CancellationToken | None = None
) -> StrokeCheck:
    """test each stroke with the others, and choose the temperature on that.

    Parameters
    ----------
    discriminant : Discriminant
        Of exactly these strokes.
    strokes : sequence of Stroke
    token : CancellationToken, optional
        Asked at each stroke.
    """
    with one_thread():
        return _check(discriminant, strokes, token)


def _check(
    discriminant: Discriminant, strokes: Sequence[Stroke], token: CancellationToken | None
) -> StrokeCheck:
    numbers = {label: number for number, label in enumerate(discriminant.classes)}
    strokes_of = {label: sum(stroke.label == label for stroke in strokes) for label in numbers}
    floor = SimpleShot(discriminant.scaling.mean, discriminant.classes, strokes)
    held_out: list[HeldOut] = []
    nearest: list[tuple[int, np.ndarray]] = []
    for stroke in checked(strokes, token):
        scores, simple = discriminant.without(stroke), floor.without(stroke)
        if scores is not None and simple is not None:
            held_out.append(HeldOut(scores, numbers[stroke.label], strokes_of[stroke.label]))
            nearest.append((numbers[stroke.label], simple))
    recall = _recalls([(one.truth, one.scores.argmax(axis=1)) for one in held_out], discriminant.classes)
    calibrated = len(recall) >= 2
    seen = held_out if calibrated else _seen(discriminant, strokes, numbers, strokes_of)
    return StrokeCheck(
        recall=recall,
        simple_shot=_recalls(nearest, discriminant.classes),
        strokes=len(held_out),
        temperature=fit_temperature(seen),
        calibrated=calibrated,
    )


def _seen(
    discriminant: Discriminant,
    strokes: Sequence[Stroke],
    numbers: dict[str, int],
    strokes_of: dict[str, int],
) -> list[HeldOut]:
    """Scores of cells that were learned from: all there is before two classes have two strokes."""
    weights, offsets = discriminant.linear()
    return [
        HeldOut(stroke.codes @ weights.T + offsets, numbers[stroke.label], strokes_of[stroke.label])
        for stroke in strokes
    ]


def _recalls(held_out: list[tuple[int, np.ndarray]], classes: Sequence[str]) -> dict[str, float]:
    recalls = {}
    for number, label in enumerate(classes):
        told = [predicted == number for truth, predicted in held_out if truth == number]
        if told:
            recalls[label] = float(np.concatenate(told).mean())
    return recalls


def _mean(recalls: dict[str, float]) -> float | None:
    return float(np.mean(list(recalls.values()))) if len(recalls) >= 2 else None
