"""Lines of the journal of a document: a checksum and one JSON object each; no line depends on another one."""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import KINDS, RGB, Annotation
from napari_nic.annotations.details import measurements_of, written_number
from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.edits import Classes
from napari_nic.editing.kept import KeptLayer
from napari_nic.editing.objects import AnnotationObject, Edited

CHECKSUM_DIGITS = 8
MOST_COORDINATE = 2.0**31
"""No slide has so many pixels, see :mod:`napari_nic.annotations`."""

MOST_KEY = 9
"""Digits of the keyboard."""

_TYPES: dict[str, tuple[str, ...]] = {
    "polygon": ("Polygon", "MultiPolygon"),
    "rectangle": ("Polygon", "MultiPolygon"),
    "spline": ("Polygon", "MultiPolygon"),
    "ellipse": ("Polygon", "MultiPolygon"),
    "line": ("LineString", "MultiLineString"),
    "arrow": ("LineString", "MultiLineString"),
    "measurement": ("LineString", "MultiLineString"),
    "point": ("Point",),
    "points": ("MultiPoint", "Point"),
}
"""By kind, what its geometry may be."""


class BadLineError(ValueError):
    """A line that was not written so: damaged, or torn."""


@dataclass(frozen=True)
class Ranked:
    """An object and its place in the document.

    Attributes
    ----------
    rank : int
    item : AnnotationObject
    home : str
        Key of the layer that shows it; empty if none does.
    """

    rank: int
    item: AnnotationObject
    home: str = ""


def line_of(value: Mapping[str, Any]) -> bytes:
    """Write a value as a line."""
    text = json.dumps(value, separators=(",", ":"), default=_plain_number).encode("utf-8", "surrogatepass")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def value_of(line: bytes) -> dict[str, Any]:
    """Read a line.

    Raises
    ------
    BadLineError
        If it is not whole.
    """
    text = line[CHECKSUM_DIGITS + 1 : -1]
    if not line.endswith(b"\n") or line[CHECKSUM_DIGITS : CHECKSUM_DIGITS + 1] != b" ":
        raise BadLineError("it is not whole")
    try:
        if int(line[:CHECKSUM_DIGITS], 16) != zlib.crc32(text):
            raise BadLineError("its checksum is another one")
        value = json.loads(text.decode("utf-8", "surrogatepass"))
    except RecursionError as error:
        raise BadLineError("it is nested without end") from error
    except ValueError as error:
        raise BadLineError(f"{error}") from error
    if not isinstance(value, dict):
        raise BadLineError("it is no object")
    return value


def object_value(rank: int, item: AnnotationObject, home: str = "") -> dict[str, Any]:
    """Return an object, and the key of the layer that shows it, as JSON; coordinates are kept bit by bit."""
    annotation = item.annotation
    value: dict[str, Any] = {
        "id": item.id,
        "rank": rank,
        "label": annotation.label,
        "kind": annotation.kind,
        "wkb": base64.b64encode(shapely.to_wkb(annotation.geometry)).decode(),
    }
    own: dict[str, Any] = {
        "name": annotation.name,
        "file_id": annotation.id,
        "extra": dict(annotation.extra),
        "color": item.color,
        "locked": item.locked,
        "parent": item.parent,
        "measurements": {name: written_number(number) for name, number in item.measurements.items()},
        "metadata": dict(item.metadata),
        "by": item.edited.by,
        "at": item.edited.at,
        "in": home,
    }
    return value | {key: part for key, part in own.items() if part}


Places = Mapping[str, shapely.Geometry]
"""Geometries by the text that they were read from, see :func:`places_of`."""


def places_of(values: Iterable[Any]) -> Places:
    """Read the geometries of many objects in few calls; those of them that are right.

    Parameters
    ----------
    values : iterable of JSON values
        Objects of :func:`object_value`; what is none is passed over.
    """
    texts = [
        value["wkb"] for value in values if isinstance(value, dict) and isinstance(value.get("wkb"), str)
    ]
    try:
        binaries = [base64.b64decode(text, validate=True) for text in texts]
    except (binascii.Error, ValueError):  # one of them: each is read for itself, and the bad one told
        return {}
    geometries = shapely.from_wkb(binaries, on_invalid="ignore") if binaries else np.empty(0, object)
    bounds = shapely.bounds(geometries)
    inside = (np.abs(bounds) <= MOST_COORDINATE).all(axis=1)  # of nothing it is NaN, which is not
    good = inside & shapely.is_valid(geometries)
    read = zip(texts, geometries, good, strict=True)
    return {text: geometry for text, geometry, is_good in read if is_good}


