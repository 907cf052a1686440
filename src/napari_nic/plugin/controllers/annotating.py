"""Annotations beside the slide: open, save, count, and how well saliency agrees with a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.annotations import (
    AnnotationSet,
    agreement,
    rasterise,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_layers, annotations_of
from napari_nic.plugin.controllers.cropped import counts_from_bounds
from napari_nic.plugin.controllers.overlays import Kind, OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import annotation_frame, tag_of

if TYPE_CHECKING:
    from napari.layers import Layer

COVERED = 0.5
"""A cell belongs to an area that covers at least this share of it."""

COMPARED: tuple[Kind, ...] = ("saliency", "prediction", "channel")
"""Overlays that can be compared with an area, the most telling first."""


class AnnotationController:
    """The annotation layers of the session's slide.

    Parameters
    ----------
    session : Session
    overlays : OverlayController
    """

    changed = Signal()
    shift_wanted = Signal()

    def __init__(self, session: Session, overlays: OverlayController) -> None:
        self.session = session
        self._overlays = overlays
        events = session.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_layers)
        session.slide_changed.connect(self._on_slide)
        overlays.changed.connect(self.changed.emit)
        for layer in self.layers():
            layer.events.data.connect(self._on_layers)

    def close(self) -> None:
        """Stop following the viewer."""
        events = self.session.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_layers)

    def layers(self) -> list[Layer]:
        """Annotation layers of the session's slide."""
        slide = self.session.slide
        found = []
        for layer in self.session.viewer.layers:
            tag = tag_of(layer)
            if tag is not None and tag.kind == "annotations" and tag.slide is slide and slide is not None:
                found.append(layer)
        return found

    def open(self, path: Path) -> None:
        """Open an annotation file on the session's slide; what cannot be read is told."""
        try:
            annotations = read_annotations(path)
        except NicError as error:
            self.session.asking.tell_error(error)
            return
        self._add(annotations, path.stem)
        if annotations.notes:
            self.session.asking.tell("; ".join(annotations.notes))

    def _add(self, annotations: AnnotationSet, name: str) -> None:
        for data, options, kind in annotation_layers(annotations, self.session.slide, name):
            add = self.session.viewer.add_points if kind == "points" else self.session.viewer.add_shapes
            add(data, **options)

    def ask_shift(self) -> None:
        """Offer to move annotations that count from the scanned part of the slide; asks once a file."""
        for tag in {id(tag): tag for tag in map(_tag_of, self.layers()) if tag is not None}.values():
            if self._lies_off(tag):
                tag.asked = True
                self._ask_shift(tag)

    def _ask_shift(self, tag: AnnotationTag) -> None:
        bounds = None if tag.slide is None else tag.slide.bounds
        if bounds is None or not self.session.asking.confirm(
            "Annotations lie off the tissue",
            f"{tag.name} lies outside the scanned part of the slide, which begins at x {bounds.x:,}, "
            f"y {bounds.y:,} px. QuPath counts from there, other programs from the slide's corner.",
            yes="Move them onto the scanned part",
            no="Leave them",
        ):
            return
        for layer in [layer for layer in self.layers() if _tag_of(layer) is tag]:
            self.session.viewer.layers.remove(layer)
        self._add(tag.annotations.shifted(bounds.x, bounds.y), tag.name)

    @staticmethod
    def _lies_off(tag: AnnotationTag | None) -> bool:
        return (
            tag is not None
            and tag.slide is not None
            and not tag.asked
            and counts_from_bounds(tag.annotations, tag.slide.bounds)
        )

    def save(self, path: Path) -> None:
        """Write the annotations as they are on the screen; the format follows from the suffix."""
        try:
            differences = write_annotations(self.annotations(), path)
        except NicError as error:
            self.session.asking.tell_error(error)
            return
        self.session.asking.tell("; ".join([f"Saved {path.name}", *differences]))

    def annotations(self) -> AnnotationSet:
        """All annotations of the slide as they are on the screen."""
        return annotations_of(self.layers())

    def summary(self) -> str:
        """Number of shapes of each class."""
        counts = self.annotations().counts()
        return ", ".join(f"{label} {count:,}" for label, count in counts.items())

    def labels(self) -> tuple[str, ...]:
        """Classes that have areas."""
        annotations = self.annotations()
        return tuple(label for label in annotations.labels() if annotations.polygons(label))

    def agreement(self, label: str) -> str:
        """How well the overlay on the screen agrees with the areas of a class; empty if none can."""
        store = self.session.store
        kind = next((kind for kind in COMPARED if self._overlays.state(kind).shown), None)
        overlay = None if kind is None else self._overlays.overlay(kind)
        if store is None or overlay is None or not overlay.has_values:
            return ""
        area = rasterise(self.annotations(), store.grid, label) >= COVERED
        try:
            found = agreement(overlay.data, area, overlay.mask)
        except InvalidParameterError as error:
            return f"{overlay.name} and {label}: {error.problem}"
        return (
            f"{overlay.name} and {label}: best Jaccard {found.jaccard:.2f} "
            f"(at {found.threshold:.2g}), pixel AUC {found.auc:.2f}"
        )

    def _on_inserted(self, event: Any) -> None:
        tag = tag_of(event.value)
        if tag is not None and tag.kind == "annotations":
            event.value.events.data.connect(self._on_layers)
            if self._lies_off(_tag_of(event.value)):
                self.shift_wanted.emit()
        self.changed.emit()

    def _on_layers(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.changed.emit()

    def _on_slide(self) -> None:
        """Lay annotations that were opened before any slide onto the slide."""
        slide = self.session.slide
        if slide is None:
            return
        tagged = [(layer, tag_of(layer)) for layer in self.session.viewer.layers]
        # The layers of one file share a tag: all are found before the first is changed.
        waiting = [
            (layer, tag) for layer, tag in tagged if tag and tag.kind == "annotations" and not tag.slide
        ]
        place = annotation_frame(slide)
        for layer, tag in waiting:
            tag.slide = slide
            layer.scale, layer.translate, layer.units = place["scale"], place["translate"], place["units"]
        if any(self._lies_off(_tag_of(layer)) for layer in self.layers()):
            self.shift_wanted.emit()
        self.changed.emit()


def _tag_of(layer: Layer) -> AnnotationTag | None:
    tag = tag_of(layer)
    return tag if isinstance(tag, AnnotationTag) else None
