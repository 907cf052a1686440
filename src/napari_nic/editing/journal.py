"""A document on the disk: a journal of edits, with everything before them at its head.

A folder of its own lies beside the slide, see :mod:`~napari_nic.editing.places`. In it `document.jsonl`
begins with a header, all objects and classes, and goes on with a line for each edit. Each line has a checksum
and tells what objects are after the edit, so that none needs the one before. A line that a kill or a full
disk tore off costs that edit alone. From time to time all is written anew, whole or not at all.
:mod:`~napari_nic.editing.journal_reading` reads it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_nic.disk import explain, replacing
from napari_nic.editing.edits import Edit
from napari_nic.editing.journal_lines import classes_value, layers_value, line_of, object_value
from napari_nic.editing.journal_reading import FORMAT, JOURNAL_FILE, VERSION
from napari_nic.editing.kept import KeptLayer, KnownFile, State
from napari_nic.editing.objects import Edited
from napari_nic.embeddings import Lease
from napari_nic.jobs import CancellationToken, checked

LEAST_ANEW = 4 << 20
"""Edits of fewer bytes are not worth to write everything anew."""


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
        self._layers: tuple[KeptLayer, ...] = ()

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
            values = [_edit_value(edit, state, edited) for edit in edits]
            if values and state.layers != self._layers:
                values[-1]["edit"]["layers"] = layers_value(state.layers)
            self._append(values)
            if values:
                self._layers = state.layers
            elif state.layers != self._layers:
                self.note_files(state.files, state.layers)
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
        self._appended, self._is_whole, self._layers = 0, True, state.layers

    def note_files(self, files: Sequence[KnownFile], layers: tuple[KeptLayer, ...] | None = None) -> None:
        """Note which files the document was opened from and saved to, and the layers that show it.

        Else the next write of all does.

        Raises
        ------
        StoreError
            If that cannot be done.
        """
        if self._is_whole:
            value: dict[str, Any] = {"files": [vars(file) for file in files]}
            self._append([value if layers is None else value | {"layers": layers_value(layers)}])
            self._layers = self._layers if layers is None else layers

    def _all_values(
        self, state: State, edited: Edited, token: CancellationToken | None
    ) -> Iterator[dict[str, Any]]:
        yield {"journal": FORMAT, "version": VERSION, "slide": self._slide, "at": _now()}
        yield {"classes": classes_value(state.classes), "layers": layers_value(state.layers)}
        if state.files:
            yield {"files": [vars(file) for file in state.files]}
        for number, item in enumerate(checked(state.objects, token)):
            home = state.homes.get(item.id, "")
            yield {"object": object_value(state.ranks.get(item.id, number), item, home)}
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


def _edit_value(edit: Edit, state: State, edited: Edited) -> dict[str, Any]:
    put = [
        object_value(state.ranks.get(identity, len(state.ranks)), item, state.homes.get(identity, ""))
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
