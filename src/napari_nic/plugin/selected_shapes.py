"""The shapes that are selected in napari, as areas of the session's slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.annotations import AnnotationSet
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.slide_frames import SlideFrame

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_nic.plugin.controllers.session import Session

_PLACES = ("scale", "translate", "rotate", "shear", "affine", "units")


def selected_areas(viewer: ViewerModel, session: Session) -> AnnotationSet | None:
    """Return the selected shapes that cover an area; None if there are none.

    Those of the active layer, or of the uppermost visible layer that has any.

    Raises
    ------
    AnnotationError
        If they cannot be placed on the slide.
    """
    frame = SlideFrame(session.slide, session.layer)
    active = viewer.layers.selection.active
    layers = [layer for layer in reversed(viewer.layers) if layer.visible and layer is not active]
    for layer in [*([] if active is None else [active]), *layers]:
        if not hasattr(layer, "shape_type") or not layer.selected_data:
            continue
        read = annotations_of([_only_selected(layer)], frame)
        areas = tuple(annotation for annotation in read.annotations if annotation.is_area)
        if areas:
            return AnnotationSet(areas, source=layer.name)
    return None


def _only_selected(layer: Layer) -> Layer:
    """Make a layer of the selected shapes alone, in the same place."""
    from napari.layers import Shapes

    numbers = sorted(layer.selected_data)
    place = {name: getattr(layer, name) for name in _PLACES}
    return Shapes(
        [layer.data[number] for number in numbers],
        shape_type=[layer.shape_type[number] for number in numbers],
        ndim=layer.ndim,
        **place,
    )
