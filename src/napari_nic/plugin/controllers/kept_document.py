"""The disk's side of one document: its journal, opened once, and copies of the files that it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_nic.disk import explain
from napari_nic.editing import (
    Document,
    Edit,
    Edited,
    Found,
    Journal,
    Kept,
    KnownFile,
    State,
    copy_file,
    find_document,
    read_journal,
    stamp_of,
)
from napari_nic.errors import AnnotationError, StoreBusyError, StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import is_folder, safe_name
from napari_nic.plugin.controllers.homes import Homes

_DIGITS = 12
"""Of a checksum, in the name of a copy."""

DAMAGED_COPY, DISCARDED_COPY = "damaged.jsonl", "discarded.jsonl"
"""In a document's folder: what was damaged when it was read, and what the user wanted to lose last."""


@dataclass(eq=False)
class KeptDocument:
    """What is known of the disk's side of one document.

    Attributes
    ----------
    document : Document
    homes : Homes
        Which layer shows which of its objects.
    slide_path : Path
    fingerprint, slide_name : str
        Of the slide.
    journal : Journal, optional
        None until the first edit, or when nothing can be kept.
    waiting, in_hand : list of Edit
        That are not on the disk yet, and those that are being written.
    files : tuple of KnownFile
    opened : State
        As it was opened or saved last: what discarding leads back to.
    """

    document: Document
    homes: Homes
    slide_path: Path
    fingerprint: str
    slide_name: str
    place: Path
    parents: list[Path]
    stamp: tuple[int, int] = (0, 0)
    was_there: bool = False
    is_damaged: bool = False
    journal: Journal | None = None
    waiting: list[Edit] = field(default_factory=list)
    in_hand: list[Edit] = field(default_factory=list)
    files: tuple[KnownFile, ...] = ()
    opened: State = field(default=State())
    last: Edited = field(default=Edited())
    saved_at: float | None = None
    problem: str = ""
    is_writing: bool = False
    is_over: bool = False

    def state(self) -> State:
        """Return all of the document as it is now."""
        document = self.document
        return State(
            document.objects(),
            document.classes,
            self.files,
            document.ranks,
            self.homes.homes(document),
            self.homes.layers(document),
        )

    def back_up(self, path: Path) -> Path:
        """Keep a copy of a file that is about to be overwritten, see :func:`back_up`."""
        return back_up(path, [self.place, self.parents[-1] / self.place.name])


class WrittenMeanwhileError(StoreError):
    """Somebody wrote to the journal since it was read.

    Attributes
    ----------
    theirs : Kept
        What it says now.
    """

    def __init__(self, theirs: Kept) -> None:
        self.theirs = theirs
        super().__init__("the annotations were edited meanwhile in another window or program")


def find_job(
    path: Path, fingerprint: str, parents: list[Path], token: CancellationToken
) -> Generator[None, None, Found]:
    """Look for what was kept of a slide's document."""
    yield
    return find_document(path, fingerprint, parents, token=token)


def write_job(
    kept: KeptDocument, edits: list[Edit], state: State, last: Edited, _token: CancellationToken
) -> Generator[None, None, str]:
    """Not cancelled: a window that closes waits until everything is stored."""
    yield
    return write_now(kept, edits, state, last)


def write_now(kept: KeptDocument, edits: list[Edit], state: State, last: Edited) -> str:
    """Bring edits to the disk, which makes this window the one that edits; return a note for the user."""
    note = "" if kept.journal is not None else _open_journal(kept)
    if kept.journal is not None:
        kept.journal.write(edits, replace(state, files=kept.files), last)
    return note


def _open_journal(kept: KeptDocument) -> str:
    """Open the journal beside the slide, or where something can be written; say where if it is elsewhere."""
    journal = Journal(kept.place, kept.fingerprint, kept.slide_name)
    note = ""
    try:
        journal.open()
    except StoreBusyError:
        raise
    except StoreError:
        home = kept.parents[-1]
        if kept.place.parent == home:
            raise
        kept.place = home / f"{kept.place.name}"
        kept.stamp = stamp_of(kept.place)
        journal = Journal(kept.place, kept.fingerprint, kept.slide_name)
        journal.open()
        note = f"nothing can be written beside {kept.slide_name}: its annotations are kept in {kept.place}"
    if journal.folder == kept.place and stamp_of(kept.place) != kept.stamp:
        kept.stamp = stamp_of(kept.place)
        theirs = read_journal(kept.place, kept.fingerprint)
        if theirs is not None:
            journal.close()
            raise WrittenMeanwhileError(theirs)
    if kept.is_damaged and is_folder(journal.folder):
        journal.keep_copy(DAMAGED_COPY)
    copy_known(journal.folder, kept)
    kept.journal = journal
    return note


def copy_known(folder: Path, kept: KeptDocument) -> None:
    """Keep a copy of the files of a document as they were read or written last: what merging begins with."""
    files = []
    for known in kept.files:
        name = f"base-{known.sha256[:_DIGITS]}-{safe_name(Path(known.path).name)}"
        if not known.copy and Path(known.path).is_file() and digest_of(Path(known.path)) == known.sha256:
            copy_file(Path(known.path), folder / name)
            files.append(replace(known, copy=name))
        else:
            files.append(known)
    kept.files = tuple(files)
    used = {known.copy for known in files}
    for old in folder.glob("base-*"):
        if old.name not in used:
            old.unlink(missing_ok=True)


def back_up(path: Path, folders: Sequence[Path]) -> Path:
    """Keep a copy of a file that is about to be overwritten, once for each content; return where it is.

    Parameters
    ----------
    path : Path
    folders : sequence of Path
        Of documents; the first one in which something can be written is taken.

    Raises
    ------
    StoreError
        If it cannot be kept.
    """
    name = f"before-{digest_of(path)[:_DIGITS]}-{safe_name(path.name)}"
    for folder in folders[:-1]:
        try:
            return _backed_up(path, folder / name)
        except StoreError:
            continue
    return _backed_up(path, folders[-1] / name)


def _backed_up(path: Path, copy: Path) -> Path:
    if not copy.exists():
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(copy.parent, error) from error
        copy_file(path, copy)
    return copy


def digest_of(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises
    ------
    AnnotationError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AnnotationError("the file cannot be read", path=path, found=f"{error}") from error
