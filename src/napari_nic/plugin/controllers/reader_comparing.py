"""Two of the open slide's readings against each other: layers of annotations, prediction, saliency."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from psygnal import Signal

from napari_nic.errors import AnnotationError
from napari_nic.explain import Overlay
from napari_nic.geometry import RegionPx
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.comparison_jobs import Asked, Compared, Place, compare_job, difference_job
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.plugin.worker import Callbacks, Job, MakeJob, Runner
from napari_nic.reader_study import PairComparison, difference_legend
from napari_nic.reader_study.kappa import KappaResult
from napari_nic.wording import counted

OPACITY = 0.45
"""The tissue below is what matters."""

DIFFERENCE = "difference"

CHANGED = "The annotations were changed since: compare again."


class ReadingDesk(Protocol):
    """What of the NIC dock comparing needs."""

    @property
    def session(self) -> Session:
        """Knows the viewer and the chosen slide."""

    @property
    def models(self) -> ModelController:
        """Knows the chosen model."""

    @property
    def documents(self) -> DocumentController:
        """Tells of edits."""


class ReaderComparing:
    """Holds which two are compared, what came of it, and the overlay of their difference.

    Parameters
    ----------
    desk : ReadingDesk
    runner : Runner

    Attributes
    ----------
    first, second : str
        Names of the two sides, of :meth:`sources`.
    label : str
        The class that is shown.
    compared : Compared or None
    is_outdated : bool
        Whether annotations were edited since.
    """

    changed = Signal()

    def __init__(self, desk: ReadingDesk, runner: Runner) -> None:
        self._desk, self._runner = desk, runner
        self._stack = OverlayStack(desk.session, lambda _: self.changed.emit(), kinds=(DIFFERENCE,))
        self.first = self.second = self.label = ""
        self.compared: Compared | None = None
        self.is_outdated = False
        self._place: Place | None = None
        self._job: Job | None = None
        layers = desk.session.viewer.layers.events
        for event in (layers.inserted, layers.removed):
            event.connect(self._on_layers)
        desk.session.slide_changed.connect(self._on_slide)
        desk.session.store_changed.connect(self.changed.emit)
        desk.models.changed.connect(self.changed.emit)
        desk.documents.edited.connect(self._on_edited)

    def close(self) -> None:
        """Stop following the window; what runs is cancelled."""
        self.cancel()
        layers = self._desk.session.viewer.layers.events
        for event in (layers.inserted, layers.removed):
            event.disconnect(self._on_layers)
        self._desk.session.slide_changed.disconnect(self._on_slide)
        self._desk.session.store_changed.disconnect(self.changed.emit)
        self._desk.models.changed.disconnect(self.changed.emit)
        self._desk.documents.edited.disconnect(self._on_edited)
        self._stack.close()

    # -- what can be compared ----------------------------------------------------------------------------

    def sources(self) -> tuple[str, ...]:
        """Names of what can be compared: files and layers of annotations, and what the model says."""
        return tuple(self._sides())

    def _sides(self) -> dict[str, Callable[[], Asked]]:
        sides: dict[str, Callable[[], Asked]] = {}
        for tag in self._tags():
            name, number = tag.name or "drawn", 2
            while name in sides:  # two files of one name, in two folders
                name, number = f"{tag.name} ({number})", number + 1
            sides[name] = partial(self._asked_of, tag, name)
        bundle, store = self._desk.models.bundle, self._desk.session.store
        if bundle is not None and store is not None and bundle.card.task == "classification":
            target = self._desk.models.target
            sides[f"prediction of {bundle.name}"] = partial(
                Asked, "prediction", f"prediction of {bundle.name}", bundle=bundle
            )
            sides[f"saliency of {bundle.name} for {bundle.card.class_names[target]}"] = partial(
                Asked, "saliency", f"saliency of {bundle.name}", bundle=bundle, target=target
            )
        return sides

    def _tags(self) -> list[AnnotationTag]:
        slide = self._desk.session.slide
        # Areas are compared: points are no reading of their own, nor is what is lifted from a picture.
        layers = [layer for layer in self._desk.session.viewer.layers if not hasattr(layer, "symbol")]
        tags = [tag for layer in layers if (tag := annotation_tag(layer)) is not None and tag.home is None]
        return list({id(tag): tag for tag in tags if tag.slide is slide and slide is not None}.values())

    def _asked_of(self, tag: AnnotationTag, name: str) -> Asked:
        session = self._desk.session
        layers = [layer for layer in session.viewer.layers if annotation_tag(layer) is tag]
        shown = next((one for one in session.slide_layers if _shows(one, session)), None)
        return Asked("annotations", name, annotations_of(layers, SlideFrame(session.slide, shown)))

    def set_sides(self, first: str, second: str) -> None:
        """Choose what is compared; the first one is the reference."""
        if (first, second) != (self.first, self.second):
            self.first, self.second = first, second
            self._forget()

    def why_not(self) -> str:
        """Say why nothing can be compared now; empty if it can."""
        session = self._desk.session
        if session.slide is None:
            return "Open a slide first"
        if session.slide.pixel_size is None:
            return "The slide's um/px is not known: distances need it"
        sources = self.sources()
        if len(sources) < 2:
            return "Open two annotation files, or compress the slide for a model to take part"
        if self.first not in sources or self.second not in sources:
            return "Choose two readers or models"
        return "Choose two different ones" if self.first == self.second else ""

    # -- comparing ---------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a comparison or its picture is being made."""
        return self._job is not None and self._job.running

    def start(self) -> None:
        """Compare, in the background; what cannot be read is told."""
        slide, sides = self._desk.session.slide, self._sides()
        if self.why_not() or slide is None or slide.pixel_size is None:
            return
        try:
            asked = sides[self.first](), sides[self.second]()
        except AnnotationError as error:
            self._desk.session.asking.tell_error(error)
            return
        self._forget()
        extent = RegionPx(0, 0, *slide.levels[0].shape)
        self._place = Place(slide.name, extent, slide.pixel_size, self._desk.session.store)
        self._run(
            f"Comparing {self.first} and {self.second}",
            partial(compare_job, self._place, asked),
            self._on_compared,
        )

    def cancel(self) -> None:
        """Stop what runs."""
        if self._job is not None:
            self._job.cancel()

    def labels(self) -> tuple[str, ...]:
        """Classes that were compared."""
        return () if self.compared is None else tuple(one.label for one in self.compared.classes)

    def set_label(self, label: str) -> None:
        """Show the numbers and the difference of a class."""
        if label in self.labels() and label != self.label:
            self.label = label
            self._paint()
            self.changed.emit()

    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Measure, value and what it means, of the class that is shown."""
        found = (
            next((c for c in self.compared.classes if c.label == self.label), None) if self.compared else None
        )
        if found is None or self.compared is None:
            return ()
        kappa = self.compared.kappa
        return (*rows_of(found), *(() if kappa is None else (kappa_row(kappa),)))

    def legend(self) -> tuple[tuple[str, tuple[int, int, int]], ...]:
        """Colours of the difference that is shown."""
        if not self._stack.shown(DIFFERENCE) or self.compared is None:
            return ()
        first, second = self.compared.readings
        return difference_legend(first.name, second.name)

    def _paint(self) -> None:
        if self._place is not None and self.compared is not None and self.label:
            self.cancel()
            self._run(
                f"Painting the difference of {self.label}",
                partial(difference_job, self._place, self.compared, self.label),
                self._on_painted,
            )

    def _run(self, title: str, make: MakeJob, returned: Callable[..., None]) -> None:
        callbacks = Callbacks(returned=returned, failed=self._on_failed, finished=self.changed.emit)
        job = self._runner.start(title, make, callbacks)
        if job.running:  # else it has ended, and what it led to was started already
            self._job = job
        self.changed.emit()

    def _on_compared(self, compared: Compared) -> None:
        self.compared = compared
        labels = self.labels()
        self.label = self.label if self.label in labels else next(iter(labels), "")
        self._paint()

    def _on_painted(self, overlay: Overlay) -> None:
        self._stack.put(overlay, opacity=OPACITY)

    def _on_failed(self, error: Exception) -> None:
        self._desk.session.asking.tell_error(error)

    # -- what happens ------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self.cancel()
        self.compared, self.is_outdated = None, False
        self._stack.remove(DIFFERENCE)
        self.changed.emit()

    def _on_slide(self) -> None:
        self.cancel()
        self.compared, self.is_outdated = None, False
        self.changed.emit()

    def _on_layers(self, event: object = None) -> None:  # noqa: ARG002 -- napari passes the event
        self.changed.emit()

    def _on_edited(self, edit: object = None) -> None:  # noqa: ARG002 -- all edits count
        if self.compared is not None and not self.is_outdated:
            self.is_outdated = True
            self.changed.emit()


def _shows(layer: object, session: Session) -> bool:
    tag = tag_of(layer)
    return tag is not None and tag.slide is session.slide


def rows_of(found: PairComparison) -> tuple[tuple[str, str, str], ...]:
    """Lay the numbers of a class out: measure, value, meaning."""
    areas = found.areas
    return (
        ("Dice", _number(areas.dice, 3), "Twice the common area by the sum of both"),
        ("Jaccard", _number(areas.jaccard, 3), "Common area by that of either"),
        ("Sensitivity", _number(areas.sensitivity, 3), "Common area by that of the first one"),
        ("Precision", _number(areas.precision, 3), "Common area by that of the second one"),
        (
            "Area, mm\u00b2",
            f"{areas.first_mm2:.3f} and {areas.second_mm2:.3f}",
            "Of the first and the second one",
        ),
        ("Common, mm\u00b2", f"{areas.common_mm2:.3f}", "What both have"),
        (
            "Boundary, \u00b5m",
            f"{_number(areas.boundary_mean_um, 1)} (95 %: {_number(areas.boundary_p95_um, 1)}, "
            f"max: {_number(areas.boundary_max_um, 1)})",
            "Mean distance of both boundaries, its 95th percentile (HD95), and the largest one (Hausdorff)",
        ),
        (
            f"Within {areas.tolerance_um:g} \u00b5m",
            _number(areas.surface_dice, 3),
            "Share of both boundaries that lies within this distance of the other one (surface Dice)",
        ),
        (
            "Pixel AUC",
            _number(found.auc, 3),
            "Probability that a cell inside has a higher value than one outside; of a model against a reader",
        ),
        ("Not seen, mm\u00b2", f"{found.unseen_mm2:.3f}", "Where a model saw nothing; takes no part"),
    )


def kappa_row(found: KappaResult) -> tuple[str, str, str]:
    """Lay the agreement on all classes out: measure, value, meaning."""
    ((_, _, value),) = found.pairs
    meaning = (
        f"Agreement on the class of {counted(found.n_units, 'cell')} beyond chance, of all classes together "
        f"({', '.join(found.classes)}): 0 as by chance, 1 in all"
    )
    return "Cohen's kappa", _number(value.value, 3), meaning


def _number(value: float, digits: int) -> str:
    return "\N{EN DASH}" if value != value else f"{value:.{digits}f}"
