"""Areas that were computed become annotations of the session's slide: one step of its history."""

from __future__ import annotations

from napari_nic.annotations import AnnotationSet
from napari_nic.editing import AnnotationObject, Document, DrawingClass


def add_annotations(document: Document, annotations: AnnotationSet, title: str) -> None:
    """Put annotations into a document, as one step that can be undone.

    Classes that the document has already keep their colours.

    Parameters
    ----------
    document : Document
    annotations : AnnotationSet
        Level-0 pixels of the document's slide.
    title : str
        What the step is called.

    Raises
    ------
    LockedAnnotationError
        If a class is locked.
    """
    known = {entry.name for entry in document.classes}
    new = [DrawingClass(name, color) for name, color in annotations.colors.items() if name not in known]
    with document.hold(title):
        if new:
            document.set_classes(title, (*document.classes, *new))
        document.put(title, *(AnnotationObject.new(shape) for shape in annotations.annotations))
