"""The annotation document: objects with a stable id, classes, and a history over all edits.

Public modules beside this list: ``operations``.
"""

from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.document import HISTORY, Document
from napari_nic.editing.edits import Edit
from napari_nic.editing.exchange import classes_of, object_of, objects_of, plain, plain_set
from napari_nic.editing.finding import ObjectIndex
from napari_nic.editing.journal import Journal, copy_file
from napari_nic.editing.journal_reading import JOURNAL_FILE, read_journal, stamp_of
from napari_nic.editing.kept import Kept, KeptLayer, KnownFile, State
from napari_nic.editing.merging import Choice, Conflict, Merge, merge
from napari_nic.editing.objects import AnnotationObject, Edited
from napari_nic.editing.objects_read import ObjectsRead
from napari_nic.editing.places import Found, document_folders, find_document

__all__ = [
    "HISTORY",
    "JOURNAL_FILE",
    "AnnotationObject",
    "Choice",
    "Conflict",
    "Document",
    "DrawingClass",
    "Edit",
    "Edited",
    "Found",
    "Journal",
    "Kept",
    "KeptLayer",
    "KnownFile",
    "Merge",
    "ObjectIndex",
    "ObjectsRead",
    "State",
    "classes_of",
    "copy_file",
    "document_folders",
    "find_document",
    "merge",
    "object_of",
    "objects_of",
    "plain",
    "plain_set",
    "read_journal",
    "stamp_of",
]
