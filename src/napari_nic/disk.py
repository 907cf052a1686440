"""Read only what is a file; write so that a kill, a power cut or a second writer never leaves a lie.

Whatever the program writes under a name that a user sees goes through :func:`replacing` or
:func:`replacing_folder`: it is there whole, or what was there before still is.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_nic.errors import NicError, StoreBusyError, StoreError
from napari_nic.names import shortened

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LINKS_HERE = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL)
_NO_LOCKS_HERE = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL)


def check_regular(path: Path, error: type[NicError]) -> None:
    """Refuse pipes, sockets and devices: opening or reading one may never end.

    Raises
    ------
    NicError
        Of the kind `error`, if `path` is neither a regular file nor a folder. What does not exist passes:
        opening it tells.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise error(
            "not a regular file",
            path=path,
            found=next((name for test, name in _SPECIAL if test(mode)), "something special"),
            hint="save its content as a file first",
        )


_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the file system's refusals into a :class:`StoreError` that says what to do."""
    try:
        yield
    except NicError:
        raise  # of a slide that is read meanwhile too, whose kinds are errors of the system as well
    except OSError as error:
        raise explain(path, error) from error


def explain(path: Path, error: OSError) -> StoreError:
    """Say what an error of the file system means for the one who writes `path`."""
    error = _first_of(error)
    if error.errno in _NO_SPACE:
        problem, hint = "no space left on the disk", "free some space or choose another output folder (--out)"
    elif error.errno == errno.EFBIG:
        problem, hint = "the file grows larger than is allowed here", "raise the limit or choose another disk"
    elif error.errno == errno.ENAMETOOLONG:
        problem, hint = "the name is too long for the file system", "choose a shorter name (--out)"
    elif error.errno == errno.ENOTEMPTY:
        problem, hint = (
            "another process made it meanwhile",
            "go on with what is there, or choose another name",
        )
    elif error.errno in _NOT_ALLOWED:
        problem, hint = (
            "not allowed to write here",
            "choose another output folder (--out), or change its permissions",
        )
    else:
        problem, hint = "it cannot be written", "check the disk and the path"
    return StoreError(
        problem,
        path=path,
        found=str(error),
        hint=f"{hint}; what was stored before is kept",
    )


def _first_of(error: OSError) -> OSError:
    """Return the first of the errors that copying a folder gathers, as text, in one."""
    if not (isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list)):
        return error
    text = str(error.args[0][0][-1])
    number = re.match(r"\[Errno (\d+)\] ([^:]*)", text)
    return OSError(int(number[1]), number[2]) if number else OSError(text)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to, which becomes `path` only if all went well.

    Where `path` is a link, the file it leads to is replaced; a file that is replaced keeps its permissions.
    """
    with writing_to(path):
        path = path.resolve() if path.is_symlink() else path
        _check_may_be_replaced(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary = temporary_sibling(path)
        try:
            yield temporary
            sync_files([temporary])  # a rename may reach the disk before the content does
            _keep_mode(path, temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
            _active.discard(temporary.name)


def _check_may_be_replaced(path: Path) -> None:
    """Honour what a rename would not: a file that its owner made read-only, and what is no file."""
    check_regular(path, StoreError)
    if path.is_file() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only", str(path))


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8, lines as they are) whole or not at all."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_new(path: Path, content: bytes) -> bool:
    """Write a file whole, unless there is one of this name: of several that try at once one succeeds.

    It needs no lock, and so holds on network file systems too: a link is made, or not, in one step.

    Returns
    -------
    bool
        Whether it was written; False where there is one already, which is left as it is.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary = temporary_sibling(path)
        try:
            temporary.write_bytes(content)
            sync_files([temporary])
            return _give_name(temporary, path, content)
        finally:
            temporary.unlink(missing_ok=True)
            _active.discard(temporary.name)


