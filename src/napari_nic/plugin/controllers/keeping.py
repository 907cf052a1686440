"""Keeps the documents of a window on the disk while they are edited, and brings them back later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.editing import Document, Edit, Edited, Found, Kept, KnownFile, State, merge
from napari_nic.errors import NicError, StoreBusyError, StoreError
from napari_nic.plugin.controllers.homes import Homes
from napari_nic.plugin.controllers.kept_document import (
    DISCARDED_COPY,
    KeptDocument,
    WrittenMeanwhileError,
    copy_known,
    find_job,
    write_job,
    write_now,
)
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.settings import settings_file
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.slides import Slide

HOME_FOLDER = "annotations"
"""In the folder of the settings: documents of slides beside which nothing can be written."""


class Keeping:
    """Writes every edit of a document within a moment, in the background.

    Parameters
    ----------
    session : Session
    runner : Runner
    homes : Homes, optional
        Which layer shows which object.
    clock : callable, optional
        Seconds, for "saved 3 s ago".
    """

    changed = Signal()

    def __init__(
        self,
        session: Session,
        runner: Runner,
        homes: Homes | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._runner, self._clock = session, runner, clock
        self._homes = homes or Homes()
        self._homes.changed.connect(self.note_layers)
        self._kept: dict[Document, KeptDocument] = {}
        self._opening: dict[Document, list[Edit]] = {}

    # -- opening -----------------------------------------------------------------------------------------

    def open(self, slide: Slide, document: Document) -> None:
        """Bring back what was kept of a slide's document, if anything was."""
        parents = self._parents(slide.path)
        self._opening[document] = []
        self._runner.start(
            f"Looking for annotations of {slide.name}",
            partial(find_job, slide.path, slide.fingerprint, parents),
            Callbacks(
                returned=partial(self._on_found, slide, document, parents),
                failed=self._session.asking.tell_error,
            ),
        )

    def _parents(self, path: Path) -> list[Path]:
        home = settings_file().parent / HOME_FOLDER
        chosen = self._session.store_folder
        return [*([chosen] if chosen is not None else []), path.parent, home]

    def _on_found(self, slide: Slide, document: Document, parents: list[Path], found: Found) -> None:
        waiting = self._opening.pop(document, None)
        if waiting is None:
            return  # it was closed meanwhile
        kept = self._kept[document] = KeptDocument(
            document,
            self._homes,
            slide.path,
            slide.fingerprint,
            slide.name,
            found.folder,
            parents,
            found.stamp,
        )
        kept.waiting = waiting
        notes = list(found.notes)
        if found.kept is not None:
            state, kept.last = found.kept.state, found.kept.edited
            kept.was_there, kept.is_damaged = True, bool(found.kept.notes)
            kept.files = state.files
            self._homes.restore(document, state.homes, state.layers)
            document.admit(f"open {found.folder.name}", state.objects, state.classes)
            notes = [_told(slide, state, kept.last), *found.kept.notes, *notes]
        kept.opened = kept.state()
        if notes:
            self._session.asking.tell("; ".join(notes))
        if kept.waiting:
            self._write(kept)
        self.changed.emit()

    # -- edits -------------------------------------------------------------------------------------------

    def note(self, document: Document, edit: Edit) -> None:
        """Let an edit be brought to the disk."""
        if document in self._opening:
            self._opening[document] += [] if edit.is_read else [edit]
            return
        kept = self._kept.get(document)
        if kept is None:
            return
        if edit.is_read and kept.journal is None:
            kept.opened = kept.state()  # what a file brought is in the file
            return
        kept.waiting.append(edit)
        if not edit.is_read:
            kept.last = Edited.now(document.author)
        if not kept.is_writing:
            self._write(kept)

    def _write(self, kept: KeptDocument) -> None:
        kept.in_hand, kept.waiting = kept.waiting, []
        kept.is_writing = True
        self._runner.start(
            f"Keeping annotations of {kept.slide_name}",
            partial(write_job, kept, kept.in_hand, kept.state(), kept.last),
            Callbacks(
                returned=partial(self._on_written, kept),
                failed=partial(self._on_failed, kept),
                finished=partial(self._on_finished, kept),
            ),
        )

    def _on_written(self, kept: KeptDocument, note: str) -> None:
        kept.saved_at, kept.problem, kept.in_hand = self._clock(), "", []
        if note:
            self._session.asking.tell(note)

    def _on_failed(self, kept: KeptDocument, error: Exception) -> None:
        kept.waiting, kept.in_hand = kept.in_hand + kept.waiting, []
        if isinstance(error, WrittenMeanwhileError):
            self._take_theirs(kept, error.theirs)
            return
        is_new = kept.problem == ""
        kept.problem = error.found or error.problem if isinstance(error, NicError) else str(error)
        if isinstance(error, StoreBusyError):
            kept.problem = f"{error.found} is editing them"
        if is_new:
            self._session.asking.tell_error(error)

    def _take_theirs(self, kept: KeptDocument, theirs: Kept) -> None:
        """Take in what another window or program wrote while this one only looked on."""
        base, ours, new = (
            {item.id: item for item in objects}
            for objects in (kept.opened.objects, kept.document.objects(), theirs.state.objects)
        )
        put, removed = merge(base, ours, new).resolved("both")
        kept.opened = theirs.state
        self._session.asking.tell(
            f"annotations of {kept.slide_name} were edited meanwhile in another window or program"
            f"{f' by {theirs.edited.by}' if theirs.edited.by else ''}: both are kept"
        )
        kept.document.put("merge", *put, remove=removed, over_locks=True)

    def _on_finished(self, kept: KeptDocument) -> None:
        kept.is_writing = False
        if kept.is_over:
            self._end(kept)
        elif kept.waiting and not kept.problem:
            self._write(kept)
        self.changed.emit()

    def try_again(self) -> None:
        """Bring what could not be written to the disk, now that it may be possible."""
        for kept in list(self._kept.values()):
            if kept.waiting and not kept.is_writing:
                self._write(kept)

    def text(self, document: Document | None) -> str:
        """Say how it stands, in a line: "saved 3 s ago"; empty if nothing was edited."""
        kept = None if document is None else self._kept.get(document)
        if kept is None:
            return ""
        if kept.problem:
            return f"not kept: {kept.problem}"
        if kept.is_writing or kept.waiting:
            return "saving..."
        return "" if kept.saved_at is None else f"saved {_ago(self._clock() - kept.saved_at)}"

    def place(self, document: Document) -> Path | None:
        """Return the folder in which a document is kept, or will be; None while nobody knows."""
        kept = self._kept.get(document)
        return None if kept is None else kept.place

    # -- files and ends ----------------------------------------------------------------------------------

    def files(self, document: Document) -> tuple[KnownFile, ...]:
        """Return the files that a document was opened from or saved to."""
        kept = self._kept.get(document)
        return () if kept is None else kept.files

    def set_files(self, document: Document, files: Sequence[KnownFile]) -> None:
        """Remember the files of a document, as soon as anything of it is kept."""
        kept = self._kept.get(document)
        if kept is None or kept.files == tuple(files):
            return
        kept.files = tuple(files)
        if kept.journal is None or kept.is_writing:
            return
        try:
            copy_known(kept.journal.folder, kept)
            kept.journal.note_files(kept.files, self._homes.layers(document))
        except StoreError as error:
            self._session.asking.tell_error(error)

    def note_layers(self, document: Document) -> None:
        """Keep the names of the layers that show a document, if anything of it is kept."""
        kept = self._kept.get(document)
        if kept is not None and (kept.was_there or kept.journal is not None) and not kept.is_writing:
            self._write(kept)

    def back_up(self, document: Document, path: Path) -> Path | None:
        """Keep a copy of a file that is about to be overwritten, once for each content; return where it is.

        Raises
        ------
        StoreError
            If it cannot be kept.
        """
        kept = self._kept.get(document)
        if kept is None or not path.is_file():
            return None
        return kept.back_up(path)

    def is_saved(self, document: Document) -> None:
        """Take what a document holds now as what discarding leads back to."""
        kept = self._kept.get(document)
        if kept is not None:
            kept.opened = kept.state()

    def discard(self, document: Document) -> None:
        """Lose what was edited since a document was opened or saved; a copy is kept beside it, in case."""
        kept = self._kept.get(document)
        if kept is None or kept.journal is None:
            return
        kept.waiting.clear()
        kept.in_hand.clear()
        try:
            kept.journal.keep_copy(DISCARDED_COPY)
            if kept.was_there:
                kept.journal.write_all(kept.opened, kept.last)
            else:
                kept.journal.remove()
        except StoreError as error:
            self._session.asking.tell_error(error)

    def forget(self, document: Document) -> None:
        """Bring what waits to the disk, and let another program edit the document."""
        self._opening.pop(document, None)
        kept = self._kept.pop(document, None)
        if kept is not None and kept.is_writing:
            kept.is_over = True  # ends when that has ended
        elif kept is not None:
            self._end(kept)

    def close(self) -> None:
        """Do so for all; nothing is being written any more."""
        for kept in self._kept.values():
            self._end(kept)
        self._kept.clear()

    def _end(self, kept: KeptDocument) -> None:
        left = kept.in_hand + kept.waiting  # to write an edit twice does no harm
        if left:
            try:
                write_now(kept, left, kept.state(), kept.last)
            except StoreError as error:
                if not kept.problem:
                    self._session.asking.tell_error(error)
        if kept.journal is not None:
            kept.journal.close()


def _told(slide: Slide, state: State, last: Edited) -> str:
    by = f" by {last.by}" if last.by else ""
    at = f", last edited {_local(last.at)}{by}" if last.at else ""
    return f"{slide.name}: {counted(len(state.objects), 'annotation')} as they were left{at}"


def _local(at: str) -> str:
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return "at an unknown time"


_MINUTE, _HOUR = 60, 3600


def _ago(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{int(seconds)} s ago"
    return f"{int(seconds / _MINUTE)} min ago" if seconds < _HOUR else f"{int(seconds / _HOUR)} h ago"