def object_from(value: Any, places: Places | None = None) -> Ranked:
    """Read an object.

    Parameters
    ----------
    value : JSON value
    places : mapping, optional
        Geometries that were read already.

    Raises
    ------
    BadLineError
        If it is none.
    """
    if not isinstance(value, dict):
        raise BadLineError("an object that is none")
    rank, kind = value.get("rank"), KINDS.get(str(value.get("kind")))
    if kind is None:
        raise BadLineError(f"an object of unknown kind {str(value.get('kind'))[:40]!r}")
    if not isinstance(rank, int) or isinstance(rank, bool):
        raise BadLineError("an object without a rank")
    extra, metadata = value.get("extra", {}), value.get("metadata", {})
    if not isinstance(extra, dict) or not isinstance(metadata, dict):
        raise BadLineError("details that are no table")
    annotation = Annotation(
        _text(value, "label", needed=True),
        kind,
        _geometry(value.get("wkb"), kind, places or {}),
        _text(value, "name"),
        _text(value, "file_id"),
        extra,
    )
    item = AnnotationObject(
        _text(value, "id", needed=True),
        annotation,
        color=_color(value.get("color")),
        locked=value.get("locked", False) is True,
        parent=_text(value, "parent"),
        measurements=measurements_of(value.get("measurements", {})),
        metadata={str(key): str(part) for key, part in metadata.items()},
        edited=Edited(_text(value, "by"), _text(value, "at")),
    )
    return Ranked(rank, item, _text(value, "in"))


def classes_value(classes: Classes) -> list[dict[str, Any]]:
    """Return classes as JSON."""
    return [asdict(entry) for entry in classes]


def classes_from(value: Any) -> Classes:
    """Read classes.

    Raises
    ------
    BadLineError
        If they are none.
    """
    if not isinstance(value, list):
        raise BadLineError("classes that are no list")
    classes = []
    for entry in value:
        if not isinstance(entry, dict) or (color := _color(entry.get("color"))) is None:
            raise BadLineError("a class that is none")
        key = entry.get("key")
        is_digit = isinstance(key, int) and not isinstance(key, bool) and 0 < key <= MOST_KEY
        classes.append(
            DrawingClass(
                _text(entry, "name", needed=True),
                color,
                visible=entry.get("visible") is not False,
                locked=entry.get("locked") is True,
                key=key if is_digit else None,
            )
        )
    return tuple(classes)


def layers_value(layers: Sequence[KeptLayer]) -> list[dict[str, str]]:
    """Return layers as JSON."""
    return [asdict(layer) for layer in layers]


def layers_from(value: Any) -> tuple[KeptLayer, ...]:
    """Read layers.

    Raises
    ------
    BadLineError
        If they are none.
    """
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadLineError("layers that are no list")
    return tuple(
        KeptLayer(_text(entry, "key", needed=True), _text(entry, "name"), _text(entry, "path"))
        for entry in value
    )


def _geometry(text: Any, kind: str, places: Places) -> shapely.Geometry:
    if not isinstance(text, str):
        raise BadLineError("an object without a place")
    known = places.get(text)
    if known is not None and known.geom_type in _TYPES[kind]:
        return known
    try:
        geometry = shapely.from_wkb(base64.b64decode(text, validate=True))
    except (shapely.GEOSException, binascii.Error, ValueError) as error:
        raise BadLineError(f"a place that cannot be read: {error}") from error
    if geometry.geom_type not in _TYPES[kind]:
        raise BadLineError(f"a {kind} that is a {geometry.geom_type}")
    bounds = geometry.bounds
    if geometry.is_empty or not all(math.isfinite(side) and abs(side) <= MOST_COORDINATE for side in bounds):
        raise BadLineError("a place beyond any slide")
    if not shapely.is_valid(geometry):
        raise BadLineError("an outline that crosses itself")
    return geometry


def _text(value: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
    found = value.get(key, "")
    if not isinstance(found, str) or (needed and not found):
        raise BadLineError(f"{key}: {str(found)[:40]!r}")
    return found


def _color(value: Any) -> RGB | None:
    if value is None:
        return None
    is_list = isinstance(value, list) and len(value) == 3
    if not is_list or not all(isinstance(part, int) and 0 <= part < 256 for part in value):
        raise BadLineError("a colour that is none")
    return int(value[0]), int(value[1]), int(value[2])


def _plain_number(value: Any) -> Any:
    """Numbers of NumPy, which some readers leave in the details, as those of JSON."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be kept")
