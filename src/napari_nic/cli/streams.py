"""The terminal belongs to the command: what libraries print stays away, and its end is no complaint.

What a user should know of a library's warning is said by us, as a notice or an error. With ``--debug``
everything is shown.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STDERR = 2


@contextmanager
def libraries_silenced(*, debug: bool = False) -> Iterator[None]:
    """Keep warnings, log records and what C libraries print from the terminal for a ``with`` block.

    Python's warnings go to the log; the log goes nowhere unless a library of ours is asked for it; file
    descriptor 2, to which libtiff, libpng, OpenSlide and OpenCV write, leads to nothing, while
    ``sys.stderr`` still leads to the terminal.

    Parameters
    ----------
    debug : bool
        Leave everything as it is.
    """
    if debug:
        yield
        return
    root = logging.getLogger()
    nothing = logging.NullHandler()  # where there is no handler at all, Python prints warnings itself
    root.addHandler(nothing)
    logging.captureWarnings(True)
    try:
        with _own_stderr():
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(nothing)


@contextmanager
def _own_stderr() -> Iterator[None]:
    """Lead descriptor 2 to nothing, and ``sys.stderr`` by a descriptor of its own to where it led."""
    before = sys.stderr
    if not _is_stderr(before):
        yield  # caught by somebody, or closed
        return
    before.flush()
    kept = os.dup(STDERR)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, STDERR)
    os.close(nothing)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(os.dup(kept), "wb", buffering=0),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
    faulthandler.enable(sys.stderr)  # a crash is still told
    try:
        yield
    finally:
        faulthandler.disable()
        mine, sys.stderr = sys.stderr, before
        os.dup2(kept, STDERR)
        os.close(kept)
        mine.close()


def _is_stderr(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == STDERR
    except (OSError, ValueError):
        return False


def write_any_name() -> None:
    """Let names that are no text, and signs that the terminal lacks, be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def open_standard_streams() -> None:
    """Lead closed standard streams to nothing; the next file opened would take their place otherwise."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - kept open


def flush_output() -> None:
    """Write what is left to stdout; its reader may have gone."""
    try:
        sys.stdout.flush()
    except OSError:
        forget_output()


def forget_output() -> None:
    """Lead stdout to nothing: it cannot be written to, and the interpreter must not say so at its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # caught by somebody
    finally:
        os.close(nothing)
