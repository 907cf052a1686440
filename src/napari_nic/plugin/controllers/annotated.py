"""The annotations of the session's slide as they are on the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.annotations import RGB, AnnotationSet
from napari_nic.errors import AnnotationError
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.controllers.comparing import Comparing
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.overlays import Kind, OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide

COMPARED: tuple[Kind, ...] = ("saliency", "prediction", "channel")
"""Overlays that can be compared with an area, the most telling first."""


class Annotated:
    """Reads the layers of annotations: classes, counts, and how well an overlay agrees with a class.

    Parameters
    ----------
    session : Session
    overlays : OverlayController
    runner : Runner
        Compares areas with overlays.
    documents : DocumentController
    """

    changed = Signal()

    def __init__(
        self, session: Session, overlays: OverlayController, runner: Runner, documents: DocumentController
    ) -> None:
        self.session = session
        self.documents = documents
        self.drawing = documents.drawing
        self._overlays = overlays
        self._runner = runner
        self._found: AnnotationSet | None = None
        self._labels_of: AnnotationSet | None = None
        self._labels: tuple[str, ...] = ()
        self._comparing = Comparing(runner, self.changed.emit, lambda error: session.asking.tell_error(error))

    def layers(self, slide: Slide | None = None) -> list[Layer]:
        """Annotation layers of a slide, by default of the session's."""
        slide = slide or self.session.slide
        tagged = [(layer, annotation_tag(layer)) for layer in self.session.viewer.layers]
        return [
            layer for layer, tag in tagged if tag is not None and tag.slide is slide and slide is not None
        ]

    def _tags(self) -> list[AnnotationTag]:
        tags = [tag for layer in self.layers() if (tag := annotation_tag(layer)) is not None]
        return list({id(tag): tag for tag in tags}.values())

    def annotations(self) -> AnnotationSet:
        """All annotations of the slide as they are on the screen."""
        if self._found is None:
            try:
                self._found = self._read(self.layers(), self.session.slide)
            except AnnotationError:  # saving says why
                return AnnotationSet()
        return self._found

    def _read(self, layers: list[Layer], slide: Slide | None) -> AnnotationSet:
        shown = next((layer for layer in self.session.slide_layers if slide_shown_by(layer) is slide), None)
        found = annotations_of(layers, SlideFrame(slide, shown))
        return replace(found, colors=self._colors_of(found, slide))

    def _colors_of(self, annotations: AnnotationSet, slide: Slide | None) -> dict[str, RGB]:
        colors = self.drawing.colors_of(annotations.labels(), annotations.colors)
        classes = () if slide is None else self.documents.document_of(slide).classes
        return colors | {entry.name: entry.color for entry in classes if entry.name in colors}

    def summary(self) -> str:
        """Number of shapes of each class."""
        counts = self.annotations().counts()
        return ", ".join(f"{label} {count:,}" for label, count in counts.items())

    def labels(self) -> tuple[str, ...]:
        """Classes that have areas."""
        annotations = self.annotations()
        if self._labels_of is not annotations:
            self._labels_of = annotations
            self._labels = tuple(dict.fromkeys(a.label for a in annotations.annotations if a.is_area))
        return self._labels

    def set_class(self, label: str) -> None:
        """Draw in this class from now on; shapes that are selected become of it."""
        self.drawing.set_class(label, self.layers())

    def agreement(self, label: str) -> str:
        """How well the overlay on the screen agrees with the areas of a class; empty if none can."""
        store = self.session.store
        kind = next((kind for kind in COMPARED if self._overlays.state(kind).shown), None)
        overlay = None if kind is None else self._overlays.overlay(kind)
        if store is None or overlay is None or not overlay.has_values:
            self._comparing.forget()
            return ""
        return self._comparing.text(self.annotations(), label, store.grid, overlay)


def slide_shown_by(layer: Layer) -> Slide | None:
    """Return the slide that a layer shows, or lies on as annotations; None for all other layers."""
    tag = tag_of(layer)
    return tag.slide if tag is not None and tag.kind in ("slide", "annotations") else None