def _give_name(temporary: Path, path: Path, content: bytes) -> bool:
    """Give a finished file its name, if that is free."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
    else:
        return True
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:  # for a moment it is there without its content
        file.write(content)
        file.flush()
        os.fsync(handle)
    return True


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary name for a folder, which becomes `path` only if all went well.

    An older folder of that name gives way at the last moment; whether it may is for the caller to check. One
    that another process makes meanwhile does not.

    Raises
    ------
    StoreError
        If it cannot be written, or `path` is a link: what it leads to is not ours to remove.
    """
    with writing_to(path):
        if path.is_symlink():
            raise StoreError(
                "a link is in the way",
                path=path,
                hint="it is not replaced; remove it or choose another output",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        temporary, is_new = temporary_sibling(path), not path.exists()
        try:
            yield temporary
            sync_files(sorted(file for file in temporary.rglob("*") if file.is_file()))
            _move_into_place(temporary, path, is_new=is_new)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            _active.discard(temporary.name)


def _move_into_place(temporary: Path, path: Path, *, is_new: bool) -> None:
    """Rename a finished folder; an older one gives way to it and is then removed."""
    if is_new or not path.exists():
        temporary.rename(path)  # fails on a folder that holds something
    elif not _exchange(temporary, path):
        old = temporary_sibling(path, _OLD)
        path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step, where the system can: neither is ever missing then."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # TypeError: Windows wants the name of a library
        return False
    result: int = rename(
        _WORKING_FOLDER, os.fsencode(one), _WORKING_FOLDER, os.fsencode(other), _RENAME_EXCHANGE
    )
    return result == 0


_WORKING_FOLDER, _RENAME_EXCHANGE = -100, 2  # AT_FDCWD and a flag, of Linux

_PARTIAL, _OLD = "partial", "old"
_LEFTOVER_SECONDS = 86_400
"""What another machine left, or one that was started anew, is taken for abandoned after this time."""

_active: set[str] = set()
"""Temporary names of this process."""


def temporary_sibling(path: Path, kind: str = _PARTIAL) -> Path:
    """Return a new hidden name beside `path` that says which process made it."""
    name = f"{_stem(path)}{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.{kind}"
    _active.add(name)
    return path.parent / name


def _stem(path: Path) -> str:
    return f".{shortened(path.name, _STEM_BYTES)}."


_STEM_BYTES = 200
"""A temporary name is longer than the one it stands for, and must not be too long for it."""


@functools.cache
def _machine() -> str:
    """Tell this run of this machine from others that may see the same folder."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        boot = ""
    return hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:8]


def remove_leftovers(path: Path) -> None:
    """Remove temporary files and folders that a killed run left when it wrote `path`.

    Only what bears a name that :func:`temporary_sibling` gives, and belongs to a process that is gone: one of
    this machine that runs no more, or any if nothing was written for a day. An older folder that had just
    given way when the run was killed gets its name back.
    """
    pattern = re.compile(
        re.escape(_stem(path)) + r"(?:([0-9a-f]{8})-(\d+)-[0-9a-f]{12}|[0-9a-f]{32})\.(partial|old)"
    )
    try:
        found = [(entry, pattern.fullmatch(entry.name)) for entry in path.parent.iterdir()]
    except OSError:
        return  # the write itself tells
    for entry, match in found:
        if match is None or not _is_abandoned(entry, match[1], match[2]):
            continue
        if match[3] == _OLD and not path.exists():
            entry.rename(path)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _is_abandoned(entry: Path, machine: str | None, process: str | None) -> bool:
    if entry.name in _active:
        return False
    if machine == _machine() and process is not None:
        return not _runs(int(process))
    try:
        return time.time() - entry.lstat().st_mtime > _LEFTOVER_SECONDS
    except OSError:
        return False


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # not one of our names: a process of this number was killed before
    if sys.platform == "win32":
        return True  # a signal would end it there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _keep_mode(path: Path, temporary: Path) -> None:
    """Give a file the permissions of the one that it replaces."""
    try:
        temporary.chmod(stat.S_IMODE(path.stat().st_mode))
    except OSError:
        return  # a new one, or a file system without permissions


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)


def sync_files(paths: Iterable[Path]) -> None:
    """Return when the content of the files is on the disk, not just in the system's memory."""
    for path in paths:
        with path.open("rb+" if os.access(path, os.W_OK) else "rb") as file:
            os.fsync(file.fileno())


LOCK_SECONDS = 30.0
"""So long a write waits for another process's to end: one takes seconds, unless it hangs."""

_LOOK_SECONDS = 0.02
_HELD = (BlockingIOError, PermissionError) if sys.platform == "win32" else (BlockingIOError,)


def _lock(folder: Path, take: Callable[[], None]) -> None:
    """Try to take a lock until it is free.

    Raises
    ------
    StoreBusyError
        If it is not within :data:`LOCK_SECONDS`.
    """
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            take()
        except _HELD as error:
            if time.monotonic() > end:
                raise StoreBusyError(
                    "another process is writing here and does not come to an end",
                    path=folder,
                    found=f"locked for more than {LOCK_SECONDS:g} s",
                    hint="wait until it has ended, or stop it; then do the same again",
                ) from error
            time.sleep(_LOOK_SECONDS)
        else:
            return


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Keep other processes that write to `folder` waiting; freed by the system if we are killed.

        Raises
        ------
        StoreBusyError
            If another process does not come to an end within :data:`LOCK_SECONDS`.
        """
        with (folder / ".lock").open("ab") as file:

            def take() -> None:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

            _lock(folder, take)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Keep other processes that write to `folder` waiting; freed by the system if we are killed.

        Raises
        ------
        StoreBusyError
            If another process does not come to an end within :data:`LOCK_SECONDS`.
        """
        # The folder itself is locked, so that no lock file is left beside the data.
        handle = os.open(folder, os.O_RDONLY)
        try:
            try:
                _lock(folder, lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except OSError as error:
                # Some network file systems have no locks; a single writer is safe there too.
                if error.errno not in _NO_LOCKS_HERE:
                    raise
            yield
        finally:
            os.close(handle)
