"""The layers of a cohort's slides: found or opened once, one slide looked at at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.cohorts import ListedSlide
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, SlideNotFoundError
from napari_nic.plugin.controllers.looking import show_alone
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import METADATA_KEY, LayerData, slide_layer, tag_of
from napari_nic.plugin.opening import open_remembered, read_store, slide_beside

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide


def store_of(listed: ListedSlide) -> CompressedSlide | None:
    """Open the compressed slide; None if there is none any more.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    if listed.store is None or not listed.store.exists():
        return None
    return CompressedSlide.open(listed.store)


def layer_of(listed: ListedSlide, session: Session) -> Layer | None:
    """Return the layer of a slide, which is opened unless it is open; None if there are only its codes.

    Raises
    ------
    SlideNotFoundError
        If neither the slide nor its codes are there.
    CancelledError
        If the user would not wait for its overview.
    NicError
        If the slide cannot be opened.
    """
    store = store_of(listed)
    for layer in session.slide_layers:
        tag = tag_of(layer)
        if tag is not None and tag.slide is not None and _is_of(tag.slide, listed, store):
            return layer
    slide = _open(listed, store, session)
    if slide is None and store is None:
        raise SlideNotFoundError(
            f"the slide {listed.name!r} is not there",
            path=listed.picture or listed.store,
            expected="the slide named in the cohort, or its compressed form",
            hint="bring the file back, or open the cohort where its files are",
        )
    return None if slide is None else add_slide(slide, session)


def add_slide(slide: Slide, session: Session) -> Layer:
    """Show a slide that was opened.

    Raises
    ------
    CancelledError
        If the user would not wait for its overview.
    """
    data, options, _ = slide_layer(slide)
    twin = options["metadata"][METADATA_KEY].twin
    if not session.asking.wait_for_overview(twin):
        raise CancelledError("the slide is not shown: it was not waited for", path=slide.path)
    return session.viewer.add_image(data, **options)


def codes_layer_of(store: CompressedSlide, session: Session) -> Layer:
    """Return the layer with the colours of the codes, for a slide that is not there; it is added only once.

    Raises
    ------
    NicError
        If nothing is encoded.
    """
    (picture,) = read_store(store.path)
    return add_codes(picture, session)


def add_codes(picture: LayerData, session: Session) -> Layer:
    """Show the colours of codes, unless they are shown."""
    data, options, _ = picture
    for layer in session.viewer.layers:
        tag = tag_of(layer)
        if tag is not None and tag.slide is None and layer.name == options["name"]:
            return layer
    return session.viewer.add_image(data, **options)


def look_at(chosen: Layer, session: Session, *, is_new: bool) -> None:
    """Hide the other slides with their annotations, and fit the view if the chosen one is new or was hidden.

    Overlays of the other slides go: they are computed again from the codes when their slide comes back.
    """
    fit = is_new or not chosen.visible or session.viewer.layers.selection.active is not chosen
    shown = tag_of(chosen)
    for layer in list(session.viewer.layers):
        tag = tag_of(layer)
        if tag is None or tag.slide is None or tag.kind != "overlay":
            continue
        if shown is None or tag.slide is not shown.slide:
            session.viewer.layers.remove(layer)
    show_alone(chosen, session.viewer, fit=fit)
    if fit:
        session.viewer.layers.selection.active = chosen


def _open(listed: ListedSlide, store: CompressedSlide | None, session: Session) -> Slide | None:
    if listed.picture is not None and listed.picture.exists():
        return open_remembered(listed.picture, session.settings)
    return None if store is None else slide_beside(store)


def _is_of(slide: Slide, listed: ListedSlide, store: CompressedSlide | None) -> bool:
    if listed.picture is not None and slide.path.resolve() == listed.picture.resolve():
        return True
    return store is not None and store.header.slide_fingerprint == slide.fingerprint
