"""Try a file in a process of its own first: a library in C that a damaged file crashes takes it down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from napari_nic.errors import NicError

SECONDS, BYTES_PER_SECOND = 8.0, 10 * 2**20
"""Time that reading any file may take there, and more for each so many bytes: a slow disk is no damage."""

_CHILD = """
import contextlib, importlib, pathlib, sys
module, _, name = sys.argv[1].partition(":")
with contextlib.suppress(Exception):
    getattr(importlib.import_module(module), name)(pathlib.Path(sys.argv[2]))
"""
"""What the reader raises there it raises here again, where it is told."""


def check_survives(reader: str, path: Path, error: type[NicError]) -> None:
    """Read a file in another process, to see whether that ends well.

    Parameters
    ----------
    reader : str
        ``"module:function"`` of ours, which takes the path and reads all that will be read.
    path : Path
    error : type
        Kind of error to raise.

    Raises
    ------
    NicError
        Of the kind `error`, if the process crashes or does not end. What the reader itself raises is not told
        here: it will be raised again.
    """
    if not sys.executable:
        return  # an interpreter within another program cannot be started again
    search = os.pathsep.join(entry for entry in sys.path if entry)
    # Without -P modules of the working folder, which may be that of the file, would come first.
    command = [sys.executable, "-P", "-c", _CHILD, reader, str(path)]
    try:
        done = subprocess.run(  # noqa: S603 - our own text, and a path as data
            command,
            env=os.environ | {"PYTHONPATH": search},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_patience(path),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise error("reading this file does not end", path=path, hint="get it again") from late
    except OSError:
        return  # no process can be started here; the file is read as it is
    if done.returncode:
        raise error(
            "this file is damaged so badly that the library which reads it fails",
            path=path,
            found=f"exit code {done.returncode}",
            hint="get the file again",
        )


def _patience(path: Path) -> float:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return SECONDS + size / BYTES_PER_SECOND
