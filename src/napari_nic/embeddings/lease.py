"""Who is writing a store: one run at a time, known to all others.

The run holds a lock of the operating system on a small file inside the store, for as long as it lasts. The
system frees it when the run is killed, so what a dead run left behind is never taken for a living one. The
file says who holds it. On file systems without locks its content decides: a process that is alive on this
machine, or a sign of life of the last minutes from another one.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from napari_nic.disk import writing_to
from napari_nic.errors import StoreBusyError

LEASE_FILE = ".writer.json"
"""Name of the file inside the store."""

SIGN_OF_LIFE_SECONDS = 120.0
"""Where there are no locks, a run on another machine that gave no sign for so long is taken for dead."""

_ATTEMPTS, _ATTEMPT_SECONDS = 5, 0.02  # whoever only looks holds the lock for a moment too
_NO_LOCKS_HERE = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True)
class WriterInfo:
    """A run that is writing a store.

    Attributes
    ----------
    pid : int
        Its process.
    host : str
        The machine that it runs on.
    since : str
        When it began, ISO 8601, UTC.
    """

    pid: int
    host: str
    since: str

    @classmethod
    def own(cls) -> WriterInfo:
        """Describe this process, from now on."""
        return cls(os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()

    @property
    def is_this_process(self) -> bool:
        """Whether it is a run of this very process: another window, or another thread."""
        return self.is_here and self.pid == os.getpid()

    def __str__(self) -> str:
        who = "this program" if self.is_this_process else f"process {self.pid}"
        where = "" if self.is_here else f" on {self.host}"
        return f"{who}{where}, since {_local_time(self.since)}"


UNKNOWN_WRITER = WriterInfo(0, "another machine", "")
"""Stands for a run that holds the lock and has not said yet who it is."""


def writer_of(store: Path) -> WriterInfo | None:
    """Return who is writing a store, None when nobody is. Reads only."""
    file = store / LEASE_FILE
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        held = _is_held(handle)
        if held is False:
            return None
        writer = _read(file)
        if held:
            return writer or UNKNOWN_WRITER
        return writer if writer is not None and _seems_alive(writer, file) else None
    finally:
        os.close(handle)


_BUSY = "this store is being written by another run"
_WAIT = "wait until it has ended, or stop it; nothing is encoded twice, and what is stored can be read"


class Lease:
    """Whether a store is being written, and by whom; for the length of :meth:`writing`, by its owner.

    Parameters
    ----------
    store : Path
        Its folder.
    problem, hint : str
        Of the error where another one is writing.

    Attributes
    ----------
    is_held : bool
        Whether the store is being written by the owner of this object.
    """

    def __init__(self, store: Path, *, problem: str = _BUSY, hint: str = _WAIT) -> None:
        self._store = store
        self._texts = problem, hint
        self.is_held = False

    def writer(self) -> WriterInfo | None:
        """Return the other run that is writing the store; None when there is none, or it is our own."""
        return None if self.is_held else writer_of(self._store)

    def check_free(self) -> None:
        """Raise :class:`StoreBusyError` if another run is writing the store."""
        if (writer := self.writer()) is not None:
            raise _busy(self._store, writer, *self._texts)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one run that writes the store.

        Raises
        ------
        StoreBusyError
            If another run is; it says which.
        StoreError
            If the store's folder cannot be written.
        """
        with writing_to(self._store):
            handle = _acquire(self._store, *self._texts)
        self.is_held = True
        try:
            yield
        finally:
            self.is_held = False
            _release(self._store / LEASE_FILE, handle)

    def sign_of_life(self) -> None:
        """Tell machines on which the lock is not seen that the own run, if there is one, is alive."""
        if not self.is_held:
            return
        try:
            os.utime(self._store / LEASE_FILE)
        except OSError:
            return  # it is for others' convenience only


def _busy(store: Path, writer: WriterInfo, problem: str, hint: str) -> StoreBusyError:
    """Build the error that says who is writing."""
    return StoreBusyError(problem, path=store, found=str(writer), hint=hint)


def _acquire(store: Path, problem: str, hint: str) -> int:
    file = store / LEASE_FILE
    for attempt in range(_ATTEMPTS):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        locked = _try_lock(handle)
        if locked is None:
            writer = _read(file)
            if writer is not None and _seems_alive(writer, file):
                os.close(handle)
                raise _busy(store, writer, problem, hint)
        if locked is not False and _is_same_file(handle, file):
            _write(handle, WriterInfo.own())
            return handle
        os.close(handle)
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_ATTEMPT_SECONDS)
    raise _busy(store, _read(file) or UNKNOWN_WRITER, problem, hint)


def _release(file: Path, handle: int) -> None:
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(handle)
        file.unlink(missing_ok=True)
        return
    # Removed while it is still locked, so that nobody's newer file is.
    if _is_same_file(handle, file):
        file.unlink(missing_ok=True)
    os.close(handle)


def _is_same_file(handle: int, file: Path) -> bool:
    """Whether the name still leads to what was locked: the run before may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except OSError:
        return False


def _write(handle: int, writer: WriterInfo) -> None:
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(asdict(writer)).encode())


def _read(file: Path) -> WriterInfo | None:
    """Read who wrote the file; None while it is being written, or when it says nothing of use."""
    try:
        data = json.loads(file.read_bytes()[:4096])
        return WriterInfo(int(data["pid"]), str(data["host"]), str(data["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seems_alive(writer: WriterInfo, file: Path) -> bool:
    """Decide by what the file says, where there are no locks."""
    if writer.is_here:
        return _process_exists(writer.pid)
    try:
        return time.time() - file.stat().st_mtime < SIGN_OF_LIFE_SECONDS
    except OSError:
        return False


def _process_exists(pid: int) -> bool:
    if pid <= 0 or sys.platform == "win32":  # os.kill ends the process there
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _local_time(since: str) -> str:
    try:
        return datetime.fromisoformat(since).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return "an unknown time"


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 2**30  # far behind the content, which others read

    def _try_lock(handle: int) -> bool | None:
        """Lock the file; False when another holds it, None where there are no locks."""
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

    def _is_held(handle: int) -> bool | None:
        """Whether a run holds the file; None where there are no locks."""
        if not _try_lock(handle):
            return True
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        return False

else:
    import fcntl

    def _try_lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool | None:
        """Lock the file; False when another holds it, None where there are no locks."""
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                return None
            raise
        return True

    def _is_held(handle: int) -> bool | None:
        """Whether a run holds the file; None where there are no locks."""
        locked = _try_lock(handle, fcntl.LOCK_SH)  # shared: those who only look do not see each other
        return None if locked is None else not locked
