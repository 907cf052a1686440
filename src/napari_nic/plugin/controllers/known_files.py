"""Annotation files that other programs change while their document is edited: noticed, and merged by id."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_nic.annotations import AnnotationSet
from napari_nic.editing import (
    AnnotationObject,
    Choice,
    Document,
    KnownFile,
    Merge,
    ObjectsRead,
    merge,
    objects_of,
)
from napari_nic.errors import AnnotationError, NicError
from napari_nic.outlines.cache import Content
from napari_nic.plugin.annotation_jobs import MANY_SHAPES, Wait, read_again
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.kept_document import digest_of

if TYPE_CHECKING:
    from napari_nic.slides import Slide

Objects = Mapping[str, AnnotationObject]


@dataclass(eq=False)
class _Base:
    """What a file held when it was read or written last.

    Attributes
    ----------
    known : KnownFile
    stamp : (int, int)
        Size and time of the file then; another one is a reason to look.
    theirs : mapping, optional
        Its objects; None if they have to be read from the copy.
    ours : mapping, optional
        The document's at that time.
    """

    known: KnownFile
    stamp: tuple[int, int]
    theirs: Objects | None = None
    ours: Objects | None = None


class KnownFiles:
    """Watches the files that documents were opened from or saved to.

    Parameters
    ----------
    documents : DocumentController
    wait : callable
        Lets the user wait while a large file is read.
    """

    def __init__(self, documents: DocumentController, wait: Wait) -> None:
        self._documents, self._wait = documents, wait
        self._asking = documents.session.asking
        self._bases: weakref.WeakKeyDictionary[Document, dict[str, _Base]] = weakref.WeakKeyDictionary()

    # -- what is known -----------------------------------------------------------------------------------

    def opened(self, document: Document, tag: AnnotationTag) -> None:
        """Note that the file of a tag was opened and became part of a document.

        A file whose ids other objects of the document had before is not followed: its objects have others.
        """
        read, tag.prepared = tag.prepared or ObjectsRead.of(tag.annotations), None
        if tag.path is None or not document.has_all(read.by_id.keys()):
            return
        self._note(document, tag.path, read.by_id, read.by_id, content=tag.content)

    def saved(self, document: Document, path: Path, slide: Slide, written: AnnotationSet) -> None:
        """Note that a document was saved to a file; few shapes are read back, for a format may round."""
        read = self._read(path, 0, slide) if len(written) <= MANY_SHAPES else written
        theirs = {item.id: item for item in objects_of(written if read is None else read)[0]}
        ours = {item.id: item for item in document.objects()}
        if len(written) < len(ours):  # a part of them: what was not written is not missing from the file
            ours = {identity: item for identity, item in ours.items() if identity in theirs}
        self._note(document, path, theirs, ours)

    def shifted(self, document: Document, path: Path, dx_px: float, dy_px: float) -> None:
        """Note that the shapes of a file were moved to lie on the slide."""
        base = self._of(document).get(_key(path))
        if base is not None:
            base.known = replace(base.known, dx_px=dx_px, dy_px=dy_px)
            self._tell(document)

    def _note(
        self,
        document: Document,
        path: Path,
        theirs: Objects,
        ours: Objects,
        *,
        content: Content | None = None,
    ) -> None:
        try:
            sha256 = digest_of(path) if content is None else content.sha256
        except AnnotationError:
            return  # it went away meanwhile
        stamp = _stamp(path) if content is None else content[1:]
        self._of(document)[_key(path)] = _Base(KnownFile(_key(path), sha256), stamp, theirs, ours)
        self._tell(document)

    def _tell(self, document: Document) -> None:
        bases = self._of(document)
        self._documents.keeping.set_files(document, [base.known for base in bases.values()])

    def _of(self, document: Document) -> dict[str, _Base]:
        """Return what is known of the files of a document; those it was kept with at first."""
        if document not in self._bases:
            kept = self._documents.keeping.files(document)
            self._bases[document] = {_key(Path(known.path)): _Base(known, (-1, -1)) for known in kept}
        return self._bases[document]

    # -- what others did ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Look whether files of the session's document were changed by another program, and ask."""
        document, slide = self._documents.document, self._documents.session.slide
        if document is None or slide is None:
            return
        for base in list(self._of(document).values()):
            if _stamp(Path(base.known.path)) not in (base.stamp, _GONE):
                self._look(document, base, slide)

    def may_save(self, document: Document, path: Path, slide: Slide) -> bool:
        """Look so before a file is written, and keep what is overwritten; False if it shall not be."""
        base = self._of(document).get(_key(path))
        is_new = base is None or not path.is_file() or digest_of(path) == base.known.sha256
        if base is not None and not is_new and not self._look(document, base, slide):
            return False
        self._documents.keeping.back_up(document, path)
        return True

    def is_part(self, document: Document, path: Path) -> bool:
        """Whether a file is part of a document already: its objects came from it, and some are there."""
        base = self._of(document).get(_key(path))
        if base is None:
            return False
        theirs = self._base_objects(document, base, None)
        return not document.has_none(theirs)

    def holds(self, document: Document, path: Path) -> bool:
        """Whether all objects that came from a file are as it held them when it was read or written last."""
        base = self._of(document).get(_key(path))
        theirs = {} if base is None else self._base_objects(document, base, None)
        return bool(theirs) and all(document.get(identity) == item for identity, item in theirs.items())

    def count(self, document: Document, path: Path) -> int:
        """Return how many objects a file held when it was read or written last."""
        base = self._of(document).get(_key(path))
        return 0 if base is None else len(self._base_objects(document, base, None))

    def bring_back(self, document: Document, path: Path) -> int:
        """Put objects of a file back that were taken from its document; return how many."""
        base = self._of(document).get(_key(path))
        theirs = {} if base is None else self._base_objects(document, base, None)
        missing = [item for identity, item in theirs.items() if identity not in document]
        if missing:
            document.put(f"open {path.name}", *missing, over_locks=True)
        return len(missing)

    def _look(self, document: Document, base: _Base, slide: Slide) -> bool:
        """Merge a file that was changed, as the user says; False if the user wants to think about it."""
        path = Path(base.known.path)
        try:
            base.stamp, digest = _stamp(path), digest_of(path)
            if digest == base.known.sha256:
                return True
            read = self._read(path, len(base.theirs or ()), slide)
        except NicError as error:
            self._asking.tell_error(error)
            return False
        if read is None:
            return False
        moved = read.shifted(base.known.dx_px, base.known.dy_px)
        theirs = {item.id: item for item in objects_of(moved)[0]}
        before = self._base_objects(document, base, slide)
        ours = {item.id: item for item in document.objects()}
        done = merge(before, ours, theirs, ours_before=base.ours)
        choice: Choice | Literal["leave"] | None = "leave" if done.is_nothing else self._ask(path, done)
        if choice is None:
            return False
        base.known = replace(base.known, sha256=digest, copy="")
        base.theirs = theirs
        if choice != "leave":
            put, removed = done.resolved(choice)
            document.put(f"merge {path.name}", *put, remove=removed, over_locks=True)
        base.ours = {**(base.ours or before), **{i: document[i] for i in theirs if i in document}}
        self._tell(document)
        return True

    def _ask(self, path: Path, done: Merge) -> Choice | Literal["leave"] | None:
        title = f"{path.name} was changed by another program"
        if done.conflicts:
            return self._asking.which_side(title, f"In the file: {done.describe()}.")
        agrees = self._asking.confirm(
            title, f"In the file: {done.describe()}.", yes="Take that in", no="Keep what is here"
        )
        return "theirs" if agrees else "leave"

    def _base_objects(self, document: Document, base: _Base, slide: Slide | None) -> Objects:
        """Return what a file held when it was read or written last: from the copy, after a new start."""
        place = self._documents.keeping.place(document)
        if base.theirs is None and base.known.copy and place is not None:
            try:
                read = self._read(place / base.known.copy, 0, slide or self._documents.session.slide)
            except NicError as error:
                self._asking.tell_error(error)
                read = None
            moved = read.shifted(base.known.dx_px, base.known.dy_px) if read is not None else None
            base.theirs = {} if moved is None else {item.id: item for item in objects_of(moved)[0]}
        return base.theirs or {}

    def _read(self, path: Path, known: int, slide: Slide | None) -> AnnotationSet | None:
        return read_again(path, known, self._wait, slide)


_GONE = (-1, -2)


def _stamp(path: Path) -> tuple[int, int]:
    """Return size and time of a file; a mark if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return _GONE
    return status.st_size, status.st_mtime_ns


def _key(path: Path) -> str:
    return str(path.absolute())
