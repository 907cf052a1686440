"""Learning from the strokes of one or several slides, stroke by stroke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import napari_nic
from napari_nic.colors import RGB
from napari_nic.embeddings import ResidentCodes
from napari_nic.errors import InvalidParameterError, StoreMismatchError
from napari_nic.grid import PatchGrid
from napari_nic.identity import described, differing
from napari_nic.jobs import CancellationToken
from napari_nic.probe.check import StrokeCheck, check_strokes
from napari_nic.probe.discriminant import PRIOR_CELLS, Discriminant, solve
from napari_nic.probe.model import Probe, ProbeCard
from napari_nic.probe.scaling import Moments
from napari_nic.probe.strokes import Stroke, class_counts
from napari_nic.probe.sums import GramSums
from napari_nic.probe.threads import one_thread
from napari_nic.wording import counted, plural_of

FEW_CELLS = 10
"""A class of fewer labelled cells is warned of."""

FEW_STROKES = 3
"""And one of fewer strokes: what is said without one of them hangs on the one or two that are left."""


CLEARLY = 0.05
"""By so much better is the nearest class mean when it is said: less may be the chance of a few strokes."""


@dataclass(frozen=True, eq=False)
class LearningSlide:
    """What a probe has to know of a slide beside its strokes.

    Attributes
    ----------
    name : str
    key : str
        What tells it from others, :attr:`~napari_nic.embeddings.StoreHeader.slide_key`.
    encoder : mapping
        Full description of the encoder of its codes.
    grid : PatchGrid
    moments : Moments
        Of all its codes.
    """

    name: str
    key: str
    encoder: Mapping[str, Any]
    grid: PatchGrid
    moments: Moments

    @classmethod
    def of(cls, resident: ResidentCodes, *, token: CancellationToken | None = None) -> LearningSlide:
        """Describe a slide whose codes are in memory."""
        header = resident.header
        moments = Moments.of(resident.codes, token=token)
        return cls(header.slide_name, header.slide_key, header.encoder, header.grid, moments)

    def is_same_codes(self, other: LearningSlide) -> bool:
        """Whether a cell has the same code in both descriptions of a slide."""
        return self.grid == other.grid and not differing(self.encoder, other.encoder)


@dataclass(frozen=True, eq=False)
class Trained:
    """A probe, and what is to be thought of it.

    Attributes
    ----------
    probe : Probe
    check : StrokeCheck
    warnings : tuple of str
        For the user to see, the most important first.
    """

    probe: Probe
    check: StrokeCheck
    warnings: tuple[str, ...]


class Learner:
    """Strokes of slides, and the sums over their cells.

    A stroke that is drawn is added to the sums and one that is undone is taken from them; those that stay
    cost nothing. Everything that is learned follows from the strokes that are there, not from how they came.
    """

    def __init__(self) -> None:
        self._slides: dict[str, LearningSlide] = {}
        self._strokes: dict[str, tuple[Stroke, ...]] = {}
        self._sums: GramSums | None = None

    @property
    def strokes(self) -> tuple[Stroke, ...]:
        """Strokes of all slides, slide by slide."""
        return tuple(stroke for of_slide in self._strokes.values() for stroke in of_slide)

    @property
    def slides(self) -> tuple[LearningSlide, ...]:
        """Slides that strokes were drawn on."""
        return tuple(slide for slide in self._slides.values() if self._strokes[slide.key])

    def counts(self) -> dict[str, tuple[int, int]]:
        """(strokes, cells) of each class."""
        return class_counts(self._strokes)

    def strokes_on(self, key: str) -> tuple[Stroke, ...]:
        """Strokes of one slide; none of a slide that is not known."""
        return self._strokes.get(key, ())

    def why_not(self) -> str:
        """Why nothing can be learned yet; empty when something can."""
        classes = tuple(self.counts())
        if len(classes) >= 2:
            return ""
        return "Draw strokes of two classes or more" + (f"; so far: {classes[0]}" if classes else "")

    def set_strokes(self, slide: LearningSlide, strokes: Sequence[Stroke]) -> None:
        """Say which strokes there are on a slide now; those of other slides stay.

        Raises
        ------
        StoreMismatchError
            If its codes come from another encoder than those of the other slides.
        """
        known = self._slides.get(slide.key)
        if known is not None and not known.is_same_codes(slide):
            self.forget_slide(slide.key)
        self._check_encoder(slide)
        before = {stroke.key: stroke for stroke in self._strokes.get(slide.key, ())}
        after = {stroke.key: before.get(stroke.key, stroke) for stroke in strokes}
        self._slides[slide.key], self._strokes[slide.key] = slide, tuple(after.values())
        gone = [stroke for key, stroke in before.items() if key not in after]
        with one_thread():
            self._sum_up([stroke for key, stroke in after.items() if key not in before], gone, slide)

    def _sum_up(self, new: list[Stroke], gone: list[Stroke], slide: LearningSlide) -> None:
        if not self.strokes:
            self._sums = None
        elif self._sums is None or len(gone) > len(self.strokes):
            self._sums = GramSums(slide.moments.mean if self._sums is None else self._sums.origin)
            self._sums.add_all(self.strokes)
        else:
            for stroke in gone:
                self._sums.remove(stroke)
            self._sums.add_all(new)

    def forget_slide(self, key: str) -> None:
        """Forget a slide and its strokes."""
        slide = self._slides.get(key)
        if slide is not None:
            self.set_strokes(slide, ())
            del self._slides[key], self._strokes[key]

    def solve(self, *, prior_cells: float = PRIOR_CELLS) -> Discriminant:
        """Solve for the discriminant of all strokes.

        Raises
        ------
        InvalidParameterError
            If fewer than two classes have strokes; see :meth:`why_not`.
        """
        if self._sums is None:
            raise InvalidParameterError("there is nothing to learn from", hint=self.why_not())
        scaling = Moments.joined(slide.moments for slide in self.slides)
        with one_thread():
            return solve(self._sums, scaling, prior_cells=prior_cells)

    def train(
        self,
        colors: Mapping[str, RGB],
        *,
        name: str = "probe",
        prior_cells: float = PRIOR_CELLS,
        token: CancellationToken | None = None,
    ) -> Trained:
        """Train a probe on all strokes, and test each stroke with the others.

        Parameters
        ----------
        colors : mapping of str to (int, int, int)
            Of every class.
        name : str
        prior_cells : float
            See :func:`~napari_nic.probe.discriminant.solve`.
        token : CancellationToken, optional
            Asked at each stroke.

        Raises
        ------
        InvalidParameterError
            If fewer than two classes have strokes.
        """
        discriminant = self.solve(prior_cells=prior_cells)
        check = check_strokes(discriminant, self.strokes, token=token)
        card = self._card(name, discriminant, _metrics(check), colors)
        return Trained(_probe(card, discriminant, check.temperature), check, self._warnings(check))

    def untested(self, colors: Mapping[str, RGB], temperature: float) -> Probe:
        """Learn at once: the same classes as :meth:`train`, with probabilities of some other temperature.

        Raises
        ------
        InvalidParameterError
            If fewer than two classes have strokes.
        """
        discriminant = self.solve()
        card = self._card("not tested yet", discriminant, {}, colors)
        return _probe(card, discriminant, temperature)

    def _check_encoder(self, slide: LearningSlide) -> None:
        for other in self.slides:
            different = differing(other.encoder, slide.encoder)
            if different and other.key != slide.key:
                raise StoreMismatchError(
                    "slides of two encoders cannot be learned from together",
                    expected=f"{other.name}: {described(other.encoder, ('name', *different))}",
                    found=f"{slide.name}: {described(slide.encoder, ('name', *different))}",
                    hint="compress both slides with one encoder",
                )

    def _card(
        self, name: str, discriminant: Discriminant, metrics: Mapping[str, Any], colors: Mapping[str, RGB]
    ) -> ProbeCard:
        counts, classes = self.counts(), discriminant.classes
        return ProbeCard(
            name=name,
            class_names=classes,
            class_colors=tuple(colors[label] for label in classes),
            encoder=dict(self.slides[0].encoder),
            training={
                "slides": [slide.name for slide in self.slides],
                "strokes": {label: counts[label][0] for label in classes},
                "cells": {label: counts[label][1] for label in classes},
                "prior_cells": discriminant.prior_cells,
                "software": f"napari-nic {napari_nic.__version__}",
            },
            metrics=metrics,
            summary=f"Tells {', '.join(classes)} apart, cell by cell; learned while drawing.",
        )

    def _warnings(self, check: StrokeCheck) -> tuple[str, ...]:
        counts = self.counts()
        strokes = {label: number for label, (number, _) in counts.items() if number < FEW_STROKES}
        cells = {label: number for label, (_, number) in counts.items() if number < FEW_CELLS}
        warnings = [_too_few(strokes, FEW_STROKES, "stroke"), _too_few(cells, FEW_CELLS, "cell")]
        if len(self.slides) == 1:
            warnings.append("All strokes are on one slide: how it does on others is not known")
        if not check.calibrated:
            warnings.append(
                "Accuracy is not known and probabilities are a guess until two classes have two strokes each"
            )
        elif (
            check.accuracy is not None and check.floor is not None and check.accuracy < check.floor - CLEARLY
        ):
            warnings.append("The nearest class mean does better: the strokes do not suffice yet")
        return tuple(filter(None, warnings))


def _probe(card: ProbeCard, discriminant: Discriminant, temperature: float) -> Probe:
    weights, offsets = discriminant.linear()
    return Probe(card, weights.astype("float32"), offsets.astype("float32"), temperature)


def _too_few(found: Mapping[str, int], least: int, what: str) -> str:
    if not found:
        return ""
    listed = ", ".join(f"{label} {number}" for label, number in found.items())
    return f"Few {plural_of(what)} ({listed}): draw at least {counted(least, what)} of each class"


def _metrics(check: StrokeCheck) -> dict[str, Any]:
    """What is kept of a check; all of it measured on strokes that were left out."""
    if check.accuracy is None:
        return {"leave_one_stroke_out": "not measured: two classes with two strokes each are needed"}
    return {
        "leave_one_stroke_out": {
            "balanced_accuracy": check.accuracy,
            "recall": dict(check.recall),
            "strokes": check.strokes,
            "simple_shot_balanced_accuracy": check.floor,
        },
        "calibrated": check.calibrated,
    }
