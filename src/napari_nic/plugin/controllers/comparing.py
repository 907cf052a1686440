"""How well an overlay agrees with the areas of a class: found in a worker, told when it is known."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.annotations import AnnotationSet, agreement, rasterise
from napari_nic.errors import InvalidParameterError
from napari_nic.plugin.worker import Callbacks, Job, Runner

if TYPE_CHECKING:
    from napari_nic.explain import Overlay
    from napari_nic.grid import PatchGrid
    from napari_nic.jobs import CancellationToken

COVERED = 0.5
"""A cell belongs to an area that covers at least this share of it."""

COMPARING = "comparing..."


@dataclass(frozen=True, eq=False)
class _Question:
    """What is compared with what."""

    annotations: AnnotationSet
    label: str
    grid: PatchGrid
    overlay: Overlay

    def same_area(self, other: _Question) -> bool:
        same = self.annotations is other.annotations and self.label == other.label
        return same and self.grid == other.grid

    def same(self, other: _Question) -> bool:
        return self.same_area(other) and self.overlay is other.overlay


@dataclass(frozen=True, eq=False)
class _Answer:
    text: str
    share: np.ndarray | None


class Comparing:
    """Answers one question at a time; a newer one takes the place of the one before.

    Parameters
    ----------
    runner : Runner
        Outlines are laid on the grid in its thread: many thousand take seconds.
    changed : callable
        Called when an answer is there.
    failed : callable
        Called with an error that nobody expects.
    """

    def __init__(
        self, runner: Runner, changed: Callable[[], None], failed: Callable[[Exception], None]
    ) -> None:
        self._runner = runner
        self._changed = changed
        self._failed = failed
        self._asked: _Question | None = None
        self._answer: _Answer | None = None
        self._job: Job | None = None

    def text(self, annotations: AnnotationSet, label: str, grid: PatchGrid, overlay: Overlay) -> str:
        """Say how well an overlay agrees with a class, or that this is being found out."""
        question = _Question(annotations, label, grid, overlay)
        if self._asked is None or not self._asked.same(question):
            self._ask(question)
        found = COMPARING if self._answer is None else self._answer.text
        return f"{overlay.name}, compared with {label}:\n{found}"

    def forget(self) -> None:
        """Stop; nothing is compared any more."""
        if self._job is not None:
            self._job.cancel()
        self._asked = self._answer = self._job = None

    def _ask(self, question: _Question) -> None:
        before, answer = self._asked, self._answer
        share = None
        if before is not None and answer is not None and before.same_area(question):
            share = answer.share
        self.forget()
        self._asked = question
        self._job = self._runner.start(
            f"Comparing {question.overlay.name} with {question.label}",
            partial(_compare, question, share),
            Callbacks(returned=partial(self._on_answer, question), failed=partial(self._on_failed, question)),
        )

    def _on_answer(self, question: _Question, answer: _Answer) -> None:
        if self._asked is question:
            self._answer = answer
            self._changed()

    def _on_failed(self, question: _Question, error: Exception) -> None:
        if self._asked is question:
            self._answer = _Answer("could not be compared", None)
            self._failed(error)
            self._changed()


def _compare(
    question: _Question, share: np.ndarray | None, token: CancellationToken
) -> Generator[None, None, _Answer]:
    yield
    token.checkpoint()
    if share is None:
        share = rasterise(question.annotations, question.grid, question.label, token=token)
    return _Answer(_sentence(share >= COVERED, question.overlay, question.label), share)


def _sentence(area: np.ndarray, overlay: Overlay, label: str) -> str:
    if area.shape == overlay.mask.shape and overlay.mask.any() and area[overlay.mask].all():
        return f"nothing to compare, {label} covers every cell"
    try:
        found = agreement(overlay.data, area, overlay.mask)
    except InvalidParameterError as error:
        return f"nothing to compare, {error.problem}"
    return f"best Jaccard {found.jaccard:.2f} (at {found.threshold:.2g}), pixel AUC {found.auc:.2f}"
