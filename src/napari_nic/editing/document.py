"""The annotations of one slide as a document: objects, classes, and a history over all edits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace

from napari_nic.annotations import RGB, AnnotationSet, label_colors
from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.contents import Contents
from napari_nic.editing.edits import Classes, Edit, Objects
from napari_nic.editing.exchange import plain_set
from napari_nic.editing.history import History
from napari_nic.editing.objects import AnnotationObject, Edited
from napari_nic.editing.objects_read import ObjectsRead
from napari_nic.errors import LockedAnnotationError

HISTORY = 1000
"""So many edits can be undone by default."""

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
        self._contents = Contents(objects)
        self._classes = _completed(tuple(classes), self._contents.labels())
        self._history = History(history)
        self._watchers: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._contents.objects)

    def __contains__(self, identity: object) -> bool:
        return identity in self._contents.objects

    def __getitem__(self, identity: str) -> AnnotationObject:
        return self._contents.objects[identity]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._contents.objects))

    def get(self, identity: str) -> AnnotationObject | None:
        """Return an object, None if there is none of that id."""
        return self._contents.objects.get(identity)

    # -- what is there -----------------------------------------------------------------------------------

    def objects(self) -> tuple[AnnotationObject, ...]:
        """All objects, in the order in which they are drawn."""
        return tuple(self._contents.objects.values())

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
        item = self._contents.objects[identity]
        entry = self.class_named(item.label)
        return item.locked or (entry is not None and entry.locked)

    def children(self, *identities: str) -> tuple[str, ...]:
        """Return the ids of all objects that belong to these, and to those again, without these."""
        return self._contents.children(*identities)

    @property
    def ranks(self) -> Mapping[str, int]:
        """Places of all objects that ever were in the document, also of those that were taken away."""
        return self._contents.ranks

    def as_set(self, source: str = "", *, with_ids: bool = False) -> AnnotationSet:
        """Return the objects as a plain set, for what reads and writes annotations.

        Parameters
        ----------
        source : str
        with_ids : bool
            Whether objects that had no id in their file get the one that they have here.
        """
        colors = {entry.name: entry.color for entry in self._classes}
        return plain_set(self._contents.objects.values(), colors, source, with_ids=with_ids)

    # -- edits -------------------------------------------------------------------------------------------

    def put(
        self,
        title: str,
        *objects: AnnotationObject,
        remove: Iterable[str] = (),
        classes: Iterable[DrawingClass] | None = None,
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
        classes : iterable of DrawingClass, optional
            The list of classes afterwards, as in :meth:`set_classes`; by default the one there is.
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
        if classes is not None:
            edit = self._with_classes(edit, tuple(classes))
        return self.apply(edit, goes_on=goes_on)

    def _with_classes(self, edit: Edit, classes: Classes) -> Edit:
        """Let an edit exchange the list of classes too; those that objects then have are kept in it."""
        wanted = _completed(classes, self._contents.labels(edit.before, edit.after))
        changed = wanted != self._classes
        return replace(
            edit,
            classes_before=self._classes if changed else None,
            classes_after=wanted if changed else None,
        )

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
        self._contents.add(read.by_id, read.labels)
        self._classes = completed
        self.revision += 1
        self._tell(edit)
        return edit

    def has_all(self, ids: AbstractSet[str]) -> bool:
        """Whether all of these ids are those of objects."""
        return ids <= self._contents.objects.keys()

    def has_none(self, ids: Iterable[str]) -> bool:
        """Whether none of these ids is that of an object."""
        return self._contents.objects.keys().isdisjoint(ids)

    def _edit(
        self,
        title: str,
        objects: tuple[AnnotationObject, ...],
        removed: tuple[str, ...],
        *,
        classes: Classes | None = None,
        marked: bool = True,
    ) -> Edit:
        if missing := [identity for identity in removed if identity not in self._contents.objects]:
            raise KeyError(missing[0])
        edited = Edited.now(self.author)
        put = [*objects, *self._lifted(removed, {item.id for item in objects})]
        after: dict[str, AnnotationObject | None] = {
            item.id: replace(item, edited=edited) if marked else item for item in put
        }
        after |= dict.fromkeys(removed)
        before = {identity: self._contents.objects.get(identity) for identity in after}
        completed = _completed(self._classes if classes is None else classes, (o.label for o in objects))
        changed = completed != self._classes
        return Edit(title, before, after, self._classes if changed else None, completed if changed else None)

    def _lifted(self, removed: tuple[str, ...], put: set[str]) -> list[AnnotationObject]:
        """Children that are left, as children of what their removed parent belonged to."""
        going = set(removed)
        if not going:
            return []
        children = [child for identity in removed for child in self._contents.own_children(identity)]
        lifted = []
        for item in children:
            if item.id in going or item.id in put:
                continue
            parent = item.parent
            while parent in going:
                parent = self._contents.objects[parent].parent
            lifted.append(replace(item, parent=parent))
        return lifted

    def remove(self, title: str, *identities: str, with_children: bool = False) -> Edit:
        """Remove objects, and what belongs to them if that is wanted; see :meth:`put`."""
        more = self.children(*identities) if with_children else ()
        return self.put(title, remove=(*identities, *more))

    def set_classes(self, title: str, classes: Iterable[DrawingClass]) -> Edit:
        """Exchange the list of classes; those that objects have are kept in it.

        To rename a class is to :meth:`put` its objects, and the list with it.
        """
        wanted = _completed(tuple(classes), self._contents.labels())
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
        self._history.note(edit, goes_on=goes_on)
        self._tell(edit)
        return edit

    @contextmanager
    def hold(self, title: str) -> Iterator[None]:
        """Make one step of all edits until the end; if an error ends it, none of them is left."""
        if self._history.held is not None:  # part of a longer one
            yield
            return
        self._history.hold(title)
        try:
            yield
        except BaseException:
            for edit in reversed(self._history.release()):
                self._make(edit.inverse)
                self._tell(edit.inverse)
            raise
        joined = Edit.joined(title, self._history.release())
        if not joined.is_empty:
            self._history.note(joined)

    def undo(self) -> Edit | None:
        """Take the last edit back; None if there is none."""
        edit = self._history.undo()
        if edit is not None:
            self._make(edit.inverse)
            self._tell(edit.inverse)
        return edit

    def redo(self) -> Edit | None:
        """Make the edit anew that was taken back last; None if there is none."""
        edit = self._history.redo()
        if edit is not None:
            self._make(edit)
            self._tell(edit)
        return edit

    @property
    def undo_title(self) -> str:
        """What :meth:`undo` would take back; empty if nothing."""
        return self._history.undo_title

    @property
    def redo_title(self) -> str:
        """What :meth:`redo` would make anew; empty if nothing."""
        return self._history.redo_title

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
        self._contents.take(edit.after)
        if edit.classes_after is not None:
            self._classes = edit.classes_after
        self.revision += 1

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
