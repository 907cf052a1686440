"""What was done to a layer of annotations by napari's own tools, as objects of a document."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, Document, plain
from napari_nic.plugin.annotation_layers import ROW, AnnotationTag
from napari_nic.plugin.annotation_reading import Found
from napari_nic.plugin.layer_rows import set_cells
from napari_nic.plugin.layer_updates import renew, repaint
from napari_nic.plugin.outlines import has_many_rings
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari.layers import Layer


@dataclass(frozen=True)
class Done:
    """What was done since a layer was looked at last.

    Attributes
    ----------
    changed : dict of Found to AnnotationObject
        Shapes that are other ones now.
    fresh : dict of Found to AnnotationObject
        Shapes that were drawn or copied.
    gone : tuple of int
        Numbers of those that were deleted.
    """

    changed: dict[Found, AnnotationObject]
    fresh: dict[Found, AnnotationObject]
    gone: tuple[int, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether all is as it was."""
        return not (self.changed or self.fresh or self.gone)

    def title(self, document: Document) -> str:
        """Return what the history calls it; `document` is as it was before."""
        if self.fresh:
            return "draw"
        if not self.changed:
            return "delete"
        pairs = [(document.get(item.id), item) for item in self.changed.values()]
        moved = [
            new for old, new in pairs if old is None or old.annotation.geometry != new.annotation.geometry
        ]
        if not moved:
            return "change class"
        return "edit" if len(moved) == 1 else f"edit {counted(len(moved), 'shape')}"


def what_was_done(
    found: Sequence[Found], tag: AnnotationTag, numbers: Collection[int], document: Document
) -> Done:
    """Compare what a layer shows now with what it was known to show."""
    known = {shape.number: shape for shape in found if shape.number is not None}
    changed = {
        shape: _renewed(document, tag.ids[number], shape.annotation)
        for number, shape in known.items()
        if not _is_as_noted(shape.annotation, tag.annotations.annotations[number])
    }
    fresh = {shape: AnnotationObject.new(shape.annotation) for shape in found if shape.number is None}
    gone = sorted(n for n in set(numbers) - set(known) if tag.ids[n] in document)
    return Done(changed, fresh, tuple(gone))


def note_what_was_done(layer: Layer, tag: AnnotationTag, done: Done, numbers: set[int]) -> None:
    """Let the tag know what its layer shows now; `numbers`, of what it shows, are brought up to date."""
    start = len(tag.ids)
    old = [(shape.number or 0, shape, item) for shape, item in done.changed.items()]
    new = [(start + n, shape, item) for n, (shape, item) in enumerate(done.fresh.items())]
    tag.ids += [item.id for _, _, item in new]
    renew(tag, {number: plain(item) for number, _, item in (*old, *new)})
    is_points = not hasattr(layer, "shape_type")
    for number, shape, _ in (*old, *new):
        if shape.rows:
            tag.shown[number] = [place.reshape(2) if is_points else place for place in shape.places]
    numbers -= set(done.gone)
    numbers |= {number for number, _, _ in new}
    tag.gone |= set(done.gone)
    tag.hidden = tuple(number for number in tag.hidden if number not in tag.gone)
    if tag.labels is not None:
        tag.labels.note(layer.data, {shape.value: number for number, shape, _ in new})
        return
    if not hasattr(layer, "selected_data"):
        repaint(layer)
        return
    for number, shape, item in new:
        set_cells(layer, shape.rows, {ROW: str(number), "kind": item.annotation.kind})
    for _, shape, item in old:
        if {str(layer.features["kind"].iloc[row]) for row in shape.rows} - {item.annotation.kind}:
            set_cells(layer, shape.rows, {"kind": item.annotation.kind})


def bridged_in(layer: Layer, tag: AnnotationTag, done: Done) -> list[int]:
    """Return numbers of changed areas of several rings, which are to be drawn anew.

    When napari has turned or stretched a shape, it draws what joins its rings as if it were outline.
    """
    if not hasattr(layer, "shape_type"):
        return []
    numbers = [
        shape.number
        for shape, item in done.changed.items()
        if shape.number is not None and has_many_rings(item.annotation.geometry)
    ]
    for number in numbers:
        tag.shown.pop(number, None)  # nothing is what is shown
    return numbers


def _is_as_noted(annotation: Annotation, noted: Annotation) -> bool:
    return annotation is noted or annotation == noted


def _renewed(document: Document, identity: str, annotation: Annotation) -> AnnotationObject:
    """Return an object as its layer shows it now."""
    item = document.get(identity)
    if item is None:
        return AnnotationObject(identity, annotation)
    if item.annotation.geometry != annotation.geometry:
        item = item.with_geometry(annotation.geometry)
    changed = replace(item.annotation, label=annotation.label, name=annotation.name, kind=annotation.kind)
    return replace(item, annotation=changed)
