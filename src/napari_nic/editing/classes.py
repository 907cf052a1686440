"""The classes that an annotator draws in."""

from __future__ import annotations

from dataclasses import dataclass

from napari_nic.annotations import RGB


@dataclass(frozen=True)
class DrawingClass:
    """A class of a document.

    Attributes
    ----------
    name : str
    color : (r, g, b)
    visible : bool
        Whether its objects are shown.
    locked : bool
        Whether edits of its objects are refused.
    key : int, optional
        The digit, 1 to 9, that chooses it.
    """

    name: str
    color: RGB
    visible: bool = True
    locked: bool = False
    key: int | None = None
