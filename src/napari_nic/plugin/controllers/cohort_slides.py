"""Layers of slides that were opened in the background: added once, one slide looked at at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError
from napari_nic.plugin.controllers.looking import show_alone
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import METADATA_KEY, LayerData, slide_layer, tag_of
from napari_nic.plugin.opening import read_store

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide


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
