"""The journal of a document, read line by line; what is damaged costs what that line says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from napari_nic.annotations.garbage import without_garbage_collection
from napari_nic.descriptions import is_finite, is_plain_file_name, is_sha256
from napari_nic.disk import check_regular
from napari_nic.editing.edits import Classes
from napari_nic.editing.journal_lines import (
    BadLineError,
    Places,
    Ranked,
    classes_from,
    layers_from,
    object_from,
    places_of,
    value_of,
)
from napari_nic.editing.kept import Kept, KeptLayer, KnownFile, State
from napari_nic.editing.objects import Edited
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted, was_were

JOURNAL_FILE = "document.jsonl"
FORMAT, VERSION = "napari-nic annotations", 1

MOST_LINE = 1 << 30
"""A longer line is none of ours: an edit of all of a million objects is shorter."""

READ_AT_ONCE = 1 << 20
"""So many bytes are understood together: a thousand objects."""

_NAMED = 5


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
        with path.open("rb") as file, without_garbage_collection():
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
        self._layers: tuple[KeptLayer, ...] = ()
        self._edited = Edited()
        self._bad: list[str] = []
        self._expected: int | None = None
        self._n_snapshot = 0
        self._next = 1
        self._is_in_order = True
        self._places: Places = {}

    def read(self, file: IO[bytes], token: CancellationToken | None) -> Kept:
        self._check_header(file.readline(MOST_LINE))
        is_torn = False
        number = 1
        for lines in _in_pieces(checked(_lines(file), token)):
            values = [_value_or_error(line) for line in lines]
            self._places = places_of(value.get("object") for value in values if isinstance(value, dict))
            for line, value in zip(lines, values, strict=True):
                number += 1
                try:
                    self._take(value)
                except BadLineError as error:
                    is_torn = not line.endswith(b"\n")
                    if not is_torn:
                        self._bad.append(f"line {number} ({error})")
        ranked = sorted(self._objects.values(), key=lambda one: one.rank)
        state = State(
            tuple(one.item for one in ranked),
            self._classes,
            self._files,
            homes={one.item.id: one.home for one in ranked if one.home},
            layers=self._layers,
        )
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

    def _take(self, value: Mapping[str, Any] | BadLineError) -> None:
        """Take what one line says; all of it or nothing."""
        if isinstance(value, BadLineError):
            raise value
        number = value.get("n")
        if not isinstance(number, int) or number < self._next:
            raise BadLineError("it is not in its place")
        self._is_in_order &= number == self._next
        self._next = number + 1
        if "object" in value:
            ranked = object_from(value["object"], self._places)
            self._objects[ranked.item.id] = ranked
            self._n_snapshot += 1
        elif "edit" in value:
            self._take_edit(value["edit"])
        elif "classes" in value:
            layers, self._classes = self._layers_from(value), classes_from(value["classes"])
            self._layers = layers
        elif "files" in value:
            layers, self._files = self._layers_from(value), _files_from(value["files"])
            self._layers = layers
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
        layers = self._layers_from(edit)
        for identity in removed:
            self._objects.pop(str(identity), None)
        self._objects |= {one.item.id: one for one in ranked}
        self._classes, self._edited, self._layers = classes, _edited_from(edit), layers

    def _layers_from(self, value: Mapping[str, Any]) -> tuple[KeptLayer, ...]:
        """Return the layers as a line says them; those that are known where it says nothing of them."""
        return layers_from(value["layers"]) if "layers" in value else self._layers

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


def _value_or_error(line: bytes) -> dict[str, Any] | BadLineError:
    try:
        return value_of(line)
    except BadLineError as error:
        return error


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MOST_LINE):
        yield line


def _in_pieces(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Deal lines out into lists of :data:`READ_AT_ONCE` bytes or one line."""
    piece: list[bytes] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size > READ_AT_ONCE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


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
