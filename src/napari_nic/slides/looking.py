"""Whether tiles are decoded for looking: a codec with two decoders takes the quicker one then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOOKING: ContextVar[bool] = ContextVar("looking", default=False)


@contextmanager
def looking(*, wanted: bool) -> Iterator[None]:
    """Say that tiles decoded within are for looking, or not; in this thread and what it waits for."""
    before = _LOOKING.set(wanted)
    try:
        yield
    finally:
        _LOOKING.reset(before)


def is_looking() -> bool:
    """Whether tiles that are decoded now are for looking."""
    return _LOOKING.get()
