"""Slides copied to a disk of this machine before their turn, so that a slow disk elsewhere is read in one go.

A copy bears its last name only when it is whole: it is written under another one, its size is compared, and
the slide must be as it was before. A slide that cannot be copied, or is larger than the bound, is read where
it lies, and what is wrong with it is said there. A copy goes as soon as its slide is done.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from napari_nic.disk import writing_to
from napari_nic.jobs import CancellationToken
from napari_nic.runs.claims import Owner, living_owner

_PREFIX = "nic-copies-"
_OWNER = "claim-1"
_PART = ".part"
_BLOCK = 4 * 2**20
_WAIT_SECONDS = 0.1
_MIRAX = ".mrxs"


@dataclass(frozen=True)
class _Stamp:
    """What tells one version of a file from the next."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path) -> _Stamp:
        status = file.stat()
        return cls(status.st_size, status.st_mtime_ns)


class CopyAhead:
    """Copies slides in the order of their turns, one after the other, in a thread of its own.

    Made by :func:`copying_ahead`.

    Parameters
    ----------
    folder : Path
        On the near disk; of this run alone.
    limit : int
        Bytes that the copies may take at a time.

    Attributes
    ----------
    most : int
        Bytes that they took at most.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._changed = threading.Condition()
        self._waiting: deque[Path] = deque()
        self._pending: set[Path] = set()
        self._wanted: Callable[[Path], bool] = lambda _path: True
        self._sizes: dict[Path, int] = {}
        self._copies: dict[Path, Path | None] = {}
        self._token = CancellationToken()
        self._thread: threading.Thread | None = None
        self.most = 0

    def begin(self, paths: Sequence[Path], wanted: Callable[[Path], bool]) -> None:
        """Copy these from now on; `wanted` says of each, when it is near its turn, whether it is needed."""
        with self._changed:
            self._waiting, self._pending, self._wanted = deque(paths), set(paths), wanted
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="copy ahead", daemon=True)
            self._thread.start()

    def is_ready(self, path: Path) -> bool:
        """Whether :meth:`take` would not wait."""
        with self._changed:
            return path not in self._pending

    def take(self, path: Path, token: CancellationToken) -> Path | None:
        """Wait for the copy of a slide; None if it is to be read where it lies.

        Raises
        ------
        CancelledError
        """
        with self._changed:
            while path in self._pending:
                token.checkpoint()
                self._changed.wait(_WAIT_SECONDS)
            copy = self._copies.get(path)
        if copy is not None and not is_copy_of(copy, path):
            return None  # the slide is another one by now
        return copy

    def drop(self, path: Path) -> None:
        """Remove the copy of a slide that is done, and let the next one be copied."""
        shutil.rmtree(self._place(path), ignore_errors=True)
        with self._changed:
            self._copies.pop(path, None)
            self._sizes.pop(path, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop copying."""
        self._token.cancel()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    # -- in the thread -----------------------------------------------------------------------------------

    def _work(self) -> None:
        while (path := self._next()) is not None:
            copy = self._copied(path)
            with self._changed:
                self._copies[path] = copy
                self._pending.discard(path)
                if copy is None:
                    self._sizes.pop(path, None)
                self._changed.notify_all()

    def _next(self) -> Path | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._token.cancelled)
            return None if self._token.cancelled else self._waiting.popleft()

    def _copied(self, path: Path) -> Path | None:
        """Copy a slide once there is room; None if it is read where it lies."""
        try:
            files = _files_of(path) if self._wanted(path) else []
            size = sum(file.stat().st_size for file in files)
            if not files or size > self._limit or not self._make_room(path, size):
                return None
            for file in files:
                self._copy(file, self._place(path) / file.relative_to(path.parent))
        except OSError:  # of a slide that is bad, or of a near disk that is full: it is read where it lies
            shutil.rmtree(self._place(path), ignore_errors=True)
            return None
        return None if self._token.cancelled else self._place(path) / path.name

    def _make_room(self, path: Path, size: int) -> bool:
        """Wait until the bound allows for so many bytes more; False if all is to stop."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._token.cancelled or sum(self._sizes.values()) + size <= self._limit
            )
            self._sizes[path] = size
            self.most = max(self.most, sum(self._sizes.values()))
            return not self._token.cancelled

    def _copy(self, file: Path, copy: Path) -> None:
        before = _Stamp.of(file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        part = copy.with_name(f"{copy.name}{_PART}")
        with file.open("rb") as source, part.open("wb") as target:
            while block := source.read(_BLOCK):
                if self._token.cancelled:
                    return
                target.write(block)
        if _Stamp.of(file) != before or part.stat().st_size != before.size:
            raise OSError(f"{file}: it changed while it was copied")
        os.utime(part, ns=(before.modified_ns, before.modified_ns))
        part.rename(copy)

    def _place(self, path: Path) -> Path:
        return self._folder / uuid.uuid5(uuid.NAMESPACE_URL, os.fspath(path.absolute())).hex


def is_copy_of(copy: Path, path: Path) -> bool:
    """Whether a copy is of the files that the slide has now, by their sizes and times; nothing is read."""
    try:
        return all(
            _Stamp.of(file) == _Stamp.of(copy.parent / file.relative_to(path.parent))
            for file in _files_of(path)
        )
    except OSError:
        return False


def _files_of(path: Path) -> list[Path]:
    """List what belongs to a slide that is one file, or of MIRAX; none of any other kind."""
    if not path.is_file():
        return []
    if path.suffix.lower() != _MIRAX:
        return [path] if _stands_alone(path) else []
    return [path, *sorted(file for file in path.with_suffix("").iterdir() if file.is_file())]


_TOGETHER = (".vms", ".vmu", ".dcm", ".dicom", "", ".zarr", ".svslide")
"""Suffixes of files that are one slide together with others beside them."""


def _stands_alone(path: Path) -> bool:
    return path.suffix.lower() not in _TOGETHER


@contextmanager
def copying_ahead(folder: Path, limit: int) -> Iterator[CopyAhead]:
    """Copy slides to a folder for the length of a ``with`` block; nothing stays there.

    What runs on this machine left there that were killed is removed.

    Parameters
    ----------
    folder : Path
        On a disk of this machine; other runs may use it too.
    limit : int
        Bytes that this run's copies may take at a time.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_PREFIX}*"):
            if (left / _OWNER).exists() and living_owner(left / _OWNER) is None:
                shutil.rmtree(left, ignore_errors=True)
        own = folder / f"{_PREFIX}{uuid.uuid4().hex}"
        own.mkdir(mode=0o700)
        (own / _OWNER).write_text(json.dumps(asdict(Owner.new())))
    copies = CopyAhead(own, limit)
    try:
        yield copies
    finally:
        copies.close()
        shutil.rmtree(own, ignore_errors=True)
