"""Whoever talks to the user hears what must not be missed, however deep it happens.

A slide that is opened has notices, a file may be left out of many: results hold that too, but not every
caller of every function hands it on. The command line listens here once for all of its commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """One of many files that were asked for could not be used; the others were.

    Attributes
    ----------
    name : str
    why : str
    """

    name: str
    why: str


@dataclass(frozen=True)
class Notices:
    """What a user must know of a slide before trusting its picture.

    Attributes
    ----------
    name : str
        Of the slide's file.
    texts : tuple of str
    """

    name: str
    texts: tuple[str, ...]


Event = LeftOut | Notices

_listener: ContextVar[Callable[[Event], None] | None] = ContextVar("listener", default=None)


@contextmanager
def telling(listener: Callable[[Event], None] | None) -> Iterator[None]:
    """Call `listener` with what is told in a ``with`` block and its thread.

    Parameters
    ----------
    listener : callable or None
        ``listener(event)``; None for silence.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(event: Event) -> None:
    """Let the listener of this thread, if there is one, know."""
    listener = _listener.get()
    if listener is not None:
        listener(event)
