"""Two versions of the same objects made one: what one side changed is taken, what both did is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from uuid import uuid4

from napari_nic.editing.objects import AnnotationObject

Choice = Literal["ours", "theirs", "both"]
"""What becomes of objects that were changed on both sides."""

Objects = Mapping[str, AnnotationObject]


@dataclass(frozen=True)
class Conflict:
    """An object that was changed on both sides, each in its own way.

    Attributes
    ----------
    ours, theirs : AnnotationObject, optional
        As it is now; None where it was removed.
    """

    ours: AnnotationObject | None
    theirs: AnnotationObject | None


@dataclass(frozen=True)
class Merge:
    """What has to be done to our side.

    Attributes
    ----------
    added, changed : tuple of AnnotationObject
        As theirs are.
    removed : tuple of str
        Ids.
    conflicts : tuple of Conflict
    """

    added: tuple[AnnotationObject, ...] = ()
    changed: tuple[AnnotationObject, ...] = ()
    removed: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether our side has all already."""
        return not (self.added or self.changed or self.removed or self.conflicts)

    def describe(self) -> str:
        """Say how much it is: "2 added, 1 removed"."""
        parts = {
            "added": len(self.added),
            "changed": len(self.changed),
            "removed": len(self.removed),
            "changed on both sides": len(self.conflicts),
        }
        return ", ".join(f"{number:,} {what}" for what, number in parts.items() if number)

    def resolved(self, choice: Choice) -> tuple[tuple[AnnotationObject, ...], tuple[str, ...]]:
        """Return what is put into our side, and the ids of what is removed.

        Parameters
        ----------
        choice : {"ours", "theirs", "both"}
            Of conflicts. With "both" theirs get ids of their own; what one side removed stays.
        """
        put, removed = [*self.added, *self.changed], list(self.removed)
        for conflict in self.conflicts:
            if conflict.theirs is None:
                removed += [conflict.ours.id] if choice == "theirs" and conflict.ours is not None else []
            elif choice == "theirs" or (choice == "both" and conflict.ours is None):
                put.append(conflict.theirs)
            elif choice == "both":
                put.append(_another(conflict.theirs))
        return tuple(put), tuple(removed)


def merge(base: Objects, ours: Objects, theirs: Objects, *, ours_before: Objects | None = None) -> Merge:
    """Compare two versions with what both began with.

    Parameters
    ----------
    base : mapping of id to AnnotationObject
        As their side was read last.
    ours, theirs : mapping of id to AnnotationObject
    ours_before : mapping, optional
        As our side was at that time, where that is not the same: a format may have rounded what was written.
        `base` by default.

    Returns
    -------
    Merge
        Objects are compared by id; who edited them, and details that we do not use, are not compared.
    """
    before = base if ours_before is None else ours_before
    added: list[AnnotationObject] = []
    changed: list[AnnotationObject] = []
    removed: list[str] = []
    conflicts: list[Conflict] = []
    for identity in dict.fromkeys((*base, *theirs)):
        was, there, here = base.get(identity), theirs.get(identity), ours.get(identity)
        if there in (was, here):
            continue
        if here != before.get(identity):
            conflicts.append(Conflict(here, there))
        elif there is None:
            removed.append(identity)
        else:
            (added if here is None else changed).append(there)
    return Merge(tuple(added), tuple(changed), tuple(removed), tuple(conflicts))


def _another(item: AnnotationObject) -> AnnotationObject:
    identity = str(uuid4())
    return replace(item, id=identity, annotation=replace(item.annotation, id=""))
