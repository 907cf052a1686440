"""One slide at a time in the viewer: all slides begin at one corner, and the upper one covers the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.plugin.layers import LayerTag, tag_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


def show_alone(chosen: Layer, viewer: ViewerModel, *, fit: bool = True) -> None:
    """Hide the other slides with what lies on them, show this one with its annotations, and fit the view.

    A slide's overlays are left to their controller. The eye of a layer brings any of them back.

    Parameters
    ----------
    chosen : Layer
        Layer of a slide, or of the colours of its codes.
    viewer : ViewerModel
    fit : bool
        Whether the view moves.
    """
    shown = tag_of(chosen)
    for layer in viewer.layers:
        tag = tag_of(layer)
        if tag is not None and layer is not chosen and (tag.kind != "overlay" or tag.slide is None):
            layer.visible = _on_same_slide(tag, shown)
    chosen.visible = True
    if fit:
        viewer.reset_view(layers=[chosen])


def covers_another(chosen: Layer, viewer: ViewerModel) -> bool:
    """Whether the viewer shows another slide than that of this layer, or the colours of another's codes."""
    shown = tag_of(chosen)
    for layer in viewer.layers:
        tag = tag_of(layer)
        if tag is None or layer is chosen or not layer.visible or _on_same_slide(tag, shown):
            continue
        if tag.kind == "slide" or (tag.kind == "overlay" and tag.slide is None):
            return True
    return False


def _on_same_slide(tag: LayerTag, shown: LayerTag | None) -> bool:
    return shown is not None and shown.slide is not None and tag.slide is shown.slide
