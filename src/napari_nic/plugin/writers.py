"""The writer of napari's manifest: shapes and points -> an annotation file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from napari_nic.editing import document_folders
from napari_nic.errors import AnnotationError, NicError, NotSavedError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.annotation_jobs import at_once, write_file
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.controllers.keeping import HOME_FOLDER
from napari_nic.plugin.controllers.kept_document import back_up
from napari_nic.plugin.layers import METADATA_KEY, LayerData, tag_of
from napari_nic.plugin.readers import has_window
from napari_nic.plugin.settings import settings_file
from napari_nic.plugin.slide_frames import SlideFrame, carrier

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.plugin.widgets.nic_dock import NicDock
    from napari_nic.slides import Slide

T = TypeVar("T")


def write_annotation_layers(path: str, layers: list[LayerData]) -> list[str]:
    """Save shapes and points as annotations; the format follows from the suffix.

    Parameters
    ----------
    path : str
        ``.geojson`` (QuPath), ``.xml`` (ASAP), or that of another format that can be written.
    layers : list of layer data

    Returns
    -------
    list of str
        What was written; nothing if the user cancelled.

    Raises
    ------
    NotSavedError
        If it cannot be told which slide they lie on, or they cannot be written.
    """
    try:
        return _write(path, layers)
    except NicError as error:
        raise NotSavedError.of(error) from error


def _write(path: str, layers: list[LayerData]) -> list[str]:
    frame, desk = _frame_of(layers), _desk()
    shown = [] if desk is None else _shown(layers, desk)
    if desk is not None and frame.slide is not None and len(shown) == len(layers):
        return [path] if desk.annotating.save_layers(Path(path), frame.slide, shown) else []
    annotations = annotations_of((_as_layer(*layer) for layer in layers), frame)
    _back_up(Path(path), frame.slide)
    wait = _wait_in_window if has_window() else at_once
    differences = write_file(annotations, Path(path), wait, frame.slide)
    if differences is None:  # the user cancelled
        return []
    notes = [*annotations.notes, *differences]
    if notes:
        from napari.utils.notifications import show_info

        show_info("; ".join(notes))
    return [path]


def _desk() -> NicDock | None:
    """Return the NIC dock of the window that is used, whose documents the layers may show."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None or not has_window():
        return None
    from napari_nic.plugin.widgets.docking import find_dock
    from napari_nic.plugin.widgets.nic_dock import NicDock

    return find_dock(viewer, NicDock)


def _shown(layers: list[LayerData], desk: NicDock) -> list[Layer]:
    """Return the annotations of a window that napari gives as data: it tells no layer."""
    found = []
    for _, attributes, kind in layers:
        tag = attributes.get("metadata", {}).get(METADATA_KEY)
        found += [
            layer
            for layer in desk.annotating.layers(getattr(tag, "slide", None))
            if tag_of(layer) is tag and layer.name == attributes.get("name") and layer._type_string == kind
        ]
    return found


def _back_up(path: Path, slide: Slide | None) -> None:
    """Keep what a file held that is about to be overwritten, once, where the NIC dock would keep it."""
    if not path.is_file():
        return
    home = settings_file().parent / HOME_FOLDER
    parents = [home] if slide is None else [slide.path.parent, home]
    of_slide = [] if slide is None else document_folders(slide.path, slide.fingerprint, parents)[::2]
    back_up(path, [*of_slide, home])


def _wait_in_window(title: str, work: Callable[[CancellationToken], T]) -> T | None:
    from napari_nic.plugin.widgets.dialogs import napari_window
    from napari_nic.plugin.widgets.waiting import wait_with_token

    return wait_with_token(title, work, napari_window())


def _as_layer(data: Any, attributes: dict[str, Any], kind: str) -> Any:
    """Give layer data the attributes of a layer that reading annotations back needs."""
    place = carrier(attributes)
    fields = {
        "data": data,
        "name": attributes.get("name", ""),
        "metadata": attributes.get("metadata", {}),
        "features": attributes["features"],
        "ndim": place.ndim,
        "units": place.units,
        "data_to_world": place.data_to_world,
    }
    fields |= {"shape_type": attributes["shape_type"]} if kind == "shapes" else {"symbol": ""}
    return SimpleNamespace(**fields)


def _frame_of(layers: list[LayerData]) -> SlideFrame:
    """Return the frame of the one slide that the layers lie on."""
    shown = _slides_shown()
    tags = [attributes.get("metadata", {}).get(METADATA_KEY) for _, attributes, _ in layers]
    named = {
        id(tag.slide): tag.slide for tag in tags if isinstance(tag, AnnotationTag) and tag.slide is not None
    }
    slides = list(named.values()) or [slide for slide, _ in shown]
    if len(slides) > 1:
        raise AnnotationError(
            "the shapes belong to several slides, or it is not known to which of several",
            expected="shapes of one slide",
            found=", ".join(slide.name for slide in slides),
            hint="save each slide's by Save in the NIC dock, or close the other slides",
        )
    slide = slides[0] if slides else None
    return SlideFrame(slide, next((layer for other, layer in shown if other is slide), None))


def _slides_shown() -> list[tuple[Slide, Layer]]:
    from napari import current_viewer

    viewer = current_viewer()
    tagged = [] if viewer is None else [(tag_of(layer), layer) for layer in viewer.layers]
    return [
        (tag.slide, layer) for tag, layer in tagged if tag and tag.kind == "slide" and tag.slide is not None
    ]
