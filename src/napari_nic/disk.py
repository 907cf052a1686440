"""Read only what is a file; write so that a kill, a power cut or a second writer never leaves a lie.

Whatever the program writes under a name that a user sees goes through :func:`replacing` or
:func:`replacing_folder`: it is there whole, or what was there before still is.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nic.errors import NicError, StoreError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
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


MOST_JSON_BYTES = 16 << 20
MOST_JSON_DEPTH = 32
"""What a description may take: cards and specs are a few kilobytes, three or four levels deep."""


def read_json(path: Path, error: type[NicError], *, what: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """Read a JSON file that came from anywhere, in bounded memory and time.

    Parameters
    ----------
    path : Path
    error : type
        Kind of error to raise.
    what : str
        What it is, for the error: ``"the encoder's description"``.
    most_bytes : int
        A larger file is not read.

    Raises
    ------
    NicError
        Of the kind `error`, if it is no file, too large, no JSON, or nested without end.
    """
    check_regular(path, error)
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise error(f"{what} is too large", path=path, expected=f"at most {most_bytes:,} bytes")
        data = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        data = None
        deep = True
    except (OSError, ValueError) as reason:
        raise error(f"{what} cannot be read", path=path, expected="JSON", found=str(reason)) from reason
    else:
        deep = _too_deep(data)
    if deep:
        raise error(f"{what} is nested too deeply", path=path, expected=f"at most {MOST_JSON_DEPTH} levels")
    return data


def _too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MOST_JSON_DEPTH):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner.extend(node.values())
            elif isinstance(node, list):
                inner.extend(node)
        if not inner:
            return False
        level = inner
    return True


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn the file system's refusals into a :class:`StoreError` that says what to do."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise explain(path, error) from error


def explain(path: Path, error: OSError) -> StoreError:
    """Say what an error of the file system means for the one who writes `path`."""
    if error.errno in _NO_SPACE:
        problem, hint = "no space left on the disk", "free some space or choose another output folder"
    elif error.errno in _NOT_ALLOWED:
        problem, hint = "not allowed to write here", "choose another output folder, or change its permissions"
    else:
        problem, hint = "writing failed", "check the disk and the path"
    return StoreError(
        problem,
        path=path,
        found=str(error),
        hint=f"{hint}; what was stored before is kept",
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to, which becomes `path` only if all went well."""
    temporary = _sibling(path, "partial")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            sync_files([temporary])  # a rename may reach the disk before the content does
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary name for a folder, which becomes `path` only if all went well.

    An older folder of that name gives way at the last moment; whether it may is for the caller to check.
    """
    temporary = _sibling(path, "partial")
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _move_into_place(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _move_into_place(temporary: Path, path: Path) -> None:
    """Rename a finished folder; an older one gives way to it and is then removed."""
    if not path.exists():
        temporary.rename(path)
        return
    old = _sibling(path, "old")
    path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, suffix: str) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex}.{suffix}"


def sync_files(paths: Iterable[Path]) -> None:
    """Return when the content of the files is on the disk, not just in the system's memory."""
    for path in paths:
        with path.open("rb+") as file:
            os.fsync(file.fileno())


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Keep other processes that write to `folder` waiting; freed by the system if we are killed."""
        with (folder / ".lock").open("ab") as file:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            try:
                yield
            finally:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Keep other processes that write to `folder` waiting; freed by the system if we are killed."""
        # The folder itself is locked, so that no lock file is left beside the data.
        handle = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError as error:
                # Some network file systems have no locks; a single writer is safe there too.
                if error.errno not in _NO_LOCKS_HERE:
                    raise
            yield
        finally:
            os.close(handle)
