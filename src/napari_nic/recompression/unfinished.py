"""A run that was interrupted goes on: a hidden folder beside the result keeps the tiles that are finished.

::

    .NAME.unfinished/
        NAME            the result as far as it got
        journal         a line of what is being made of what, then one for each tile that was packed
        before          the same of an earlier run, while tiles are taken over from it
        before.journal

A tile is taken over if the settings, the version of the program and the directories of the slide are the
same, the bytes of the slide that it was made of have the digest that its line says, and so have its own.
Whatever is not found so is made anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from napari_nic.disk import exclusive
from napari_nic.errors import StoreError
from napari_nic.names import shortened
from napari_nic.recompression.codecs import Coded
from napari_nic.recompression.layout import Segment

_EVERY = 32
"""Tiles after which lines are written; so many are made anew at most."""

_DIGEST, _LONGEST = 16, 2**20
_JOURNAL, _BEFORE, _BEFORE_JOURNAL = "journal", "before", "before.journal"


def unfinished_folder(out: Path) -> Path:
    """Return the hidden folder that an interrupted run leaves beside its result."""
    return out.with_name(f".{shortened(out.name, 200)}.unfinished")


def read_unfinished(out: Path) -> dict[str, Any]:
    """Return what an interrupted run was making of what.

    Parameters
    ----------
    out : Path
        The result that was not finished.

    Returns
    -------
    dict
        With its ``mode``, or with its ``options`` where that was a lossy one; empty if there was none.
    """
    for name in (_JOURNAL, _BEFORE_JOURNAL):
        try:
            with (unfinished_folder(out) / name).open(encoding="utf-8", errors="replace") as stream:
                facts = json.loads(stream.readline(_LONGEST))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            return facts
    return {}


@contextmanager
def kept_folder(out: Path) -> Iterator[Path]:
    """Make the hidden folder beside a result; no two programs have it at once.

    It stays when the block is left by an error, so that the same run may go on. Otherwise it is removed, and
    after a :class:`StoreError`, which says that what is in it cannot become a result.

    Raises
    ------
    StoreBusyError
        If another process writes the same result.
    """
    folder = unfinished_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder):
        try:
            yield folder
        except StoreError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Line:
    """A tile that was packed.

    Attributes
    ----------
    page, offset, length : int
        Number of its page, and where it lies in the slide.
    source : str
        Digest of its bytes there.
    at, size : int
        Where it lies in the result.
    packed : str
        Digest of its bytes there.
    bits : int
    copied : str
    painted : bool
        See :class:`~napari_nic.recompression.codecs.Coded`.
    """

    page: int
    offset: int
    length: int
    source: str
    at: int
    size: int
    packed: str
    bits: int = 0
    copied: str = ""
    painted: bool = False


class FinishedTiles:
    """What an earlier run has packed, and what this one has.

    Parameters
    ----------
    folder : Path
        The hidden folder.
    name : str
        Of the result.
    facts : mapping of str to JSON values
        What is made of what: another run's tiles are taken over only if these are the same.

    Attributes
    ----------
    taken : int
        Tiles that were taken over.
    """

    def __init__(self, folder: Path, name: str, facts: Mapping[str, Any]) -> None:
        self.result = folder / name
        self.taken = 0
        self._folder, self._lock = folder, threading.Lock()
        self._facts = json.dumps(facts, sort_keys=True)
        self._choose_before()
        self._found = {(one.page, one.offset, one.length): one for one in self._read(_BEFORE_JOURNAL)}
        self._before: BinaryIO | None = (folder / _BEFORE).open("rb") if self._found else None
        self._lines = [self._facts]
        self._stream: TextIO | None = None

    def find(self, page: int, segment: Segment, data: bytes) -> Coded | None:
        """Return a tile that an earlier run made of these bytes; may be called by several threads.

        Parameters
        ----------
        page : int
        segment : Segment
            Where it lies in the slide.
        data : bytes
            What lies there now.
        """
        line = self._found.get((page, segment.offset, segment.length))
        if line is None or self._before is None or line.source != digest(data):
            return None
        with self._lock:
            self._before.seek(line.at)
            packed = self._before.read(line.size)
        if digest(packed) != line.packed:
            return None
        with self._lock:
            self.taken += 1
        return Coded(packed, line.bits, line.copied, line.painted)

    def add(self, page: int, segment: Segment, data: bytes, place: Segment, coded: Coded) -> None:
        """Note a tile that was packed and written.

        Parameters
        ----------
        page, segment, data
            As of :meth:`find`.
        place : Segment
            Where it lies in the result.
        coded : Coded
        """
        line = Line(
            *(page, segment.offset, segment.length, digest(data), place.offset, place.length),
            *(digest(coded.data), coded.bits, coded.copied, coded.painted),
        )
        self._lines.append(json.dumps(astuple(line)))

    def flush(self, stream: BinaryIO, *, last: bool = False) -> None:
        """Write lines that wait, once they are many, after the tiles that they are about."""
        if len(self._lines) < (1 if last else _EVERY):
            return
        stream.flush()
        if self._stream is None:
            self._stream = (self._folder / _JOURNAL).open("w", encoding="utf-8", newline="\n")
        self._stream.write("\n".join(self._lines) + "\n")
        self._stream.flush()
        self._lines = []

    def close(self) -> None:
        """Let the files go."""
        for stream in (self._before, self._stream):
            if stream is not None:
                stream.close()
        self._before = self._stream = None

    def _choose_before(self) -> None:
        """Let the earlier run's file with most tiles be the one that they are taken from."""
        newer, older = self._read(_JOURNAL), self._read(_BEFORE_JOURNAL)
        folder = self._folder
        if self.result.is_file() and len(newer) > len(older):
            (folder / _BEFORE_JOURNAL).unlink(missing_ok=True)
            self.result.replace(folder / _BEFORE)
            (folder / _JOURNAL).replace(folder / _BEFORE_JOURNAL)
        elif not older:
            (folder / _BEFORE).unlink(missing_ok=True)

    def _read(self, name: str) -> list[Line]:
        """Read the lines of an earlier run with the same facts, up to the first that is not whole."""
        try:
            lines = (self._folder / name).read_text("utf-8", "replace").split("\n")
        except OSError:
            return []
        return list(_lines(lines[1:-1])) if lines[0] == self._facts else []


def _lines(texts: list[str]) -> Iterator[Line]:
    for text in texts:
        try:
            line = Line(*json.loads(text))
        except (ValueError, TypeError):
            return
        numbers = (line.page, line.offset, line.length, line.at, line.size, line.bits)
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            return
        yield line


def digest(data: bytes) -> str:
    """Return what tells bytes from any others."""
    return hashlib.blake2b(data, digest_size=_DIGEST).hexdigest()
