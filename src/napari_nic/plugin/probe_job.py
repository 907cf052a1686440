"""What a stroke sets going beside the window: learn, test, and classify the cells, those in view first."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

from napari_nic.annotations import RGB, AnnotationSet, label_colors
from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.probe import (
    CellClasses,
    CellFinder,
    Learner,
    LearningSlide,
    Probe,
    Stroke,
    Trained,
    classifying,
    strokes_of,
)

SOON_TESTED = 3_000
"""Labelled cells up to which all strokes are tested before anything is painted: it takes 50 ms."""


@dataclass(eq=False)
class Pupil:
    """What is kept between two strokes; one job at a time works on it.

    Attributes
    ----------
    learner : Learner
        With the strokes of all slides.
    colors : dict of str to (int, int, int)
        Of the classes, also of those that were drawn on other slides.
    """

    learner: Learner = field(default_factory=Learner)
    colors: dict[str, RGB] = field(default_factory=dict)
    _slide: tuple[ResidentCodes, LearningSlide, CellFinder] | None = None

    def look_at(self, store: CompressedSlide, token: CancellationToken) -> tuple[LearningSlide, CellFinder]:
        """Read and describe the codes of a slide, unless that was done."""
        resident = ResidentCodes.load(store, token=token)
        if self._slide is None or self._slide[0] is not resident:
            described = LearningSlide.of(resident, token=token)
            self._slide = resident, described, CellFinder(resident.grid)
        return self._slide[1:]

    def forget(self) -> None:
        """Let the codes go."""
        self._slide = None


@dataclass(frozen=True, eq=False)
class ProbeRequest:
    """What is to be learned, as it was when the user let go of the mouse.

    Attributes
    ----------
    pupil : Pupil
    store : CompressedSlide
    annotations : AnnotationSet
    visible : RegionPx or None
        Level-0 pixels that are in view.
    before : CellClasses or None
        What is on the screen.
    trained : Trained or None
        What it was learned by.
    opened : Probe, optional
        That was saved before and is applied: nothing is learned then.
    """

    pupil: Pupil
    store: CompressedSlide
    annotations: AnnotationSet
    visible: RegionPx | None
    before: CellClasses | None
    trained: Trained | None = None
    opened: Probe | None = None


@dataclass(frozen=True, eq=False)
class Learned:
    """What a job reports: after learning, after the cells in view, and at the end.

    Attributes
    ----------
    counts : mapping of str to (int, int)
        Strokes and cells of each class, of all slides.
    slides : tuple of str
        Names of the slides that strokes were drawn on.
    colors : mapping of str to (int, int, int)
    notes : tuple of str
        What was not learned from.
    why_not : str
        Why nothing can be learned yet.
    strokes : tuple of Stroke
        Of this slide.
    trained : Trained or None
    found : CellClasses or None
    """

    counts: Mapping[str, tuple[int, int]]
    slides: tuple[str, ...]
    colors: Mapping[str, RGB]
    notes: tuple[str, ...]
    why_not: str
    strokes: tuple[Stroke, ...] = ()
    trained: Trained | None = None
    found: CellClasses | None = None


def _apply(
    request: ProbeRequest, probe: Probe, token: CancellationToken
) -> Generator[Learned, None, Learned]:
    """Say by a probe that was saved what the cells of a slide are."""
    probe.check_header(request.store.header)
    resident = ResidentCodes.load(request.store, token=token)
    card = probe.card
    state = Learned({}, (), dict(zip(card.class_names, card.class_colors, strict=True)), (), "")
    first = None
    if request.visible is not None:
        first = resident.within(*resident.grid.cells_within(request.visible))
    steps = classifying(probe, resident, first=first, before=request.before, token=token)
    for number, (progress, found) in enumerate(steps):
        if number == 0 and progress.done < progress.total:
            yield replace(state, found=found.copy())
    return replace(state, found=found)


def learn_job(request: ProbeRequest, token: CancellationToken) -> Generator[Learned, None, Learned]:
    """Learn from the strokes of a slide, or take a probe that was saved, and say what its cells are."""
    if request.opened is not None:
        return (yield from _apply(request, request.opened, token))
    pupil = request.pupil
    slide, finder = pupil.look_at(request.store, token)
    resident = ResidentCodes.load(request.store, token=token)
    strokes = strokes_of(request.annotations, resident, finder, token=token)
    pupil.learner.set_strokes(slide, strokes.strokes)
    learner = pupil.learner
    counts = learner.counts()
    pupil.colors = label_colors(counts, pupil.colors | dict(request.annotations.colors))
    state = Learned(
        counts=counts,
        slides=tuple(each.name for each in learner.slides),
        colors=pupil.colors,
        notes=strokes.notes,
        why_not=learner.why_not(),
        strokes=strokes.strokes,
    )
    if state.why_not:
        return state
    first = None
    if request.visible is not None:
        first = resident.within(*resident.grid.cells_within(request.visible))
    before = request.before
    if before is not None and sum(cells for _, cells in counts.values()) > SOON_TESTED:
        # The picture does not wait until many strokes are tested, one without the other.
        quick = learner.untested(pupil.colors, before.probe.temperature)
        _, before = next(classifying(quick, resident, first=first, before=before, token=token))
        yield replace(state, trained=request.trained, found=before.copy())
    trained = learner.train(pupil.colors, name=f"{slide.name} probe", token=token)
    steps = classifying(trained.probe, resident, first=first, before=before, token=token)
    for number, (progress, found) in enumerate(steps):
        if number == 0 and progress.done < progress.total:
            yield replace(state, trained=trained, found=found.copy())
    return replace(state, trained=trained, found=found)
