"""What a layer of annotations brings into the document of its slide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from napari_nic.editing import Document, classes_of, objects_of
from napari_nic.plugin.annotation_layers import AnnotationTag, is_point
from napari_nic.plugin.controllers.drawing import Drawing
from napari_nic.plugin.controllers.homes import Homes
from napari_nic.plugin.layer_rows import rows_by_number

if TYPE_CHECKING:
    from napari.layers import Layer


def admit(
    tag: AnnotationTag, document: Document, drawing: Drawing, homes: Homes, *, is_step: bool = False
) -> tuple[str, ...]:
    """Give a document the objects of a tag that it has not; with ids of the file if they are free.

    Parameters
    ----------
    tag : AnnotationTag
    document : Document
    drawing : Drawing
        Knows the colours of classes.
    homes : Homes
        Is told where the objects are.
    is_step : bool
        Whether it is a step that can be undone.

    Returns
    -------
    tuple of str
        What the user is to know.
    """
    numbered, is_prepared = tag.annotations.annotations, False
    if len(tag.ids) != len(numbered):
        if tag.prepared is None or not document.has_none(tag.prepared.by_id):
            tag.prepared = None
            objects, notes = objects_of(tag.annotations, taken=document)
            tag.ids = [item.id for item in objects]
        else:
            objects, notes = tuple(tag.prepared.by_id.values()), tag.prepared.notes
            tag.ids = list(tag.prepared.by_id)
            is_prepared = not is_step
    else:
        objects, notes = (), ()
        missing = [n for n, i in enumerate(tag.ids) if i not in document and n not in tag.gone]
        if missing:
            some = replace(tag.annotations, annotations=tuple(numbered[n] for n in missing))
            objects = tuple(
                replace(item, id=tag.ids[n]) for n, item in zip(missing, objects_of(some)[0], strict=True)
            )
    if tag.home is None:
        homes.put(document, tag, tag.ids)
    colors = drawing.colors_of(tag.annotations.labels(), tag.annotations.colors)
    classes = classes_of(replace(tag.annotations, colors=colors))
    if is_prepared and tag.prepared is not None:
        document.admit_read(f"open {tag.name}", tag.prepared, classes)
    else:
        document.admit(f"open {tag.name}", () if is_step else objects, classes)
    if is_step:
        document.put(f"open {tag.name}", *objects, over_locks=True)
    return notes


def numbers_in(layer: Layer, tag: AnnotationTag) -> set[int]:
    """Return the numbers, in its tag, of the annotations that a layer shows."""
    if tag.view is not None and not hasattr(layer, "selected_data"):
        return set(cast("tuple[int, ...]", tag.view.index.ids()))
    if not hasattr(layer, "selected_data"):
        numbered = enumerate(tag.annotations.annotations)
        return {n for n, a in numbered if not is_point(a) and n not in tag.gone}
    shown = set(rows_by_number(layer))
    return shown | set(tag.hidden) if hasattr(layer, "shape_type") else shown
