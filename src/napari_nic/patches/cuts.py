"""What every kind of source gives to an extraction, and the rules that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from napari_nic.patches.records import PatchOrigin
from napari_nic.patches.writing import PatchPiece

DAMAGED = "damaged"
NO_TISSUE = "too little tissue"
NO_CLASS = "of no class, or between two"
OVER_CAP = "over the cap"
"""Reasons for leaving a patch out."""


@dataclass(frozen=True, eq=False)
class SourceCut:
    """A source that is open, and its patches.

    Attributes
    ----------
    origin : PatchOrigin
    pieces : iterator of PatchPiece
        To be used up while the source is open.
    """

    origin: PatchOrigin
    pieces: Iterator[PatchPiece]


@dataclass(frozen=True)
class Source:
    """A source that is still to be opened.

    Attributes
    ----------
    name : str
        For messages.
    open : callable
        Returns a context manager of a :class:`SourceCut`; entering it raises a NicError if the source
        cannot be used.
    """

    name: str
    open: Callable[[], AbstractContextManager[SourceCut]]
