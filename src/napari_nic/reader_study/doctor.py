"""The annotation doctor: objects whose codes look like another class, the most suspicious ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_nic.annotations import AnnotationSet
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.reader_study.discriminant import calibrated, folds_of_groups, held_out_scores
from napari_nic.reader_study.object_codes import ObjectCodes

FOLDS = 5

BLOCKS = 25
"""Parts of a slide that are held out together where there is one slide only."""

FEWEST = 2
"""Objects of a class on different folds, else nothing is known of it."""


@dataclass(frozen=True, eq=False)
class DoctorSlide:
    """The objects of a slide.

    Attributes
    ----------
    name : str
    annotations : AnnotationSet
    objects : ObjectCodes
        Of these annotations.
    """

    name: str
    annotations: AnnotationSet
    objects: ObjectCodes


@dataclass(frozen=True)
class Suspect:
    """An object, and how well its code fits its class.

    Attributes
    ----------
    slide : str
    index : int
        Place in the slide's set.
    id, label : str
    looks_like : str
        The likeliest class, as models say that saw no object of the same fold.
    own, likeliest : float
        Probability of its own class, and of the likeliest one.
    center_px : (float, float)
        (x, y), level-0 pixels.
    n_cells : int
        Cells that its code is the mean of.
    """

    slide: str
    index: int
    id: str
    label: str
    looks_like: str
    own: float
    likeliest: float
    center_px: tuple[float, float]
    n_cells: int

    @property
    def reason(self) -> str:
        """Why it is where it is in the list."""
        if self.looks_like == self.label:
            return f"looks like {self.label}, as it is labelled: {self.own:.2f}"
        return f"looks like {self.looks_like}: {self.likeliest:.2f}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "slide": self.slide,
            "object": self.index + 1,
            "id": self.id,
            "label": self.label,
            "looks_like": self.looks_like,
            "probability_of_label": self.own,
            "probability": self.likeliest,
            "x_px": self.center_px[0],
            "y_px": self.center_px[1],
            "cells": self.n_cells,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Diagnosis:
    """All objects, and what the list is worth.

    Attributes
    ----------
    suspects : tuple of Suspect
        All that could be scored, the least probable labels first.
    classes : tuple of str
    held_out : {"slides", "parts of the slide"}
        What was held out together.
    balanced_accuracy : float
        Mean over classes of the share of objects that look like their class. Near 1 / classes, the codes
        do not tell the classes apart, and the list says nothing.
    left_out : tuple of (str, int, str)
        Slide, place and reason of objects that could not be scored.
    """

    suspects: tuple[Suspect, ...]
    classes: tuple[str, ...]
    held_out: Literal["slides", "parts of the slide"]
    balanced_accuracy: float
    left_out: tuple[tuple[str, int, str], ...]


def examine(
    slides: Sequence[DoctorSlide], *, seed: int = 0, token: CancellationToken | None = None
) -> Diagnosis:
    """Rank objects by how little their codes look like their class.

    Parameters
    ----------
    slides : sequence of DoctorSlide
        Of several, whole slides are held out; of one, parts of it.
    seed : int
        Of the folds.
    token : CancellationToken, optional
        Asked at each fold.

    Raises
    ------
    InvalidParameterError
        If there are fewer than two classes with objects in two folds.

    Notes
    -----
    Objects near each other, and on one slide, look alike whatever they are: a model that saw the neighbours
    would repeat their labels, wrong ones too. So these are held out together.
    """
    table = _Table(slides)
    folds = table.folds(seed)
    known, classes, labels = table.known_classes(folds)
    scores = held_out_scores(table.codes[known], labels, folds[known], len(classes), token=token)
    scored = np.isfinite(scores[np.arange(len(labels)), labels])
    probabilities = calibrated(scores[scored], labels[scored])
    rows = np.flatnonzero(known)[scored]
    own = probabilities[np.arange(len(rows)), labels[scored]]
    best = probabilities.argmax(axis=1)
    margin = own - probabilities.max(axis=1)
    order = np.lexsort((own, margin))
    suspects = tuple(
        table.suspect(rows[k], classes[best[k]], float(own[k]), float(probabilities[k, best[k]]))
        for k in order
    )
    found = best == labels[scored]
    accuracy = float(np.mean([found[labels[scored] == k].mean() for k in np.unique(labels[scored])]))
    left_out = table.left_out(set(rows.tolist()))
    held_out: Literal["slides", "parts of the slide"] = "slides" if len(slides) > 1 else "parts of the slide"
    return Diagnosis(suspects, tuple(classes), held_out, accuracy, left_out)


class _Table:
    """All objects of all slides, one a row."""

    def __init__(self, slides: Sequence[DoctorSlide]) -> None:
        self._slides = slides
        self._slide = np.repeat(np.arange(len(slides)), [len(s.annotations) for s in slides])
        self._index = np.concatenate([np.arange(len(s.annotations)) for s in slides] or [np.empty(0, int)])
        self._labels = np.array([a.label for s in slides for a in s.annotations.annotations], object)
        width = max((s.objects.codes.shape[1] for s in slides), default=0)
        self.codes = np.concatenate(
            [s.objects.codes for s in slides] or [np.empty((0, width), np.float32)]
        ).astype(np.float64)
        self._seen = np.asarray(np.isfinite(self.codes).all(axis=1))

    def folds(self, seed: int) -> np.ndarray:
        """Return the fold of each object: by slide where there are several, else by part of the slide."""
        if len(self._slides) > 1:
            return folds_of_groups(self._slide, min(FOLDS, len(self._slides)), seed)
        if not len(self._labels):
            return np.empty(0, int)
        centers = self._slides[0].objects.centers_px
        low, high = centers.min(axis=0), centers.max(axis=0)
        across = round(np.sqrt(BLOCKS))
        part = np.clip((centers - low) / np.maximum(high - low, 1e-9) * across, 0, across - 1).astype(int)
        return folds_of_groups(part[:, 0] * across + part[:, 1], FOLDS, seed)

    def known_classes(self, folds: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Return which objects take part, the classes, and the number of each one's class."""
        there = {
            label: len(np.unique(folds[self._seen & (self._labels == label)]))
            for label in dict.fromkeys(self._labels.tolist())
        }
        classes = [label for label, number in there.items() if number >= FEWEST]
        if len(classes) < 2:
            raise InvalidParameterError(
                "there are not two classes to tell apart",
                expected="two classes, each with objects on two slides or in two parts of one",
                found=", ".join(f"{label}: in {number}" for label, number in there.items()) or "no objects",
            )
        number = {label: k for k, label in enumerate(classes)}
        known = self._seen & np.isin(self._labels, classes)
        return known, classes, np.array([number[label] for label in self._labels[known]], int)

    def suspect(self, row: int, looks_like: str, own: float, likeliest: float) -> Suspect:
        """Describe an object."""
        slide, index = self._slides[self._slide[row]], int(self._index[row])
        annotation = slide.annotations.annotations[index]
        x, y = slide.objects.centers_px[index].tolist()
        cells = int(slide.objects.n_cells[index])
        return Suspect(
            slide.name, index, annotation.id, annotation.label, looks_like, own, likeliest, (x, y), cells
        )

    def left_out(self, scored: set[int]) -> tuple[tuple[str, int, str], ...]:
        """Say of the other objects why they were not scored."""
        found = []
        for row in range(len(self._labels)):
            if row not in scored:
                why = "too few others of its class" if self._seen[row] else "none of its cells is encoded"
                found.append((self._slides[self._slide[row]].name, int(self._index[row]), why))
        return tuple(found)
