"""A run that was interrupted goes on: a hidden folder beside the result keeps the tiles that are finished.

::

    .NAME.unfinished/
        NAME        the result as far as it got: tiles of a TIFF, chunks of a Zarr
        journal     a line of what is being made of what, then one for each tile

Each line says where a tile lies and its checksum. What is found again is used if the same slide is written
with the same settings by the same version of the program, and as far as the checksums hold; the rest is made
anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, TextIO

from napari_nic.recompression.unfinished import kept_folder

_EVERY = 32
"""Tiles after which lines are written; so many are made anew at most."""


@dataclass(frozen=True)
class Placed:
    """A tile that is finished.

    Attributes
    ----------
    level, index : int
        Which one; tiles of a level are counted row by row.
    offset, length : int
        Where its bytes lie in the file; of length 0 where nothing is stored for it.
    crc : int
        CRC-32 of the bytes.
    kind : {"tile", "painted", "glass", "missing"}
        Encoded; with its glass made white; all glass; left out by the slide itself.
    shown : int
        CRC-32 of its pixels, decoded and cropped at the edge of the level; 0 of a tile of one colour.
    attempt : int
        How often it was encoded before with a lower quality.
    why : str
        Why it fell back; empty if it did not.
    passed : bool
        Whether it passed the check at last; if not its codec knows nothing better.
    """

    level: int
    index: int
    offset: int
    length: int
    crc: int
    kind: str = "tile"
    shown: int = 0
    attempt: int = 0
    why: str = ""
    passed: bool = True


class Journal:
    """The hidden folder of one result; made by :func:`unfinished`.

    Attributes
    ----------
    folder : Path
    found : list of Placed
        Tiles of an earlier run, in their order.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self._path = folder, folder / "journal"
        self._facts = json.dumps(facts, sort_keys=True)
        self.found = self._read()
        self._lines: list[str] = []
        self._stream: TextIO | None = None

    def begin(self, kept: Sequence[Placed], sync: Callable[[], None]) -> None:
        """Write the lines of tiles that are used again, and go on behind them.

        Parameters
        ----------
        kept : sequence of Placed
        sync : callable
            Brings the tiles themselves to the system before lines about them are written.
        """
        self._sync = sync
        self._stream = self._path.open("w", encoding="utf-8", newline="\n")
        self._lines = [self._facts, *(json.dumps(astuple(placed)) for placed in kept)]
        self.flush()

    def add(self, placed: Placed) -> None:
        """Note a tile that is finished."""
        self._lines.append(json.dumps(astuple(placed)))
        if len(self._lines) >= _EVERY:
            self.flush()

    def flush(self) -> None:
        """Write lines that wait."""
        if self._stream is not None and self._lines:
            self._sync()
            self._stream.write("\n".join(self._lines) + "\n")
            self._stream.flush()
            self._lines = []

    def close(self) -> None:
        """Write what waits, and let the file go."""
        if self._stream is not None:
            try:
                self.flush()
            finally:
                self._stream.close()
                self._stream = None

    def _read(self) -> list[Placed]:
        """Read the lines of an earlier run with the same facts, up to the first that is not whole."""
        try:
            lines = self._path.read_text("utf-8", "replace").split("\n")
        except OSError:
            return []
        if lines[0] != self._facts:
            return []
        return list(_placed(lines[1:-1]))


def _placed(lines: Sequence[str]) -> Iterator[Placed]:
    for line in lines:
        try:
            placed = Placed(*json.loads(line))
        except (ValueError, TypeError):
            return
        if not all(isinstance(value, int) and value >= 0 for value in astuple(placed)[:5]):
            return
        yield placed


@contextmanager
def unfinished(out: Path, facts: Mapping[str, Any]) -> Iterator[Journal]:
    """Open the hidden folder beside a result; see :func:`~napari_nic.recompression.unfinished.kept_folder`.

    Parameters
    ----------
    out : Path
        The result.
    facts : mapping of str to JSON values
        What is made of what: another run's tiles are used only if these are the same.

    Raises
    ------
    StoreBusyError
        If another process writes the same result.
    """
    with kept_folder(out) as folder:
        journal = Journal(folder, facts)
        try:
            yield journal
        finally:
            journal.close()
