"""Shapes that are told while the rest of their file is still being read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_nic.colors import RGB
from napari_nic.jobs import Progress

if TYPE_CHECKING:
    import shapely


@dataclass(frozen=True)
class PartRead(Progress):
    """How far a file is read, and what was made of it since the last report.

    It is good for a look and for nothing else: shapes are not checked, those that take longer to make are not
    among them, and what comes later in the file may change what it is taken for.

    Attributes
    ----------
    areas : sequence of shapely.Polygon
        In level-0 pixels, (x, y).
    labels : sequence of str
        One an area.
    colors : mapping of str to (r, g, b)
        That the file gave classes so far.
    is_afresh : bool
        Whether what was told before does not count: the file is read anew in another way.
    """

    areas: Sequence[shapely.Geometry] = ()
    labels: Sequence[str] = ()
    colors: Mapping[str, RGB] = field(default_factory=dict)
    is_afresh: bool = False
