"""The annotation document: objects with a stable id, classes, and a history over all edits.

Public modules beside this list: ``operations``.
"""

from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.document import HISTORY, Document
from napari_nic.editing.edits import Edit
from napari_nic.editing.exchange import classes_of, object_of, objects_of, plain, plain_set
from napari_nic.editing.objects import AnnotationObject, Edited

__all__ = [
    "HISTORY",
    "AnnotationObject",
    "Document",
    "DrawingClass",
    "Edit",
    "Edited",
    "classes_of",
    "object_of",
    "objects_of",
    "plain",
    "plain_set",
]
