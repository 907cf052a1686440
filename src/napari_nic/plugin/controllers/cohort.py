"""The cohort browser: a list of slides, and the slide that a click opens with its honest overlays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from psygnal import Signal

from napari_nic.cohorts import ListedSlide, Listing, read_listing
from napari_nic.compressed import CompressedSlide
from napari_nic.errors import NicError, SlideNotFoundError
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import KINDS, MODEL_KINDS, Kind, OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import slide_layer, tag_of
from napari_nic.plugin.model_news import MODEL_NEWS
from napari_nic.plugin.readers import open_remembered, slide_beside
from napari_nic.slide_models import ModelBundle

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide

SortKey = tuple[int, float, str]
COLUMNS = ("Slide", "Fold", "Label", "Prediction")
FIRST_SHOWN: Kind = "saliency"
"""What a click shows of what a model says; the prediction is computed with it, and one click away."""


class Desk(Protocol):
    """What of the NIC dock the browser needs."""

    @property
    def session(self) -> Session:
        """Knows the viewer and the chosen slide."""

    @property
    def models(self) -> ModelController:
        """Judges."""

    @property
    def overlays(self) -> OverlayController:
        """Shows."""


class CohortController:
    """Holds the list and opens its slides.

    Parameters
    ----------
    desk : callable
        Gives the NIC dock, which is opened if need be.

    Attributes
    ----------
    listing : Listing or None
    opened : ListedSlide or None
        The slide that was asked for last and could be opened.
    """

    changed = Signal()

    def __init__(self, desk: Callable[[], Desk]) -> None:
        self._desk = desk
        self.listing: Listing | None = None
        self.opened: ListedSlide | None = None
        MODEL_NEWS.cohort_opened.connect(self.open)

    def close(self) -> None:
        """Stop listening to what is dropped on the window."""
        MODEL_NEWS.cohort_opened.disconnect(self.open)

    # -- the list ----------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """List a cohort by its table or by the folder of its models; what is none is told."""
        try:
            self.listing = read_listing(path)
        except NicError as error:
            self._desk().session.asking.tell_error(error)
            return
        self.opened = None
        self.changed.emit()

    def cells(self, slide: ListedSlide) -> tuple[str, ...]:
        """Texts of a line, in the order of :data:`COLUMNS`; a wrong class is marked."""
        prediction = f"\N{NOT EQUAL TO} {slide.prediction}" if slide.is_wrong else slide.prediction
        return slide.name, slide.part, slide.label, prediction

    def sort_key(self, slide: ListedSlide, column: int) -> SortKey:
        """What a column is sorted by: predictions by their scores, numbers before words."""
        if COLUMNS[column] == "Prediction":
            return (0, slide.rank, "") if slide.prediction else (-1, 0.0, "")
        return _natural(self.cells(slide)[column])

    def matches(self, slide: ListedSlide, search: str) -> bool:
        """Whether every word of a search is found in a line, in capitals or not."""
        text = " ".join((*self.cells(slide), slide.case)).casefold()
        return all(word in text for word in search.casefold().split())

    def summary(self) -> str:
        """How many slides there are, and how many of them were judged and rightly so."""
        listing = self.listing
        if listing is None:
            return ""
        parts = [_count(len(listing.slides), "slide")]
        if listing.has_models:
            judged = listing.judged
            wrong = sum(slide.is_wrong for slide in judged)
            parts.append(f"{len(judged)} judged by models that did not see them")
            if wrong:
                parts.append(f"{wrong} wrongly (\N{NOT EQUAL TO})")
        return ", ".join(parts)

    # -- a slide -----------------------------------------------------------------------------------------

    def show(self, listed: ListedSlide) -> None:
        """Show a slide with what a model that did not learn from it says; what cannot be opened is told.

        A slide that is open is chosen again and not opened twice. Other slides are hidden, for all lie at one
        place. Who looks at predictions goes on to look at predictions.
        """
        desk = self._desk()
        looked_at = next((kind for kind in MODEL_KINDS if desk.overlays.state(kind).shown), FIRST_SHOWN)
        before = desk.session.layer
        try:
            layer = self._layer_of(listed, desk.session)
            store = _store_of(listed)
            bundle = _bundle_of(listed, desk.models)
            desk.session.select(layer)
            if store is not None:
                desk.session.open_store(store)
        except NicError as error:
            desk.session.asking.tell_error(error)
            return
        _show_only(desk.session, layer)
        if layer is not before:
            desk.session.viewer.layers.selection.active = layer
            desk.session.viewer.reset_view(layers=[layer])
        if bundle is not None and bundle is not desk.models.bundle:
            desk.models.offer(bundle)
        _show_overlays(desk.overlays, looked_at if bundle is not None else "pca")
        self.opened = listed
        self._tell(desk.session, listed)
        self.changed.emit()

    def _layer_of(self, listed: ListedSlide, session: Session) -> Layer:
        for layer in session.slide_layers:
            tag = tag_of(layer)
            if tag is not None and tag.slide is not None and _is_of(tag.slide, listed):
                return layer
        data, options, _ = slide_layer(_open(listed, session))
        return session.viewer.add_image(data, **options)

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


def _bundle_of(listed: ListedSlide, models: ModelController) -> ModelBundle | None:
    """Load the model that did not learn from a slide, unless it is the chosen one."""
    if listed.bundle is None:
        return None
    if models.bundle is not None and models.bundle.folder == listed.bundle:
        return models.bundle
    return ModelBundle.load(listed.bundle)


def _open(listed: ListedSlide, session: Session) -> Slide:
    """Open the slide itself.

    Raises
    ------
    SlideNotFoundError
        If it is not there.
    """
    if listed.picture is not None and listed.picture.exists():
        return open_remembered(listed.picture, session.settings)
    slide = None
    if listed.store is not None and listed.store.exists():
        slide = slide_beside(CompressedSlide.open(listed.store))
    if slide is None:
        raise SlideNotFoundError(
            f"the slide {listed.name!r} is not there",
            path=listed.picture or listed.store,
            expected="the slide named in the cohort, or a slide beside its compressed form",
            hint="bring the file back, or open the cohort where its files are",
        )
    return slide


def _store_of(listed: ListedSlide) -> CompressedSlide | None:
    if listed.store is None or not listed.store.exists():
        return None
    return CompressedSlide.open(listed.store)


def _is_of(slide: Slide, listed: ListedSlide) -> bool:
    if listed.picture is not None and slide.path.resolve() == listed.picture.resolve():
        return True
    store = _store_of(listed)
    return store is not None and store.header.slide_fingerprint == slide.fingerprint


def _show_only(session: Session, chosen: Layer) -> None:
    """Hide the other slides with all that lies on them; annotations of the chosen one come back."""
    shown = tag_of(chosen)
    for layer in session.viewer.layers:
        tag = tag_of(layer)
        if tag is None or tag.slide is None:
            continue
        if shown is not None and tag.slide is shown.slide:
            layer.visible = layer.visible or tag.kind != "overlay"
        else:
            layer.visible = False


def _natural(text: str) -> SortKey:
    try:
        return 0, float(text), ""
    except ValueError:
        return 1, 0.0, text.casefold()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
