"""The cohort browser: a list of slides, and the slide that a click opens with its honest overlays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from psygnal import Signal

from napari_nic.cohorts import ListedSlide, Listing, read_listing
from napari_nic.errors import CancelledError, NicError, SlideNotFoundError
from napari_nic.plugin.cohort_job import OpenedListed, cohort_job
from napari_nic.plugin.controllers.cohort_run import (
    RUN_COLUMNS,
    RunListing,
    cells_of,
    is_run,
    look,
    look_job,
    run_sort_key,
    run_summary,
    watch_of,
)
from napari_nic.plugin.controllers.cohort_slides import add_codes, add_slide, look_at
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import KINDS, MODEL_KINDS, Kind, OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import LayerData, tag_of
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.runs import RunWatch
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari.layers import Layer

SortKey = tuple[int, float, str]
COLUMNS = ("Slide", "Fold", "Label", "Prediction", "\N{PLUS-MINUS SIGN}")
FIRST_SHOWN: Kind = "saliency"
"""What a click shows of what a model says; the prediction is computed with it, and one click away."""


class Desk(Protocol):
    """What of the NIC dock the browser needs."""

    @property
    def session(self) -> Session:
        """Knows the viewer and the chosen slide."""

    @property
    def models(self) -> ModelController:
        """Predicts."""

    @property
    def overlays(self) -> OverlayController:
        """Shows."""


class CohortController:
    """Holds the list and opens its slides.

    Parameters
    ----------
    desk : callable
        Gives the NIC dock, which is opened if need be.
    runner : Runner
        Opens slides, and looks at runs, in the background.

    Attributes
    ----------
    listing : Listing, RunListing or None
    opened : ListedSlide or None
        The slide that was asked for last and could be opened.
    opening : str
        Name of the slide that is being opened; empty if none is.
    """

    changed = Signal()

    def __init__(self, desk: Callable[[], Desk], runner: Runner) -> None:
        self._desk, self._runner = desk, runner
        self._job: Job | None = None
        self.opening = ""
        self._watch: RunWatch | None = None
        self._looking: Job | None = None
        self.listing: Listing | RunListing | None = None
        self.opened: ListedSlide | None = None
        MODEL_NEWS.cohort_opened.connect(self.open)

    def close(self) -> None:
        """Stop listening to what is dropped on the window."""
        MODEL_NEWS.cohort_opened.disconnect(self.open)
        for job in (self._job, self._looking):
            if job is not None:
                job.cancel()

    # -- the list ----------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """List a cohort by its table, the folder of its models or of a run; what is none is told."""
        try:
            watch = watch_of(path) if is_run(path) else None
            self.listing = read_listing(path) if watch is None else look(watch)
        except NicError as error:
            self._desk().session.asking.tell_error(error)
            return
        self._watch = watch
        self.opened = None
        self.changed.emit()

    @property
    def is_watching(self) -> bool:
        """Whether the list is of a run, which may change at any time."""
        return self._watch is not None

    def look(self) -> None:
        """Look in the background how far the run is, unless that is being done."""
        watch = self._watch
        if watch is None or (self._looking is not None and self._looking.running):
            return
        callbacks = Callbacks(returned=partial(self._on_looked, watch), failed=partial(self._on_lost, watch))
        self._looking = self._runner.start("Looking at the run", look_job(watch), callbacks)

    def _on_looked(self, watch: RunWatch, listing: RunListing) -> None:
        if watch is self._watch and listing.view.changed:
            self.listing = listing
            self.changed.emit()

    def _on_lost(self, watch: RunWatch, error: Exception) -> None:
        """Stop watching a run whose folder is gone; say it once."""
        if watch is self._watch:
            self._watch = None
            self.changed.emit()
            self._desk().session.asking.tell_error(error)

    @property
    def columns(self) -> tuple[str, ...]:
        """Headings of the list."""
        return RUN_COLUMNS if isinstance(self.listing, RunListing) else COLUMNS

    def cells(self, slide: ListedSlide) -> tuple[str, ...]:
        """Texts of a line, in the order of :attr:`columns`; a wrong class is marked."""
        if isinstance(self.listing, RunListing):
            return cells_of(slide, self.listing.states)
        prediction = f"\N{NOT EQUAL TO} {slide.prediction}" if slide.is_wrong else slide.prediction
        return slide.name, slide.part, slide.label, prediction, slide.spread

    def sort_key(self, slide: ListedSlide, column: int) -> SortKey:
        """What a column is sorted by: predictions by their scores, numbers before words."""
        if isinstance(self.listing, RunListing):
            return run_sort_key(slide, column, self.listing.states)
        if COLUMNS[column] == "Prediction":
            return (0, slide.rank, "") if slide.prediction else (-1, 0.0, "")
        return _natural(self.cells(slide)[column])

    def matches(self, slide: ListedSlide, search: str) -> bool:
        """Whether every word of a search is found in a line, in capitals or not."""
        text = " ".join((*self.cells(slide), slide.case)).casefold()
        return all(word in text for word in search.casefold().split())

    def summary(self) -> str:
        """How many slides there are, and how many of them were predicted and rightly so."""
        listing = self.listing
        if listing is None:
            return ""
        if self.opening:
            return f"Opening {self.opening}..."
        if isinstance(listing, RunListing):
            return run_summary(listing.view)
        parts = [counted(len(listing.slides), "slide")]
        if listing.has_models:
            predicted = listing.predicted
            wrong = sum(slide.is_wrong for slide in predicted)
            parts.append(f"{len(predicted)} predicted by models that did not see them")
            if wrong:
                parts.append(f"{wrong} wrongly (\N{NOT EQUAL TO})")
        return ", ".join(parts)

    def understood(self) -> str:
        """What was understood of the table, by lines: columns, classes, what is left out."""
        return "" if self.listing is None else "\n".join(self.listing.preview.lines())

    # -- a slide -----------------------------------------------------------------------------------------

    def show(self, listed: ListedSlide) -> None:
        """Show a slide with what a model that did not learn from it says; it is opened beside the window.

        A slide that is open is chosen again and not opened twice. Other slides are hidden, for all lie at one
        place. Who looks at predictions goes on to look at predictions. What cannot be opened is told;
        who asks for another one meanwhile sees that one alone.
        """
        desk = self._desk()
        if self._job is not None:
            self._job.cancel()
        tags = [tag_of(layer) for layer in desk.session.slide_layers]
        shown = tuple(tag.slide for tag in tags if tag is not None and tag.slide is not None)
        self.opening = listed.name
        job = self._runner.start(
            f"Opening {listed.name}",
            partial(cohort_job, listed, shown, desk.models.bundle, desk.session.settings),
            Callbacks(
                returned=self._on_opened,
                failed=desk.session.asking.tell_error,
                finished=self._on_ended,
            ),
        )
        self._job = job if job.running else None
        self.changed.emit()

    def _on_ended(self) -> None:
        if self._job is None or not self._job.running:  # else another one is being opened by now
            self.opening, self._job = "", None
        self.changed.emit()

    def _on_opened(self, opened: OpenedListed) -> None:
        desk, store = self._desk(), opened.store
        looked_at = next((kind for kind in MODEL_KINDS if desk.overlays.state(kind).shown), FIRST_SHOWN)
        before = list(desk.session.viewer.layers)
        if opened.picture is not None:
            self._show_codes(opened.listed, opened.picture, desk.session)
            return
        try:
            layer = _layer_of(opened, desk.session)
            desk.session.select(layer)
            if store is not None:
                desk.session.open_store(store)
        except CancelledError:
            return
        except NicError as error:
            desk.session.asking.tell_error(error)
            return
        look_at(layer, desk.session, is_new=layer not in before)
        if opened.bundle is not None and opened.bundle is not desk.models.bundle:
            desk.models.offer(opened.bundle)
        _show_overlays(desk.overlays, looked_at if opened.bundle is not None else "pca")
        self._tell(desk.session, opened.listed)
        self._set_opened(opened.listed)

    def _show_codes(self, listed: ListedSlide, picture: LayerData, session: Session) -> None:
        before = list(session.viewer.layers)
        layer = add_codes(picture, session)
        look_at(layer, session, is_new=layer not in before)
        session.select(None)  # the NIC dock works on slides, and must not go on about the one before
        session.asking.tell(
            f"{listed.name} itself is not there: its codes are shown as colours. {listed.prediction}"
        )
        self._set_opened(listed)

    def _set_opened(self, listed: ListedSlide) -> None:
        self.opened = listed
        self.changed.emit()

    def _tell(self, session: Session, listed: ListedSlide) -> None:
        if self.listing is not None and self.listing.has_models and listed.bundle is None:
            session.asking.tell(
                f"{listed.name} is in the part {listed.part!r}: every model learned from it, so none is asked"
            )


def _show_overlays(overlays: OverlayController, wanted: Kind) -> None:
    """Show one overlay, or the colours of the codes where it cannot be shown, and keep the others at hand."""
    shown = wanted if overlays.is_ready(wanted) else "pca"
    for kind in KINDS:
        if kind == shown and overlays.is_ready(kind):
            overlays.show(kind, on=True)
        elif overlays.state(kind).shown:
            overlays.show(kind, on=False)
        if kind != shown and kind in MODEL_KINDS and shown in MODEL_KINDS:
            overlays.prepare(kind)


def _layer_of(opened: OpenedListed, session: Session) -> Layer:
    """Return the layer of a slide; what others opened meanwhile is not shown twice.

    Raises
    ------
    CancelledError
        If the user would not wait for its overview.
    SlideNotFoundError
        If it was closed meanwhile.
    """
    wanted = opened.shown or opened.slide
    for layer in session.slide_layers:
        there = getattr(tag_of(layer), "slide", None)
        if there is not None and wanted is not None and there.path.resolve() == wanted.path.resolve():
            if opened.slide is not None and there is not opened.slide:
                opened.slide.close()
            return layer
    if opened.slide is None:
        raise SlideNotFoundError(f"{opened.listed.name} was closed meanwhile", hint="open it again")
    return add_slide(opened.slide, session)


def _natural(text: str) -> SortKey:
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text.casefold()
