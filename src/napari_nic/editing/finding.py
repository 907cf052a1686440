"""Where a document's objects are: what lies under a point, within a box, across a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Point

from napari_nic.editing.document import Document
from napari_nic.editing.edits import Edit
from napari_nic.editing.objects import AnnotationObject

MOST_CHANGED = 500
"""So many objects are looked through one by one before the tree is made anew: 0.3 s for 100,000 of them."""


class ObjectIndex:
    """Finds objects of a document by place, and follows its edits.

    Parameters
    ----------
    document : Document
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._changed: dict[str, None] = {}
        self._build()
        self.close: Callable[[], None] = document.watch(self._on_edit)
        """Ends it."""

    def touching(self, geometry: Any) -> list[AnnotationObject]:
        """Return the visible objects that a geometry touches, those drawn last first."""
        if len(self._changed) > MOST_CHANGED:
            self._build()
        found = {str(identity) for identity in self._ids[self._tree.query(geometry, predicate="intersects")]}
        found -= self._changed.keys()
        for identity in self._changed:
            if identity in self._document:
                shape = self._document[identity].annotation.geometry
                if shapely.intersects(shape, geometry):
                    found.add(identity)
        ranks = self._document.ranks
        items = [self._document[identity] for identity in sorted(found, key=lambda i: -ranks[i])]
        return [item for item in items if self.is_visible(item)]

    def at(self, xy: tuple[float, float], reach_px: float) -> list[AnnotationObject]:
        """Return the objects at a point: lines and points within reach first, then areas, the smallest first.

        Parameters
        ----------
        xy : (x, y)
            Level-0 pixels.
        reach_px : float
            How far off a line, a point or the outline of an area may lie.
        """
        items = self.touching(Point(xy).buffer(reach_px) if reach_px > 0 else Point(xy))
        return sorted(items, key=lambda item: (item.annotation.is_area, item.annotation.geometry.area))

    def is_visible(self, item: AnnotationObject) -> bool:
        """Whether the class of an object is shown."""
        entry = self._document.class_named(item.label)
        return entry is None or entry.visible

    def _build(self) -> None:
        objects = self._document.objects()
        self._ids = np.array([item.id for item in objects], object)
        self._tree = shapely.STRtree([item.annotation.geometry for item in objects])
        self._changed.clear()

    def _on_edit(self, edit: Edit) -> None:
        self._changed |= dict.fromkeys(edit.after)
