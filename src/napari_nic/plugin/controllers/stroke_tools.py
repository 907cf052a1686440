"""napari's own tools taken up to draw a class: a line to paint along, or an area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import annotation_frame

if TYPE_CHECKING:
    from napari.layers import Shapes

Tool = Literal["line", "area"]
MODES: dict[Tool, str] = {"line": "add_path", "area": "add_polygon_lasso"}
LAYER = "Strokes"


def take_up(tool: Tool, label: str, session: Session, annotating: AnnotationController) -> Shapes | None:
    """Draw in this class from now on, with a tool of napari's in a layer of shapes that is made if need be.

    Returns
    -------
    Shapes, or None without a slide
    """
    if session.slide is None:
        return None
    layer = _shapes(session, annotating)
    layers = session.viewer.layers
    layers.selection.active = layer
    layer.selected_data = set()
    annotating.set_class(label)
    layer.mode = MODES[tool]
    return layer


def _shapes(session: Session, annotating: AnnotationController) -> Shapes:
    """The active layer of shapes, or the topmost one of the slide, or a new one."""
    own = [layer for layer in annotating.layers() if hasattr(layer, "shape_type")]
    active = session.viewer.layers.selection.active
    if active is not None and active in own:
        return active
    if own:
        return own[-1]
    # In the frame of the slide from the start: napari complains of layers in other units.
    layer = session.viewer.add_shapes(name=LAYER, ndim=2, **annotation_frame(session.slide))
    assert annotation_tag(layer) is not None  # noqa: S101 -- a layer that appears beside a slide is adopted
    return layer
