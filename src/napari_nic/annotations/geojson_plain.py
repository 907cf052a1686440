"""Features as programs write them by the hundred thousand, understood many at a time.

What is plain: a feature with a Polygon of one closed ring, whose properties say no more than any other's. All
else is for :mod:`~napari_nic.annotations.geojson_format`, which this gives the same result as.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations.building import MAX_COORDINATE, Drawn

CORNERS_OF_RECTANGLE = 5
"""A ring of so many points may be a rectangle."""

FEWEST_POINTS = 4
"""Of a closed ring that may have an area."""

_UNUSUAL = frozenset(
    ("id", "type", "color", "colorRGB", "lineColor", "object_type", "childObjects", "children")
)
"""Properties (and members of a feature but for its id and type) that are not plain."""
_NO_CLASS: dict[str, Any] = {}
_OWN = frozenset(("name", "classification"))

NoteClass = Callable[[Mapping[str, Any]], str]
"""``note_class(properties)`` gives the label of a feature, and notes its colour."""


class PlainFeatures:
    """Remembers classes and properties that many features share.

    Parameters
    ----------
    note_class : callable
        Called for the first feature of every class.
    not_identities : collection of str
        Ids that are none.
    """

    def __init__(self, note_class: NoteClass, not_identities: Mapping[str, str]) -> None:
        self._note_class = note_class
        self._not_identities = not_identities
        self._labels: dict[Any, str] = {}
        self._extras: dict[Any, dict[str, Any]] = {}
        self._alike: dict[Any, tuple[dict[str, Any], str, str, dict[str, Any]]] = {}

    def drawn(self, feature: Any, where: str) -> Drawn | None:
        """Return the shape of a feature, or None if it is not plain."""
        if type(feature) is not dict or feature.get("type") != "Feature":
            return None
        geometry, properties = feature.get("geometry"), feature.get("properties")
        identity = feature.get("id", "")
        if type(geometry) is not dict or type(properties) is not dict or type(identity) is not str:
            return None
        ring = _ring_of(geometry)
        if ring is None or identity in self._not_identities or not identity.isascii():
            return None
        if len(feature) == 3 + ("id" in feature):
            said = self._said_alike(properties)
            if said is not None:
                label, name, extra = said
                return Drawn(where, label, "polygon", [[ring]], name, identity, extra)
        return self._drawn_one(feature, where, ring, identity)

    def _said_alike(self, properties: dict[str, Any]) -> tuple[str, str, dict[str, Any]] | None:
        """Class, name and the rest of properties that were understood before, whole, in the same class."""
        given = properties.get("classification")
        name = given.get("name") if type(given) is dict else None
        known = self._alike.get(name) if type(name) is str else None
        return known[1:] if known is not None and known[0] == properties else None

    def _drawn_one(self, feature: dict[str, Any], where: str, ring: list[Any], identity: str) -> Drawn | None:
        """Understand a feature by itself, and remember what it says if others may say the same."""
        properties = feature["properties"]
        if not _UNUSUAL.isdisjoint(properties):
            return None
        name = properties.get("name", "")
        if type(name) is not str or not name.isascii():
            return None  # before its class is noted, which counts what of its name has to be replaced
        label = self._label(properties)
        if label is None:
            return None
        extra = self._extra(feature, properties)
        if extra is None:
            return None
        if (
            len(feature) == 3 + ("id" in feature)
            and not name
            and type(properties.get("classification")) is dict
        ):
            self._alike[properties["classification"].get("name")] = properties, label, name, extra
        return Drawn(where, label, "polygon", [[ring]], name, identity, extra)

    def _label(self, properties: dict[str, Any]) -> str | None:
        """Label of a feature whose class is written as QuPath does."""
        if "objectType" not in properties:
            return None
        given = properties.get("classification", _NO_CLASS)
        if type(given) is not dict:
            return None
        name, names, color = given.get("name", ""), given.get("names", []), given.get("color", [])
        if len(given) != ("name" in given) + ("names" in given) + ("color" in given):
            return None
        if type(name) is not str or type(names) is not list or type(color) is not list:
            return None
        try:
            key = (name, *names, None, *color)
            label = self._labels.get(key)
        except TypeError:  # lists in lists
            return None
        if label is None and all(map(_is_plain_word, (name, *names))):
            label = self._labels[key] = self._note_class(properties)
        return label

    def _extra(self, feature: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any] | None:
        """What is said beside shape and class; one object for all features that say the same."""
        rest = {key: value for key, value in properties.items() if key not in _OWN}
        if isinstance(rest.get("measurements"), list):
            return None
        if len(feature) > 3 + ("id" in feature):
            more = {k: v for k, v in feature.items() if k not in ("type", "id", "geometry", "properties")}
            return None if not _UNUSUAL.isdisjoint(more) else more | ({"properties": rest} if rest else {})
        extra = {"properties": rest} if rest else {}
        if all(type(value) is str for value in rest.values()):
            return self._extras.setdefault(tuple(rest.items()), extra)
        return extra


def _is_plain_word(text: Any) -> bool:
    """Whether nothing of a name has to be replaced, so that it need not be counted."""
    return type(text) is str and text.isascii()


def _ring_of(geometry: dict[str, Any]) -> list[Any] | None:
    """Return the ring of a polygon that is made of one, closed, and no rectangle."""
    if geometry.get("type") != "Polygon" or len(geometry) != 2:
        return None
    rings = geometry.get("coordinates")
    if type(rings) is not list or len(rings) != 1 or type(rings[0]) is not list:
        return None
    ring = rings[0]
    closed = len(ring) >= FEWEST_POINTS and ring[0] == ring[-1]
    return ring if closed and len(ring) != CORNERS_OF_RECTANGLE else None


def make_areas(shapes: Sequence[Drawn]) -> None:
    """Make the polygons of plain shapes, all at once; none if any has a coordinate that is no plain number.

    Each shape's own coordinates are then looked at when the shapes are built, which names those that are bad.
    """
    rings = [shape.parts[0][0] for shape in shapes]
    points = list(chain.from_iterable(rings))
    if not shapes or set(map(type, points)) != {list} or set(map(len, points)) != {2}:
        return
    if not set(map(type, chain.from_iterable(points))) <= {int, float}:
        return
    try:
        numbers = np.fromiter(chain.from_iterable(points), np.float64, 2 * len(points))
    except OverflowError:
        return
    if not np.abs(numbers).max() <= MAX_COORDINATE:  # nor if it is NaN
        return
    ends = np.zeros(len(rings) + 1, np.int64)
    np.cumsum(list(map(len, rings)), out=ends[1:])
    offsets = (ends, np.arange(len(rings) + 1))
    areas = shapely.from_ragged_array(shapely.GeometryType.POLYGON, numbers.reshape(-1, 2), offsets)
    for shape, area in zip(shapes, areas, strict=True):
        shape.area, shape.parts = area, []
