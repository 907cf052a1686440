"""Rows of tables, one a shape, as CSV and GeoParquet have them: which column says what."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari_nic.annotations.building import Drawn
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import details, extra_of, measurements, measurements_of
from napari_nic.annotations.json_files import plain_text
from napari_nic.annotations.model import AnnotationSet, Kind
from napari_nic.colors import RGB, from_hex, to_hex

ID, LABEL, NAME, KIND, COLOR, DETAILS = "id", "class", "name", "kind", "color", "details"

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    ID: ("object id", "index", "__index_level_0__", "cell_id", "annotation_id"),
    LABEL: ("classification", "label", "group", "category", "class_name", "term", "cell_type"),
    NAME: (),
    KIND: (),
    COLOR: ("colour",),
    DETAILS: (),
}

_SAME_FORM: dict[str, tuple[Kind, ...]] = {
    "polygon": ("polygon", "rectangle", "ellipse", "spline"),
    "line": ("line", "arrow", "measurement"),
    "point": ("point",),
    "points": ("points",),
}


class Columns:
    """Which columns of a table say what.

    Parameters
    ----------
    names : sequence of str
        All columns.
    used : iterable of str
        Those that say where the shapes are.
    """

    def __init__(self, names: Sequence[str], used: Iterable[str]) -> None:
        lowered = {name.strip().lower(): name for name in reversed(names)}
        self._of = {
            meaning: next((lowered[word] for word in (meaning, *others) if word in lowered), None)
            for meaning, others in _OTHER_NAMES.items()
        }
        if self._of[LABEL] is None:
            self._of[LABEL], self._of[NAME] = self._of[NAME], None
        taken = {*used, *(name for name in self._of.values() if name is not None)}
        self.rest = [name for name in names if name not in taken]
        self.colors: dict[str, RGB] = {}

    def describe(self, drawn: Drawn, row: Mapping[str, Any]) -> None:
        """Give a shape what its row says beside its place; numbers in other columns are measurements."""
        drawn.label = self._text(row, LABEL) or UNCLASSIFIED
        drawn.name, drawn.id = self._text(row, NAME), self._text(row, ID)
        kind = self._text(row, KIND)
        if kind in _SAME_FORM.get(drawn.kind, ()):
            drawn.kind = kind
        color = from_hex(self._text(row, COLOR))
        if color is not None:
            self.colors.setdefault(drawn.label, color)
        rest = _details(self._text(row, DETAILS))
        stored = rest.pop("measurements", {})
        texts = {name: row[name] for name in self.rest if _number(row.get(name)) is None}
        others = {name: text for name, value in texts.items() if (text := plain_text(value))}
        if others:
            rest["columns"] = others
        numbers = {name: value for name in self.rest if (value := _number(row.get(name))) is not None}
        drawn.extra = extra_of(numbers | measurements_of(stored), rest)

    def _text(self, row: Mapping[str, Any], meaning: str) -> str:
        name = self._of[meaning]
        return "" if name is None else plain_text(row.get(name)).strip()


def rows_of(annotations: AnnotationSet) -> tuple[list[str], list[dict[str, Any]]]:
    """Return names of the measurements' columns, and a row for each shape without its place."""
    found = [measurements(a) for a in annotations.annotations]
    names = dict.fromkeys(name for values in found for name in values)
    columns = [name for name in names if name.lower() not in _TAKEN and name == name.strip() != ""]
    rows = []
    for annotation, values in zip(annotations.annotations, found, strict=True):
        rest = details(annotation)
        shown = {name: values[name] for name in columns if name in values and math.isfinite(values[name])}
        hidden = {name: f"{value}" for name, value in values.items() if name not in shown}
        if hidden:
            rest["measurements"] = hidden
        described = {
            ID: annotation.id,
            LABEL: "" if annotation.label == UNCLASSIFIED else annotation.label,
            NAME: annotation.name,
            KIND: annotation.kind,
            COLOR: to_hex(annotations.colors[annotation.label]),
            DETAILS: json.dumps(rest) if rest else "",
        }
        rows.append(shown | described)
    return columns, rows


RESERVED = {
    *("wkt", "geometry", "geom", "the_geom", "location", "radius"),
    *("x", "y", "minx", "miny", "width", "height"),
}
"""Columns that say where a shape is."""

_TAKEN = RESERVED | {word for meaning, others in _OTHER_NAMES.items() for word in (meaning, *others)}

FIRST = (ID, LABEL, NAME, KIND, COLOR)


def _details(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {"columns": {DETAILS: text}}
    return found if isinstance(found, dict) else {"columns": {DETAILS: text}}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if isinstance(value, float) and math.isnan(value) else number
