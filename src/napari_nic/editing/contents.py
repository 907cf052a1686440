"""The objects of a document: in the order in which they came, counted by class, with their children."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count

from napari_nic.editing.edits import Objects
from napari_nic.editing.objects import AnnotationObject

MOST_INSERTED = 100
"""So many objects come back to their old places one by one; more are sorted with all others."""


class Contents:
    """Objects by their id.

    Parameters
    ----------
    objects : iterable of AnnotationObject

    Attributes
    ----------
    objects : dict of str to AnnotationObject
        In the order in which they are drawn.
    ranks : dict of str to int
        Places of all that ever were here, also of those that were taken away.
    """

    def __init__(self, objects: Iterable[AnnotationObject]) -> None:
        self.objects = {item.id: item for item in objects}
        self.ranks = {identity: rank for rank, identity in enumerate(self.objects)}
        self._labels = Counter(item.label for item in self.objects.values())
        self._children: dict[str, dict[str, None]] = {}
        for item in self.objects.values():
            if item.parent:
                self._children.setdefault(item.parent, {})[item.id] = None

    def labels(self, before: Objects | None = None, after: Objects | None = None) -> list[str]:
        """Return the classes that objects have, or would have if those before became those after."""
        counts = Counter(self._labels)
        counts.subtract(item.label for item in (before or {}).values() if item is not None)
        counts.update(item.label for item in (after or {}).values() if item is not None)
        return [label for label, number in counts.items() if number > 0]

    def children(self, *identities: str) -> tuple[str, ...]:
        """Return the ids of all objects that belong to these, and to those again, without these."""
        found: dict[str, None] = {}
        wanted = set(identities)
        while wanted:
            wanted = {
                child
                for parent in wanted
                for child in self._children.get(parent, ())
                if child not in found and child not in identities
            }
            found |= dict.fromkeys(sorted(wanted, key=self.ranks.__getitem__))
        return tuple(found)

    def own_children(self, identity: str) -> list[AnnotationObject]:
        """Return the objects that belong to one, without those that belong to these."""
        return [self.objects[child] for child in self._children.get(identity, ())]

    def take(self, after: Objects) -> None:
        """Put objects, and take away those that are None."""
        back = []
        for identity, item in after.items():
            self._forget(self.objects.get(identity))
            if item is None:
                self.objects.pop(identity, None)
                continue
            if identity not in self.objects and identity in self.ranks:
                back.append(identity)
            self.ranks.setdefault(identity, len(self.ranks))
            self.objects[identity] = item
            self._labels[item.label] += 1
            if item.parent:
                self._children.setdefault(item.parent, {})[identity] = None
        if back:
            self._put_back(back)

    def add(self, objects: Mapping[str, AnnotationObject], labels: Mapping[str, int]) -> None:
        """Add very many objects that are not here and have no parents, with the numbers of their classes."""
        self.objects.update(objects)
        self._labels.update(labels)
        is_new = self.ranks.keys().isdisjoint(objects)
        fresh: Iterable[str] = objects if is_new else [i for i in objects if i not in self.ranks]
        self.ranks.update(zip(fresh, count(len(self.ranks))))
        if not is_new:  # those that were here before come to their old places
            order = sorted(self.objects, key=self.ranks.__getitem__)
            self.objects = {identity: self.objects[identity] for identity in order}

    def _forget(self, item: AnnotationObject | None) -> None:
        """Take an object off the counts of labels and children."""
        if item is None:
            return
        self._labels[item.label] -= 1
        if item.parent:
            self._children.get(item.parent, {}).pop(item.id, None)

    def _put_back(self, identities: list[str]) -> None:
        """Bring what was taken away to its old place; to sort all takes longer than to insert one."""
        rank = self.ranks.__getitem__
        if len(identities) > MOST_INSERTED:
            order = sorted(self.objects, key=rank)
        else:
            back = set(identities)
            order = [identity for identity in self.objects if identity not in back]
            for identity in identities:
                insort(order, identity, key=rank)
        self.objects = {identity: self.objects[identity] for identity in order}
