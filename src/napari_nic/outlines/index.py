"""Very many outlines by place: what lies in a box, what is under a point, and what was changed."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import shapely

from napari_nic.annotations import AnnotationSet
from napari_nic.jobs import CancellationToken, checked

MAX_CHANGED = 4096
"""So many changed outlines are kept beside the trees before they are built anew."""

PLANTED_AT_ONCE = 2**16
"""Outlines of a tree: it is built in one call, in which no other thread does anything."""


@dataclass(frozen=True, eq=False)
class Found:
    """Outlines in a box, in the order in which they were put.

    Attributes
    ----------
    geometries : ndarray of shapely geometries, (n,)
        In level-0 pixels, (x, y).
    classes : ndarray of int32, (n,)
        Indices into :attr:`OutlineIndex.labels`.
    boxes : ndarray of float64, (n, 4)
        (left, top, right, bottom) in level-0 pixels.
    """

    geometries: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray

    def where(self, chosen: np.ndarray) -> Found:
        """Return those at the indices, or under the mask, `chosen`."""
        return Found(self.geometries[chosen], self.classes[chosen], self.boxes[chosen])

    def __len__(self) -> int:
        return len(self.classes)


class OutlineIndex:
    """Outlines with their ids and labels, in trees by their boxes.

    May be read from several threads while one changes it.

    Parameters
    ----------
    geometries : sequence of shapely geometries
        In level-0 pixels, (x, y); not empty.
    labels : sequence of str
        One a geometry.
    ids : sequence, optional
        One a geometry, no two alike; by default their numbers.
    token : CancellationToken, optional
        Asked at each tree.

    Attributes
    ----------
    labels : tuple of str
        Labels that there are or were, in the order in which they came; one keeps its place.
    """

    def __init__(
        self,
        geometries: Sequence[Any],
        labels: Sequence[str],
        ids: Sequence[Hashable] | None = None,
        token: CancellationToken | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._geometries = np.array([*geometries, None], object)[:-1]
        self._ids: Sequence[Hashable] = range(len(self._geometries)) if ids is None else list(ids)
        places: dict[str, int] = {}
        self._classes = np.array([places.setdefault(label, len(places)) for label in labels], np.int32)
        if not len(self._geometries) == len(self._classes) == len(self._ids):
            raise ValueError("as many labels and ids as geometries are expected")
        self._places = places
        self.labels = tuple(places)
        self._boxes = shapely.bounds(self._geometries).reshape(-1, 4)
        self._shown = np.ones(len(self._geometries), bool)
        self._rows: dict[Hashable, int] | None = None
        self._hidden: frozenset[str] = frozenset()
        self._plant(token)

    @classmethod
    def of(cls, annotations: AnnotationSet) -> Self:
        """Index all shapes of a set; their ids are their numbers in it."""
        shapes = annotations.annotations
        return cls([shape.geometry for shape in shapes], [shape.label for shape in shapes])

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, identity: object) -> bool:
        return identity in self._row_of

    # -- what is there -----------------------------------------------------------------------------------

    def ids(self) -> tuple[Hashable, ...]:
        """All ids, those of outlines that are hidden too."""
        with self._lock:
            return tuple(self._row_of)

    def geometry(self, identity: Hashable) -> Any:
        """Outline of an id, in level-0 pixels, (x, y)."""
        return self._geometries[self._row_of[identity]]

    def label(self, identity: Hashable) -> str:
        """Label of an id."""
        return self.labels[self._classes[self._row_of[identity]]]

    def counts(self) -> dict[str, int]:
        """Number of outlines of each label; labels that none has any more are left out."""
        with self._lock:
            rows = np.fromiter(self._row_of.values(), np.int64, len(self._row_of))
            numbers = np.bincount(self._classes[rows], minlength=len(self.labels))
        return {label: int(n) for label, n in zip(self.labels, numbers, strict=True) if n}

    def extent(self) -> tuple[float, float]:
        """How far right and down the outlines reach, in level-0 pixels; 0 without any."""
        with self._lock:
            if not len(self._boxes):
                return 0.0, 0.0
            right, bottom = self._boxes[:, 2:].max(axis=0)
        return float(right), float(bottom)

    def found(self, left: float, top: float, right: float, bottom: float) -> Found:
        """What is shown and whose box touches a box of level-0 pixels."""
        with self._lock:
            rows = self._rows_in(shapely.box(left, top, right, bottom))
            return Found(self._geometries[rows], self._classes[rows], self._boxes[rows])

    def inside(self, left: float, top: float, right: float, bottom: float) -> list[Hashable]:
        """Ids of what is shown and lies within a box of level-0 pixels as a whole."""
        with self._lock:
            rows = self._rows_in(shapely.box(left, top, right, bottom))
            boxes = self._boxes[rows]
            within = (boxes >= (left, top, -np.inf, -np.inf)) & (boxes <= (np.inf, np.inf, right, bottom))
            return [self._ids[row] for row in rows[within.all(axis=1)]]

    def at(self, x: float, y: float, reach: float = 0.0) -> Hashable | None:
        """Id of what a point shows: the smallest area that holds it, else the nearest outline in reach.

        Parameters
        ----------
        x, y : float
            Level-0 pixels.
        reach : float
            How far beside a line or area the point may lie, in level-0 pixels.
        """
        point = shapely.Point(x, y)
        with self._lock:
            rows = self._rows_in(point if not reach else point.buffer(reach).envelope)
            if not len(rows):
                return None
            geometries = self._geometries[rows]
            distances, sizes = shapely.distance(geometries, point), shapely.area(geometries)
            near = np.flatnonzero(distances <= reach)
            if not len(near):
                return None
            # Lines and marks first, which lie on areas; then areas that hold the point, then those beside it.
            ranks = np.where(sizes == 0, 0, np.where(distances == 0, 1, 2))
            measure = np.where(ranks == 1, sizes, distances)
            best = near[np.lexsort((-rows[near], measure[near], ranks[near]))[0]]
            return self._ids[rows[best]]

    # -- changes -----------------------------------------------------------------------------------------

    def replace(self, changes: Mapping[Hashable, tuple[Any, str] | None]) -> np.ndarray:
        """Change outlines, add those of new ids, and remove those that become None.

        Parameters
        ----------
        changes : mapping of id to (geometry, label) or None

        Returns
        -------
        ndarray of float64, (n, 4)
            Boxes of what is to be drawn anew, before and after, in level-0 pixels.
        """
        with self._lock:
            old = self._forget(changes)
            put = {identity: change for identity, change in changes.items() if change is not None}
            added = self._append(put)
            return np.concatenate([old, added])

    def set_shown(self, ids: Iterable[Hashable], shown: bool) -> np.ndarray:
        """Hide outlines or show them again; those that are hidden are found nowhere.

        Returns
        -------
        ndarray of float64, (n, 4)
            Boxes of those that were not so before.
        """
        with self._lock:
            rows = np.array([self._row_of[identity] for identity in ids], np.int64)
            rows = rows[self._shown[rows] != shown]
            self._shown[rows] = shown
            return self._boxes[rows]

    def hide(self, labels: Iterable[str]) -> bool:
        """Let outlines of these labels be found nowhere, and all others again; whether that is new."""
        with self._lock:
            hidden, before = frozenset(labels), self._hidden
            self._hidden = hidden
            return hidden != before

    def _forget(self, ids: Iterable[Hashable]) -> np.ndarray:
        rows = [row for identity in ids if (row := self._row_of.pop(identity, None)) is not None]
        self._shown[rows] = False
        return self._boxes[rows].reshape(-1, 4)

    def _append(self, put: Mapping[Hashable, tuple[Any, str]]) -> np.ndarray:
        for _, label in put.values():
            self._places.setdefault(label, len(self._places))
        self.labels = tuple(self._places)
        geometries = np.array([*(geometry for geometry, _ in put.values()), None], object)[:-1]
        classes = np.array([self._places[label] for _, label in put.values()], np.int32)
        boxes = shapely.bounds(geometries).reshape(-1, 4)
        first = len(self._geometries)
        if not isinstance(self._ids, list):
            self._ids = list(self._ids)
        self._ids.extend(put)
        self._row_of.update(zip(put, range(first, first + len(put)), strict=True))
        self._geometries = np.concatenate([self._geometries, geometries])
        self._classes = np.concatenate([self._classes, classes])
        self._boxes = np.concatenate([self._boxes, boxes])
        self._shown = np.concatenate([self._shown, np.ones(len(put), bool)])
        if len(self._geometries) - self._planted > MAX_CHANGED:
            self._clear_away()
            self._plant()
        return boxes

    def _clear_away(self) -> None:
        """Let go of the rows of what was removed or changed since."""
        kept = np.fromiter(self._row_of.values(), np.int64, len(self._row_of))
        self._ids, self._rows = list(self._row_of), None
        self._geometries, self._classes = self._geometries[kept], self._classes[kept]
        self._boxes, self._shown = self._boxes[kept], self._shown[kept]

    # -- the tree ----------------------------------------------------------------------------------------

    @property
    def _row_of(self) -> dict[Hashable, int]:
        if self._rows is None:
            self._rows = {identity: row for row, identity in enumerate(self._ids)}
        return self._rows

    def _plant(self, token: CancellationToken | None = None) -> None:
        """Build trees of all rows; those that come later are looked at one by one."""
        self._planted = len(self._geometries)
        self._trees: list[tuple[int, shapely.STRtree]] = []
        for start in checked(range(0, self._planted, PLANTED_AT_ONCE), token):
            tree = shapely.STRtree(self._geometries[start : start + PLANTED_AT_ONCE])
            tree.query(shapely.Point(0, 0))  # only now it is built
            self._trees.append((start, tree))

    def _rows_in(self, area: Any) -> np.ndarray:
        """Rows of what is shown and whose box touches that of an area, sorted."""
        planted = [start + np.sort(tree.query(area)) for start, tree in self._trees]
        left, top, right, bottom = area.bounds
        late = self._boxes[self._planted :]
        touching = (late[:, 0] <= right) & (late[:, 2] >= left) & (late[:, 1] <= bottom) & (late[:, 3] >= top)
        rows = np.concatenate([*planted, self._planted + np.flatnonzero(touching)])
        rows = rows[self._shown[rows]]
        if not self._hidden:
            return rows
        is_seen = np.array([label not in self._hidden for label in self.labels])
        return rows[is_seen[self._classes[rows]]]
