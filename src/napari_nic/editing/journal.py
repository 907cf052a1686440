"""A document on the disk: a journal of edits, with everything before them at its head.

A folder of its own lies beside the slide, see :mod:`~napari_nic.editing.places`. In it `document.jsonl`
begins with a header, all objects and classes, and goes on with a line for each edit. Each line has a checksum
and tells what objects are after the edit, so that none needs the one before. A line that a kill or a full
disk tore off costs that edit alone. From time to time all is written anew, whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from napari_nic.descriptions import is_finite, is_plain_file_name, is_sha256
from napari_nic.disk import check_regular, explain, replacing
from napari_nic.editing.edits import Classes, Edit
from napari_nic.editing.journal_lines import (
    BadLineError,
    Ranked,
    classes_from,
    classes_value,
    line_of,
    object_from,
    object_value,
    value_of,
)
from napari_nic.editing.objects import AnnotationObject, Edited
from napari_nic.embeddings import Lease
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted, was_were

JOURNAL_FILE = "document.jsonl"
FORMAT, VERSION = "napari-nic annotations", 1

MOST_LINE = 1 << 30
"""A longer line is none of ours: an edit of all of a million objects is shorter."""

LEAST_ANEW = 4 << 20
"""Edits of fewer bytes are not worth to write everything anew."""

_NAMED = 5


@dataclass(frozen=True)
class KnownFile:
    """An annotation file that a document was opened from or saved to.

    Attributes
    ----------
    path : str
        Where it lies.
    sha256 : str
        Of its content as it was read or written last.
    copy : str
        Name of the copy of that content in the document's folder; empty if there is none.
    dx_px, dy_px : float
        By how much its shapes were moved to lie on the slide, see :meth:`AnnotationSet.shifted`.
    """

    path: str
    sha256: str
    copy: str = ""
    dx_px: float = 0.0
    dy_px: float = 0.0


@dataclass(frozen=True)
class State:
    """All of a document.

    Attributes
    ----------
    objects : tuple of AnnotationObject
        In their order.
    classes : tuple of DrawingClass
    files : tuple of KnownFile
    ranks : mapping of str to int
        Places of the objects among all that ever were, see :meth:`Document.rank`; by default their order.
    """

    objects: tuple[AnnotationObject, ...] = ()
    classes: Classes = ()
    files: tuple[KnownFile, ...] = ()
    ranks: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class Kept:
    """What a journal says.

    Attributes
    ----------
    state : State
    edited : Edited
        Who edited last, and when.
    notes : tuple of str
        What was damaged and is left out, for the user to see.
    """

    state: State
    edited: Edited = field(default=Edited())
    notes: tuple[str, ...] = ()


def stamp_of(folder: Path) -> tuple[int, int]:
    """Return size and time of a journal, which tell that somebody wrote to it; zeros if there is none."""
    try:
        status = (folder / JOURNAL_FILE).stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def read_journal(folder: Path, fingerprint: str, *, token: CancellationToken | None = None) -> Kept | None:
    """Read the document of a slide.

    Parameters
    ----------
    folder : Path
    fingerprint : str
        Of the slide.
    token : CancellationToken, optional
        Asked at each line.

    Returns
    -------
    Kept or None
        None if there is no journal.

    Raises
    ------
    AnnotationError
        If it is none, belongs to another slide or was written by a newer version. Damaged lines are left out
        and told.
    """
    path = folder / JOURNAL_FILE
    check_regular(path, AnnotationError)
    try:
        with path.open("rb") as file:
            return _Reading(path, fingerprint).read(file, token)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AnnotationError("the document cannot be read", path=path, found=f"{error}") from error


class _Reading:
    """Collects what the lines say."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint
        self._objects: dict[str, Ranked] = {}
        self._classes: Classes = ()
        self._files: tuple[KnownFile, ...] = ()
        self._edited = Edited()
        self._bad: list[str] = []
        self._expected: int | None = None
        self._n_snapshot = 0
        self._next = 1
        self._is_in_order = True

    def read(self, file: IO[bytes], token: CancellationToken | None) -> Kept:
        self._check_header(file.readline(MOST_LINE))
        is_torn = False
        for number, line in enumerate(checked(_lines(file), token), 2):
            try:
                self._take(value_of(line))
            except BadLineError as error:
                is_torn = not line.endswith(b"\n")
                if not is_torn:
                    self._bad.append(f"line {number} ({error})")
        ranked = sorted(self._objects.values(), key=lambda one: one.rank)
        state = State(tuple(one.item for one in ranked), self._classes, self._files)
        return Kept(state, self._edited, self._notes(is_torn))

    def _check_header(self, line: bytes) -> None:
        try:
            header = value_of(line)
        except BadLineError as error:
            raise AnnotationError(
                "this is no document of annotations, or its beginning is damaged",
                path=self._path,
                found=f"a first line that cannot be read: {error}",
                hint="what lies beside it in files/ are copies of the files that it was opened from",
            ) from error
        if header.get("journal") != FORMAT:
            raise AnnotationError(
                "this is no document of annotations, or its beginning is damaged", path=self._path
            )
        version = header.get("version")
        if version != VERSION:
            raise AnnotationError(
                "the document was written by another version of napari-nic",
                path=self._path,
                expected=f"version {VERSION}",
                found=f"version {str(version)[:20]}",
                hint="open it with that version, or a newer one; it is not changed here",
            )
        slide = header.get("slide")
        found = slide if isinstance(slide, dict) else {}
        if found.get("fingerprint") != self._fingerprint:
            raise AnnotationError(
                "the document belongs to another slide, or to another choice of its channels",
                path=self._path,
                found=f"annotations of {str(found.get('name', 'an unknown slide'))[:100]}",
                hint="it is not changed here",
            )

    def _take(self, value: Mapping[str, Any]) -> None:
        """Take what one line says; all of it or nothing."""
        number = value.get("n")
        if not isinstance(number, int) or number < self._next:
            raise BadLineError("it is not in its place")
        self._is_in_order &= number == self._next
        self._next = number + 1
        if "object" in value:
            ranked = object_from(value["object"])
            self._objects[ranked.item.id] = ranked
            self._n_snapshot += 1
        elif "edit" in value:
            self._take_edit(value["edit"])
        elif "classes" in value:
            self._classes = classes_from(value["classes"])
        elif "files" in value:
            self._files = _files_from(value["files"])
        elif "all" in value:
            self._take_end(value)
        else:
            raise BadLineError("it says nothing that is known")

    def _take_end(self, value: Mapping[str, Any]) -> None:
        expected = value["all"]
        if not isinstance(expected, int):
            raise BadLineError("a number that is none")
        self._expected = expected
        self._edited = _edited_from(value)

    def _take_edit(self, edit: Any) -> None:
        if not isinstance(edit, dict):
            raise BadLineError("an edit that is none")
        put, removed = edit.get("put", []), edit.get("removed", [])
        if not isinstance(put, list) or not isinstance(removed, list):
            raise BadLineError("an edit that is none")
        ranked = [object_from(one) for one in put]
        classes = classes_from(edit["classes"]) if "classes" in edit else self._classes
        for identity in removed:
            self._objects.pop(str(identity), None)
        self._objects |= {one.item.id: one for one in ranked}
        self._classes, self._edited = classes, _edited_from(edit)

    def _notes(self, is_torn: bool) -> tuple[str, ...]:
        notes = []
        if is_torn:
            notes.append("the last edit was not written to its end, and is left out")
        if self._bad:
            more = len(self._bad) - _NAMED
            names = "; ".join(self._bad[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
            notes.append(
                f"{counted(len(self._bad), 'damaged line')} {was_were(len(self._bad))} left out: {names}"
            )
        if not self._is_in_order and not self._bad:
            notes.append("lines are missing between others, and what was changed there is not known")
        if self._expected is None or self._n_snapshot < self._expected:
            expected = "unknown" if self._expected is None else f"{self._expected:,}"
            notes.append(f"objects are missing: {self._n_snapshot:,} of {expected} were found")
        return tuple(notes)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MOST_LINE):
        yield line


def _edited_from(value: Mapping[str, Any]) -> Edited:
    by, at = value.get("by", ""), value.get("at", "")
    return Edited(by if isinstance(by, str) else "", at if isinstance(at, str) else "")


def _files_from(value: Any) -> tuple[KnownFile, ...]:
    if not isinstance(value, list):
        raise BadLineError("files that are no list")
    files = []
    for entry in value:
        texts = entry if isinstance(entry, dict) else {}
        path, digest, copy = (texts.get(key, "") for key in ("path", "sha256", "copy"))
        shift = [texts.get(key, 0.0) for key in ("dx_px", "dy_px")]
        if not isinstance(path, str) or not is_sha256(digest) or not all(map(is_finite, shift)):
            raise BadLineError("a file that is none")
        if copy != "" and not is_plain_file_name(copy):
            raise BadLineError("a copy that lies elsewhere")
        files.append(KnownFile(path, digest, copy, *map(float, shift)))
    return tuple(files)


class Journal:
    """Writes the document of a slide; one program at a time does.

    Parameters
    ----------
    folder : Path
    fingerprint, slide_name : str
        Of the slide.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, folder: Path, fingerprint: str, slide_name: str) -> None:
        self.folder = folder
        self._slide = {"fingerprint": fingerprint, "name": slide_name}
        self._lease = Lease(
            folder,
            problem="these annotations are being edited by another window or program",
            hint="edit them there, or close it; what is edited here can be saved to a file of another name",
        )
        self._held = ExitStack()
        self._whole = 0
        self._appended = 0
        self._is_whole = False
        self._number = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / JOURNAL_FILE

    @property
    def is_open(self) -> bool:
        """Whether this is the one that writes."""
        return self._lease.is_held

    def open(self) -> None:
        """Be the one that writes until :meth:`close`.

        Raises
        ------
        StoreBusyError
            If another one is; it says which.
        StoreError
            If nothing can be written there.
        """
        if self.is_open:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(self.folder, error) from error
        self._held.enter_context(self._lease.writing())

    def close(self) -> None:
        """Let others write."""
        self._held.close()
        self._is_whole = False

    def write(
        self, edits: Sequence[Edit], state: State, edited: Edited, *, token: CancellationToken | None = None
    ) -> None:
        """Bring edits to the disk: when this returns they are there.

        Parameters
        ----------
        edits : sequence of Edit
            Those since the last call.
        state : State
            All that there is after them.
        edited : Edited
            Who made the last of them, and when.
        token : CancellationToken, optional
            Asked at each object where all is written anew.

        Raises
        ------
        StoreError
            If they cannot be written; what was there before is kept.
        """
        self.open()
        if self._is_whole and self._appended <= max(LEAST_ANEW, 2 * self._whole):
            self._append([_edit_value(edit, state.ranks, edited) for edit in edits])
        else:
            self.write_all(state, edited, token=token)

    def write_all(self, state: State, edited: Edited, *, token: CancellationToken | None = None) -> None:
        """Write everything anew, whole or not at all.

        Raises
        ------
        StoreError
            If it cannot be written; what was there before is kept.
        """
        self.open()
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            self._number = 0
            for value in self._all_values(state, edited, token):
                file.write(self._numbered(value))
            self._whole = file.tell()
        self._appended, self._is_whole = 0, True

    def note_files(self, files: Sequence[KnownFile]) -> None:
        """Note which files the document was opened from and saved to; else the next write of all does.

        Raises
        ------
        StoreError
            If that cannot be done.
        """
        if self._is_whole:
            self._append([{"files": [vars(file) for file in files]}])

    def _all_values(
        self, state: State, edited: Edited, token: CancellationToken | None
    ) -> Iterator[dict[str, Any]]:
        yield {"journal": FORMAT, "version": VERSION, "slide": self._slide, "at": _now()}
        yield {"classes": classes_value(state.classes)}
        if state.files:
            yield {"files": [vars(file) for file in state.files]}
        for number, item in enumerate(checked(state.objects, token)):
            yield {"object": object_value(state.ranks.get(item.id, number), item)}
        yield {"all": len(state.objects), "by": edited.by, "at": edited.at}

    def _numbered(self, value: dict[str, Any]) -> bytes:
        """Return a line that knows its place, so that one that is missing or comes twice is noticed."""
        line = line_of(value | {"n": self._number})
        self._number += 1
        return line

    def _append(self, values: Sequence[dict[str, Any]]) -> None:
        content = b"".join(map(self._numbered, values))
        try:
            with self.path.open("ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._is_whole = False  # a part of it may be there: all is written anew next time
            raise explain(self.path, error) from error
        self._appended += len(content)
        self._lease.sign_of_life()

    def keep_copy(self, name: str) -> None:
        """Keep what the journal holds now under another name in its folder; an older copy is replaced.

        Raises
        ------
        StoreError
            If that cannot be done.
        """
        self.open()
        if self.path.exists():
            copy_file(self.path, self.folder / name)

    def remove(self) -> None:
        """Remove the journal: there is nothing to go on with any more; copies of files stay.

        Raises
        ------
        StoreError
            If that cannot be done.
        """
        self.open()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise explain(self.path, error) from error
        self._is_whole = False


def copy_file(path: Path, copy: Path) -> None:
    """Copy a file, whole or not at all.

    Raises
    ------
    StoreError
        If it cannot be copied.
    """
    with replacing(copy) as temporary:
        shutil.copyfile(path, temporary)


def _edit_value(edit: Edit, ranks: Mapping[str, int], edited: Edited) -> dict[str, Any]:
    put = [
        object_value(ranks.get(identity, len(ranks)), item)
        for identity, item in edit.after.items()
        if item is not None
    ]
    value: dict[str, Any] = {"title": edit.title, "by": edited.by, "at": edited.at, "put": put}
    removed = [identity for identity, item in edit.after.items() if item is None]
    value |= {"removed": removed} if removed else {}
    value |= {} if edit.classes_after is None else {"classes": classes_value(edit.classes_after)}
    return {"edit": value}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
