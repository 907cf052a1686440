"""One step of a document's history: what was there before and what is there after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.objects import AnnotationObject

Objects = Mapping[str, AnnotationObject | None]
Classes = tuple[DrawingClass, ...]


@dataclass(frozen=True)
class Edit:
    """What one action of the user changed.

    Attributes
    ----------
    title : str
        For "Undo ...": "draw", "change class".
    before, after : mapping of id to AnnotationObject or None
        Of the objects that it touched alone; None where there was, or is, none. Both have the same keys.
    classes_before, classes_after : tuple of DrawingClass, optional
        All classes, where it changed them.
    is_read : bool
        Whether it brought, or let go, what was read: it is no step of the history.
    """

    title: str
    before: Objects = field(default_factory=dict)
    after: Objects = field(default_factory=dict)
    classes_before: Classes | None = None
    classes_after: Classes | None = None
    is_read: bool = False

    @property
    def inverse(self) -> Edit:
        """The edit that takes it back."""
        return Edit(self.title, self.after, self.before, self.classes_after, self.classes_before)

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return dict(self.before) == dict(self.after) and self.classes_before == self.classes_after

    @classmethod
    def joined(cls, title: str, edits: Sequence[Edit]) -> Edit:
        """Return one edit that does what several did one after the other."""
        before: dict[str, AnnotationObject | None] = {}
        after: dict[str, AnnotationObject | None] = {}
        for edit in edits:
            before = {**edit.before, **before}
            after |= edit.after
        changed = [identity for identity in after if before[identity] != after[identity]]
        first = next((edit.classes_before for edit in edits if edit.classes_before is not None), None)
        last = next((edit.classes_after for edit in reversed(edits) if edit.classes_after is not None), None)
        if first == last:
            first = last = None
        return cls(title, {i: before[i] for i in changed}, {i: after[i] for i in changed}, first, last)
