"""Whether the files of an open slide are still the ones that were opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from napari_nic.errors import DamagedSlideError
from napari_nic.slides.fingerprint import fingerprint_files
from napari_nic.slides.remote import remote_of


class _State(NamedTuple):
    """What tells one version of a file from the next without reading it."""

    size: int
    modified_ns: int
    inode: int


class FileWatch:
    """Knows the slide's files as they were when it was opened.

    Parameters
    ----------
    path : Path
        The slide, for messages.
    files : sequence of Path
        Its files.
    """

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        self._path, self._files = path, tuple(files)
        self._states = [_state(file) for file in self._files]
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """Of the files as they were when this was first asked for."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint_files(self._files)
        return self._fingerprint

    def check(self, *, read: bool = False) -> None:
        """Raise :class:`DamagedSlideError` if a file is gone or is another one than was opened.

        One in the network is asked for again; :class:`RemoteError` is raised then.

        Parameters
        ----------
        read : bool
            Compare the fingerprint too, which reads a little of every file.
        """
        for place in filter(None, map(remote_of, self._files)):
            place.file.check()
        for file, before in zip(self._files, self._states, strict=True):
            now = _state(file)
            if now != before:
                raise self._changed(f"{file.name}: {_difference(before, now)}")
        if read and self._fingerprint is not None and fingerprint_files(self._files) != self._fingerprint:
            raise self._changed("other bytes, of the same size and time")

    def _changed(self, found: str) -> DamagedSlideError:
        return DamagedSlideError(
            "the slide changed while it was open",
            path=self._path,
            found=found,
            hint="wait until it is written completely, open it again and compress it anew (--overwrite)",
        )


def _state(file: Path) -> _State | None:
    """None if the file cannot be found just now."""
    try:
        status = file.stat()
    except OSError:
        return None
    return _State(status.st_size, status.st_mtime_ns, status.st_ino)


def _difference(before: _State | None, now: _State | None) -> str:
    if now is None:
        return "it is not there any more"
    if before is None:
        return "it was not there"
    if now.size != before.size:
        return f"{now.size:,} bytes, {before.size:,} when it was opened"
    return "it was replaced" if now.inode != before.inode else "it was written to"
