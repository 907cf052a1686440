"""Which objects the tree lists, in which order, and the way from one to the next."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from psygnal import Signal

from napari_nic.editing import AnnotationObject, Document, Edit
from napari_nic.editing.operations import size_text
from napari_nic.plugin.controllers.annotator import Annotator


@dataclass(frozen=True)
class Filter:
    """What of a document is listed.

    Attributes
    ----------
    label : str
        Class; empty for all.
    text : str
        Part of name or class, in any case.
    least, most : float, optional
        Area in um2, or of `measurement`.
    measurement : str
        Name of the measurement that the limits are for; empty for the area.
    """

    label: str = ""
    text: str = ""
    least: float | None = None
    most: float | None = None
    measurement: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether all is listed."""
        return self == Filter(measurement=self.measurement)


class ObjectList:
    """The rows of the object tree.

    Parameters
    ----------
    annotator : Annotator
    """

    changed = Signal()
    touched = Signal(tuple)

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        self.filter = Filter()
        self._ids: list[str] | None = None
        self._children: dict[str, list[str]] = {}
        annotator.edited.connect(self._on_edited)

    def close(self) -> None:
        """Let the annotator go."""
        self.annotator.edited.disconnect(self._on_edited)

    def set_filter(self, wanted: Filter) -> None:
        """List other objects."""
        self.filter = wanted
        self._on_edited()

    @property
    def ids(self) -> list[str]:
        """Ids that are listed, in the order of the document."""
        if self._ids is None:
            self._list()
        return self._ids or []

    def children(self, parent: str = "") -> Sequence[str]:
        """Ids of the listed objects below another one; those whose parent is not listed stand on top."""
        if self._ids is None:
            self._list()
        return self._children.get(parent, ())

    def summary(self) -> str:
        """How many are listed, of how many."""
        document = self.annotator.document
        total = 0 if document is None else len(document)
        if self.filter.is_empty:
            return f"{total:,} objects" if total != 1 else "1 object"
        return f"{len(self.ids):,} of {total:,} objects"

    def measurements(self) -> tuple[str, ...]:
        """Names of all measurements that objects have."""
        document = self.annotator.document
        objects = () if document is None else document.objects()
        return tuple(dict.fromkeys(name for item in objects for name in item.measurements))

    def go(self, step: int) -> None:
        """Select the object that is listed so many places after the selected one, and look at it."""
        ids = self.ids
        if not ids:
            self.annotator.tell("no object is listed")
            return
        selected = [i for i in self.annotator.selected if i in set(ids)]
        if selected:
            at = (ids.index(selected[-1 if step > 0 else 0]) + step) % len(ids)
        else:
            at = 0 if step > 0 else len(ids) - 1
        self.annotator.select([ids[at]], reveal=True)

    def size(self, item: AnnotationObject) -> str:
        """How large an object is, in words."""
        if item.annotation.kind == "arrow":
            return ""  # how long it is means nothing
        return size_text(item.annotation.geometry, self.annotator.known_pixel)

    def _list(self) -> None:
        document = self.annotator.document
        self._ids = [] if document is None else self._matching(document)
        listed = set(self._ids)
        self._children = {}
        for identity in self._ids:
            assert document is not None  # noqa: S101 -- for the type checker
            parent = document[identity].parent
            self._children.setdefault(parent if parent in listed else "", []).append(identity)

    def _matching(self, document: Document) -> list[str]:
        wanted, objects = self.filter, document.objects()
        if wanted.is_empty:
            return [item.id for item in objects]
        text = wanted.text.casefold()
        kept = [
            item
            for item in objects
            if (not wanted.label or item.label == wanted.label)
            and (not text or text in f"{item.annotation.name}\n{item.label}".casefold())
        ]
        if wanted.least is not None or wanted.most is not None:
            values = self._values(kept)
            with np.errstate(invalid="ignore"):
                inside = values >= (-np.inf if wanted.least is None else wanted.least)
                inside &= values <= (np.inf if wanted.most is None else wanted.most)
            kept = [item for item, is_inside in zip(kept, inside, strict=True) if is_inside]
        return [item.id for item in kept]

    def _values(self, items: Sequence[AnnotationObject]) -> np.ndarray:
        name = self.filter.measurement
        if name:
            return np.array([item.measurements.get(name, np.nan) for item in items], float)
        pixel = self.annotator.pixel
        shapes: Any = np.array([item.annotation.geometry for item in items], object)
        return np.asarray(shapely.area(shapes) * pixel.x * pixel.y)

    def _on_edited(self, edit: Edit | None = None) -> None:
        """Take up an edit; where the rows stay those that they were, nobody makes 100,000 of them anew."""
        if self._ids is not None and edit is not None and self.filter.is_empty:
            if _keeps_rows(edit):
                self.touched.emit(tuple(edit.after))
                return
            if self._appends(edit, self._ids):
                self.changed.emit()
                return
        self._ids = None
        self.changed.emit()

    def _appends(self, edit: Edit, ids: list[str]) -> bool:
        """Append what an edit drew; False if it did more, or brings back what has its old place."""
        document = self.annotator.document
        items = list(edit.after.values())
        if document is None or len(ids) + len(items) != len(document):
            return False
        is_new = all(edit.before[i] is None and item and not item.parent for i, item in edit.after.items())
        if not is_new or list(itertools.islice(reversed(document.objects()), len(items))) != items[::-1]:
            return False
        ids += edit.after
        self._children.setdefault("", []).extend(edit.after)
        return True


def _keeps_rows(edit: Edit) -> bool:
    pairs = ((edit.before[identity], item) for identity, item in edit.after.items())
    return all(old and new and old.parent == new.parent for old, new in pairs)
