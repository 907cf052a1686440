"""The list of classes: what stands in it, how it is changed, and sets of classes that are remembered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import RGB, UNCLASSIFIED, label_colors
from napari_nic.editing import AnnotationObject, Document, DrawingClass, Edit
from napari_nic.errors import NicError
from napari_nic.plugin.controllers.annotator import Annotator

SETS_SETTING = "annotator_class_sets"
UM2_PER_MM2 = 1e6


@dataclass(frozen=True)
class ClassRow:
    """A line of the list.

    Attributes
    ----------
    entry : DrawingClass
    count : int
        Objects of the class.
    area_mm2 : float, optional
        Of its areas together, overlaps counted twice; None where pixels have no known size.
    """

    entry: DrawingClass
    count: int
    area_mm2: float | None


class ClassList:
    """Classes of the annotator's document.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        self._document: Document | None = None
        self._end: Callable[[], None] | None = None
        self._counts: dict[str, int] = defaultdict(int)
        self._areas: dict[str, float] = defaultdict(float)

    def close(self) -> None:
        """Let the document go."""
        if self._end is not None:
            self._end()
            self._end = None

    # -- what stands in it -------------------------------------------------------------------------------

    def rows(self) -> list[ClassRow]:
        """All classes, in their order, with what is drawn in them."""
        self._follow()
        pixel = self.annotator.known_pixel
        per_px = None if pixel is None else pixel.x * pixel.y / UM2_PER_MM2
        return [
            ClassRow(
                entry,
                self._counts[entry.name],
                None if per_px is None else max(0.0, self._areas[entry.name]) * per_px,
            )
            for entry in self.annotator.classes
        ]

    def _follow(self) -> None:
        document = self.annotator.document
        if document is self._document:
            return
        self.close()
        self._document = document
        self._counts.clear()
        self._areas.clear()
        if document is not None:
            self._count(document.objects(), 1)
            self._end = document.watch(self._on_edit)

    def _on_edit(self, edit: Edit) -> None:
        self._count([item for item in edit.before.values() if item is not None], -1)
        self._count([item for item in edit.after.values() if item is not None], 1)

    def _count(self, items: Sequence[AnnotationObject], sign: int) -> None:
        shapes: Any = np.array([item.annotation.geometry for item in items], object)
        for item, area in zip(items, shapely.area(shapes), strict=True):
            self._counts[item.label] += sign
            self._areas[item.label] += sign * area

    # -- changes -----------------------------------------------------------------------------------------

    def add(self, name: str) -> None:
        """Add a class with the colour of its name, and draw in it."""
        name = name.strip()
        document = self.annotator.document
        if document is None or not name:
            return
        if document.class_named(name) is None:
            known = {entry.name: entry.color for entry in document.classes}
            color = label_colors([*known, name], known)[name]
            document.set_classes(f"add class {name}", (*document.classes, DrawingClass(name, color)))
        self.annotator.choose_class(name)

    def rename(self, old: str, new: str) -> None:
        """Give a class, and all its objects, another name; that of another class merges both."""
        new = new.strip()
        document = self.annotator.document
        if document is None or not new or new == old:
            return
        names = [entry.name for entry in document.classes]
        items = tuple(item.with_label(new) for item in document.objects() if item.label == old)
        entry = document.class_named(old)
        if entry is not None and entry.locked and items:
            self.annotator.tell(f"class {old} is locked: unlock it first")
            return
        if new in names:
            classes = [e for e in document.classes if e.name != old]
        else:
            classes = [replace(e, name=new) if e.name == old else e for e in document.classes]
        if self._change(document, f"rename class {old}", items, classes) and self.annotator.label == old:
            self.annotator.documents.set_current_class(new)

    def delete(self, name: str) -> None:
        """Remove a class; its objects stay, without a class."""
        document = self.annotator.document
        if document is None:
            return
        items = tuple(item.with_label(UNCLASSIFIED) for item in document.objects() if item.label == name)
        if name == UNCLASSIFIED and items:
            self.annotator.tell("objects without a class stay: give them a class, or delete them")
            return
        classes = [entry for entry in document.classes if entry.name != name]
        if self._change(document, f"delete class {name}", items, classes) and self.annotator.label == name:
            self.annotator.documents.set_current_class(UNCLASSIFIED)

    def recolor(self, name: str, color: RGB) -> None:
        """Give a class another colour."""
        self._set(name, f"recolour {name}", color=color)

    def toggle_visible(self, name: str) -> None:
        """Show or hide a class."""
        entry = self._named(name)
        if entry is not None:
            self._set(name, f"{'hide' if entry.visible else 'show'} {name}", visible=not entry.visible)

    def toggle_locked(self, name: str) -> None:
        """Lock a class against edits, or unlock it."""
        entry = self._named(name)
        if entry is not None:
            self._set(name, f"{'unlock' if entry.locked else 'lock'} {name}", locked=not entry.locked)

    def set_key(self, name: str, key: int | None) -> None:
        """Let a digit choose a class; another one that had it loses it."""
        document = self.annotator.document
        if document is not None:
            classes = [
                replace(e, key=key if e.name == name else None if e.key == key else e.key)
                for e in self.annotator.classes
            ]
            document.set_classes(f"key of {name}", classes)

    def _named(self, name: str) -> DrawingClass | None:
        return None if self.annotator.document is None else self.annotator.document.class_named(name)

    def _set(self, name: str, title: str, **marks: Any) -> None:
        document = self.annotator.document
        if document is not None:
            classes = [replace(e, **marks) if e.name == name else e for e in document.classes]
            document.set_classes(title, classes)

    def _change(
        self,
        document: Document,
        title: str,
        items: tuple[AnnotationObject, ...],
        classes: Sequence[DrawingClass],
    ) -> bool:
        """Change objects and classes as one step."""
        try:
            with self.annotator.working():
                document.put(title, *items, classes=classes)
        except NicError as error:
            self.annotator.tell_error(error)
            return False
        return True

    # -- sets --------------------------------------------------------------------------------------------

    def sets(self) -> dict[str, list[dict[str, Any]]]:
        """Sets of classes that are remembered, by name."""
        found = self.annotator.session.settings.get(SETS_SETTING)
        return dict(found) if isinstance(found, dict) else {}

    def remember_set(self, name: str) -> None:
        """Remember the classes, with colours and keys, under a name."""
        document = self.annotator.document
        if document is None or not name.strip():
            return
        entries = [
            {"name": entry.name, "color": list(entry.color), "key": entry.key}
            for entry in self.annotator.classes
        ]
        self.annotator.session.settings.set(SETS_SETTING, self.sets() | {name.strip(): entries})

    def forget_set(self, name: str) -> None:
        """Forget a set."""
        left = {known: entries for known, entries in self.sets().items() if known != name}
        self.annotator.session.settings.set(SETS_SETTING, left)

    def use_set(self, name: str) -> None:
        """Add the classes of a set, and give those that are there its colours and keys."""
        document = self.annotator.document
        if document is None:
            return
        wanted = {entry.name: entry for entry in map(_class_of, self.sets().get(name, ())) if entry}
        if not wanted:
            self.annotator.tell(f"the set {name} holds no classes")
            return
        kept = [
            replace(e, color=wanted[e.name].color, key=wanted[e.name].key)
            if e.name in wanted
            else replace(e, key=None)
            for e in document.classes
        ]
        names = {e.name for e in kept}
        document.set_classes(
            f"classes of {name}", [*kept, *(e for e in wanted.values() if e.name not in names)]
        )


def _class_of(entry: Any) -> DrawingClass | None:
    """Read a class of the settings, which anybody may have edited; None if it is none."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        return None
    color, key = entry.get("color"), entry.get("key")
    if not (isinstance(color, list) and len(color) == 3 and all(_is_byte(part) for part in color)):
        return None
    return DrawingClass(
        entry["name"],
        (color[0], color[1], color[2]),
        key=key if isinstance(key, int) and 1 <= key <= 9 else None,
    )


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
