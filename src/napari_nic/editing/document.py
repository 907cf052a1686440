"""The annotations of one slide as a document: objects, classes, and a history over all edits."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

from napari_nic.annotations import RGB, AnnotationSet, label_colors
from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.edits import Classes, Edit, Objects
from napari_nic.editing.exchange import plain_set
from napari_nic.editing.objects import AnnotationObject, Edited
from napari_nic.editing.objects_read import ObjectsRead
from napari_nic.errors import LockedAnnotationError

HISTORY = 1000
"""So many edits can be undone by default."""

MOST_INSERTED = 100
"""So many objects come back to their old places one by one; more are sorted with all others."""

Watcher = Callable[[Edit], None]


class Document:
    """Objects by their id, in the order in which they were first put.

    All changes are :class:`Edit` values: they are applied, undone, written and told to watchers the same way.
    A document belongs to one thread; others work on what :meth:`objects` or :meth:`as_set` returned.

    Parameters
    ----------
    objects : iterable of AnnotationObject
    classes : iterable of DrawingClass
        Labels of objects that are not among them get an entry.
    author : str
        Who edits from now on.
    history : int
        So many edits can be undone.
    """

    def __init__(
        self,
        objects: Iterable[AnnotationObject] = (),
        classes: Iterable[DrawingClass] = (),
        *,
        author: str = "",
        history: int = HISTORY,
    ) -> None:
        self.author = author
        self.revision = 0
        self._objects = {item.id: item for item in objects}
        self._ranks = {identity: rank for rank, identity in enumerate(self._objects)}
        self._labels = Counter(item.label for item in self._objects.values())
        self._children: dict[str, dict[str, None]] = {}
        for item in self._objects.values():
            if item.parent:
                self._children.setdefault(item.parent, {})[item.id] = None
        self._classes = _completed(tuple(classes), self._labels)
        self._history = history
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._held: list[Edit] | None = None
        self._held_title = ""
        self._watchers: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, identity: object) -> bool:
        return identity in self._objects

    def __getitem__(self, identity: str) -> AnnotationObject:
        return self._objects[identity]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._objects))

    def get(self, identity: str) -> AnnotationObject | None:
        """Return an object, None if there is none of that id."""
        return self._objects.get(identity)

    # -- what is there -----------------------------------------------------------------------------------

    def objects(self) -> tuple[AnnotationObject, ...]:
        """All objects, in the order in which they are drawn."""
        return tuple(self._objects.values())

    @property
    def classes(self) -> Classes:
        """All classes, in the order of the list."""
        return self._classes

    def class_named(self, name: str) -> DrawingClass | None:
        """Return a class, None if there is none of that name."""
        return next((item for item in self._classes if item.name == name), None)

    def color_of(self, item: AnnotationObject) -> RGB:
        """Return the colour that an object is drawn in."""
        if item.color is not None:
            return item.color
        entry = self.class_named(item.label)
        return entry.color if entry is not None else label_colors([item.label])[item.label]

    def is_locked(self, identity: str) -> bool:
        """Whether edits of an object are refused, for its own lock or that of its class."""
        item = self._objects[identity]
        entry = self.class_named(item.label)
        return item.locked or (entry is not None and entry.locked)

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
            found |= dict.fromkeys(sorted(wanted, key=self._ranks.__getitem__))
        return tuple(found)

    @property
    def ranks(self) -> Mapping[str, int]:
        """Places of all objects that ever were in the document, also of those that were taken away."""
        return self._ranks

    def as_set(self, source: str = "", *, with_ids: bool = False) -> AnnotationSet:
        """Return the objects as a plain set, for what reads and writes annotations.

        Parameters
        ----------
        source : str
        with_ids : bool
            Whether objects that had no id in their file get the one that they have here.
        """
        colors = {entry.name: entry.color for entry in self._classes}
        return plain_set(self._objects.values(), colors, source, with_ids=with_ids)

    # -- edits -------------------------------------------------------------------------------------------

    def put(
        self,
        title: str,
        *objects: AnnotationObject,
        remove: Iterable[str] = (),
        over_locks: bool = False,
        goes_on: bool = False,
    ) -> Edit:
        """Add or replace objects and remove others, as one step that can be undone.

        Objects are marked with the author and the time. New labels become classes. Children of what is
        removed stay, and belong to what that belonged to.

        Parameters
        ----------
        title : str
        *objects : AnnotationObject
        remove : iterable of str
        over_locks : bool
            Whether locked objects are edited too: when a whole file goes, or comes anew.
        goes_on : bool
            Whether it goes on with the last step, see :meth:`apply`.

        Raises
        ------
        LockedAnnotationError
            If one of the objects is locked, or its class is; nothing is changed then. A lock itself can be
            set and taken off.
        KeyError
            If an object to be removed is not there.
        """
        edit = self._edit(title, objects, tuple(remove))
        if not over_locks:
            self._refuse_locked(edit.before, edit.after)
        return self.apply(edit, goes_on=goes_on)

    def admit(
        self,
        title: str,
        objects: Iterable[AnnotationObject] = (),
        classes: Iterable[DrawingClass] = (),
        remove: Iterable[str] = (),
    ) -> Edit:
        """Take in what was read from a file, or let it go, without a step in the history.

        Watchers hear of it as of any edit. Marks of who edited an object are kept.

        Parameters
        ----------
        title : str
        objects : iterable of AnnotationObject
        classes : iterable of DrawingClass
            Those that there are keep their colours.
        remove : iterable of str
        """
        known = {entry.name for entry in self._classes}
        more = (*self._classes, *(entry for entry in classes if entry.name not in known))
        edit = self._edit(title, tuple(objects), tuple(remove), classes=more, marked=False)
        if not edit.is_empty:
            self._make(edit)
            self._tell(replace(edit, is_read=True))
        return edit

    def admit_read(self, title: str, read: ObjectsRead, classes: Iterable[DrawingClass] = ()) -> Edit:
        """Do as :meth:`admit` for objects that were prepared; very many new ones take a moment only."""
        if read.has_parents or not self.has_none(read.by_id):
            return self.admit(title, read.by_id.values(), classes)
        known = {entry.name for entry in self._classes}
        more = (*self._classes, *(entry for entry in classes if entry.name not in known))
        completed, before = _completed(more, read.labels), self._classes
        changed = completed != before
        edit = Edit(
            title,
            dict.fromkeys(read.by_id),
            read.by_id,
            before if changed else None,
            completed if changed else None,
            is_read=True,
        )
        if not (read.by_id or changed):
            return edit
        self._objects.update(read.by_id)
        self._rank(read.by_id)
        self._labels.update(read.labels)
        self._classes = completed
        self.revision += 1
        self._tell(edit)
        return edit

    def _rank(self, ids: Iterable[str]) -> None:
        """Note the places of new objects; those that were there before come to their old places."""
        fresh = ids if self._ranks.keys().isdisjoint(ids) else [i for i in ids if i not in self._ranks]
        self._ranks.update(zip(fresh, count(len(self._ranks))))
        if fresh is not ids:
            order = sorted(self._objects, key=self._ranks.__getitem__)
            self._objects = {identity: self._objects[identity] for identity in order}

    def has_all(self, ids: AbstractSet[str]) -> bool:
        """Whether all of these ids are those of objects."""
        return ids <= self._objects.keys()

    def has_none(self, ids: Iterable[str]) -> bool:
        """Whether none of these ids is that of an object."""
        return self._objects.keys().isdisjoint(ids)

    def _edit(
        self,
        title: str,
        objects: tuple[AnnotationObject, ...],
        removed: tuple[str, ...],
        *,
        classes: Classes | None = None,
        marked: bool = True,
    ) -> Edit:
        if missing := [identity for identity in removed if identity not in self._objects]:
            raise KeyError(missing[0])
        edited = Edited.now(self.author)
        put = [*objects, *self._lifted(removed, {item.id for item in objects})]
        after: dict[str, AnnotationObject | None] = {
            item.id: replace(item, edited=edited) if marked else item for item in put
        }
        after |= dict.fromkeys(removed)
        before = {identity: self._objects.get(identity) for identity in after}
        completed = _completed(self._classes if classes is None else classes, (o.label for o in objects))
        changed = completed != self._classes
        return Edit(title, before, after, self._classes if changed else None, completed if changed else None)

    def _lifted(self, removed: tuple[str, ...], put: set[str]) -> list[AnnotationObject]:
        """Children that are left, as children of what their removed parent belonged to."""
        going = set(removed)
        if not going:
            return []
        children = (child for identity in removed for child in self._children.get(identity, ()))
        lifted = []
        for item in map(self._objects.__getitem__, children):
            if item.id in going or item.id in put:
                continue
            parent = item.parent
            while parent in going:
                parent = self._objects[parent].parent
            lifted.append(replace(item, parent=parent))
        return lifted

    def remove(self, title: str, *identities: str, with_children: bool = False) -> Edit:
        """Remove objects, and what belongs to them if that is wanted; see :meth:`put`."""
        more = self.children(*identities) if with_children else ()
        return self.put(title, remove=(*identities, *more))

    def set_classes(self, title: str, classes: Iterable[DrawingClass]) -> Edit:
        """Exchange the list of classes; those that objects have are kept in it.

        Renaming a class is done by :meth:`put` of its objects and this, see :meth:`apply`.
        """
        wanted = _completed(tuple(classes), (label for label, number in self._labels.items() if number))
        return self.apply(Edit(title, classes_before=self._classes, classes_after=wanted))

    def apply(self, edit: Edit, *, goes_on: bool = False) -> Edit:
        """Make an edit and note it in the history; one that changes nothing is not noted.

        Parameters
        ----------
        edit : Edit
        goes_on : bool
            Whether it becomes one step with the last one, if that has the same title and objects: the parts
            of a gesture that cannot be told from its end.
        """
        if edit.is_empty:
            return edit
        self._make(edit)
        if self._held is not None:
            self._held.append(edit)
        else:
            self._note(edit, goes_on=goes_on)
        self._tell(edit)
        return edit

    def _note(self, edit: Edit, *, goes_on: bool = False) -> None:
        last = self._done[-1] if self._done else None
        joins = (
            goes_on and last is not None and last.title == edit.title and set(last.after) == set(edit.after)
        )
        if joins and last is not None:
            self._done[-1] = Edit.joined(edit.title, [last, edit])
        else:
            self._done.append(edit)
        del self._done[: -self._history]
        self._undone.clear()

    @contextmanager
    def hold(self, title: str) -> Iterator[None]:
        """Make one step of all edits until the end; if an error ends it, none of them is left."""
        if self._held is not None:  # part of a longer one
            yield
            return
        self._held, self._held_title = [], title
        try:
            yield
        except BaseException:
            for edit in reversed(self._end_hold()):
                self._make(edit.inverse)
                self._tell(edit.inverse)
            raise
        joined = Edit.joined(title, self._end_hold())
        if not joined.is_empty:
            self._note(joined)

    def _end_hold(self) -> list[Edit]:
        held, self._held = self._held or [], None
        return held

    def undo(self) -> Edit | None:
        """Take the last edit back; None if there is none."""
        if not self._done or self._held is not None:
            return None
        edit = self._done.pop()
        self._make(edit.inverse)
        self._undone.append(edit)
        self._tell(edit.inverse)
        return edit

    def redo(self) -> Edit | None:
        """Make the edit anew that was taken back last; None if there is none."""
        if not self._undone or self._held is not None:
            return None
        edit = self._undone.pop()
        self._make(edit)
        self._done.append(edit)
        self._tell(edit)
        return edit

    @property
    def undo_title(self) -> str:
        """What :meth:`undo` would take back; empty if nothing."""
        if self._held:
            return self._held_title
        return self._done[-1].title if self._done else ""

    @property
    def redo_title(self) -> str:
        """What :meth:`redo` would make anew; empty if nothing."""
        return self._undone[-1].title if self._undone else ""

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call back after every change with the edit that was made (of an undo its inverse).

        Returns
        -------
        callable
            Ends it.
        """
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # -- inner -------------------------------------------------------------------------------------------

    def _refuse_locked(self, before: Objects, after: Objects) -> None:
        """Refuse edits of locked objects; to set a lock or take it off is none, nor is another parent."""
        for identity, old in before.items():
            new = after[identity]
            if old is None or not self.is_locked(identity):
                continue
            if new is not None and replace(old, parent=new.parent) == new:
                continue  # it itself is what it was
            if old.locked and new is not None and replace(old, locked=new.locked) == new:
                continue
            what = old.annotation.name or f"an object of class {old.label}"
            by = "it" if old.locked else f"class {old.label}"
            raise LockedAnnotationError(
                "a locked annotation is not edited",
                found=f"{what}, which is locked",
                hint=f"unlock {by} first",
            )

    def _make(self, edit: Edit) -> None:
        back = []
        for identity, item in edit.after.items():
            self._forget(self._objects.get(identity))
            if item is None:
                self._objects.pop(identity, None)
                continue
            if identity not in self._objects and identity in self._ranks:
                back.append(identity)
            self._ranks.setdefault(identity, len(self._ranks))
            self._objects[identity] = item
            self._labels[item.label] += 1
            if item.parent:
                self._children.setdefault(item.parent, {})[identity] = None
        if back:
            self._put_back(back)
        if edit.classes_after is not None:
            self._classes = edit.classes_after
        self.revision += 1

    def _forget(self, item: AnnotationObject | None) -> None:
        """Take an object off the counts of labels and children."""
        if item is None:
            return
        self._labels[item.label] -= 1
        if item.parent:
            self._children.get(item.parent, {}).pop(item.id, None)

    def _put_back(self, identities: list[str]) -> None:
        """Bring what was taken away to its old place; to sort all takes longer than to insert one."""
        rank = self._ranks.__getitem__
        if len(identities) > MOST_INSERTED:
            order = sorted(self._objects, key=rank)
        else:
            back = set(identities)
            order = [identity for identity in self._objects if identity not in back]
            for identity in identities:
                insort(order, identity, key=rank)
        self._objects = {identity: self._objects[identity] for identity in order}

    def _tell(self, edit: Edit) -> None:
        for watcher in list(self._watchers):
            watcher(edit)


def _completed(classes: Classes, labels: Iterable[str]) -> Classes:
    """Add entries for labels that have none, each with the colour of its name that is free."""
    known = {entry.name: entry.color for entry in classes}
    missing = [label for label in dict.fromkeys(labels) if label not in known]
    if not missing:
        return classes
    colors = label_colors([*known, *missing], known)
    return (*classes, *(DrawingClass(label, colors[label]) for label in missing))
