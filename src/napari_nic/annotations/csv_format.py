"""Tables of measurements as text, both ways: one shape a row.

Where a shape is stands in a column of well-known text, in its box (minx, miny, width, height, as WSInfer
has it), or in its centre (QuPath's "Centroid X px", x and y). Numbers in other columns are measurements.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import shapely

from napari_nic.annotations.building import BadShapeError, Drawn, build_set
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.slide_extent import Unit
from napari_nic.annotations.tables import DETAILS, FIRST, Columns, rows_of
from napari_nic.annotations.wkt import drawn_of, geometry_of_text
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES

MAX_FIELD = 2**28
"""Characters of one outline."""

_WKT = ("wkt", "geometry", "geom", "the_geom", "location")
_BOX = ("minx", "miny", "width", "height")
_CENTRE = re.compile(r"(?:centroid )?([xy])(?:[ _]?\(?(px|um|µm|μm|microns?)\)?)?", re.IGNORECASE)
_LABELS = ("class", "classification", "label", "group", "category", "name")

Place = Callable[[Mapping[str, str], str], Drawn]


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a table that says where its rows are."""
    return _place(_header(head)) is not None


def unit(head: bytes) -> Unit:
    """What the coordinates of a table that begins with `head` count in: its columns say so."""
    axes = _centre_columns(_header(head))
    return "um" if axes and _unit_of(axes[0]) == "um" else "px"


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it has no header that says where its rows are, or no row can be understood; names the row.
    """
    try:
        with _long_fields():
            drawn, columns = _rows(path, token)
    except (csv.Error, UnicodeDecodeError) as error:
        raise AnnotationError("not a readable table", path=path, found=f"{error}") from error
    return build_set(drawn, path, colors=columns.colors, token=token)


def _rows(path: Path, token: CancellationToken | None) -> tuple[list[Drawn], Columns]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        names = _split(first)
        found = _place(names)
        if found is None:
            raise AnnotationError("the table does not say where its rows are", path=path, found=first[:80])
        place, used = found
        columns = Columns(names, used)
        drawn = []
        rows = csv.DictReader(file, names, delimiter=_delimiter(first), restval="")
        for number, row in enumerate(checked(rows, token), 2):
            where = f"row {number}"
            try:
                shape = place(row, where)
                columns.describe(shape, row)
            except BadShapeError as error:
                shape = Drawn(where, "", "polygon", [], damage=str(error))
            drawn.append(shape)
    return drawn, columns


def _header(head: bytes) -> list[str]:
    text = head.decode("utf-8-sig", errors="replace")
    line = text.partition("\n")[0].rstrip("\r")
    return _split(line) if (line and line.isprintable()) or "\t" in line else []


def _split(line: str) -> list[str]:
    try:
        row = next(csv.reader(io.StringIO(line), delimiter=_delimiter(line)), [])
    except csv.Error:
        return []
    return row if len(row) > 1 else []


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _place(names: Sequence[str]) -> tuple[Place, tuple[str, ...]] | None:
    """Return how rows are placed, and by which columns; None if they have no place."""
    lowered = {name.strip().lower(): name for name in names}
    column = next((lowered[word] for word in _WKT if word in lowered), None)
    if column is not None:
        return partial(_by_text, column), (column,)
    if all(word in lowered for word in _BOX):
        box = tuple(lowered[word] for word in _BOX)
        return partial(_by_box, box), box
    axes = _centre_columns(names)
    if axes and any(word in lowered for word in _LABELS):
        return partial(_by_centre, axes), axes
    return None


def _by_text(column: str, row: Mapping[str, str], where: str) -> Drawn:
    return drawn_of(geometry_of_text(row[column] or ""), where)


def _by_box(columns: Sequence[str], row: Mapping[str, str], where: str) -> Drawn:
    left, top, width, height = (_number(row, name) for name in columns)
    right, bottom = left + width, top + height
    return Drawn(where, "", "rectangle", [[[(left, top), (right, top), (right, bottom), (left, bottom)]]])


def _by_centre(columns: Sequence[str], row: Mapping[str, str], where: str) -> Drawn:
    return Drawn(where, "", "point", [tuple(_number(row, name) for name in columns)])


def _centre_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Columns of x and y in one unit; those in pixels first."""
    found: dict[str, dict[str, str]] = {"px": {}, "um": {}}
    for name in names:
        match = _CENTRE.fullmatch(name.strip())
        if match is not None:
            found[_unit_of(name)].setdefault(match.group(1).lower(), name)
    return next(((axes["x"], axes["y"]) for axes in found.values() if len(axes) == 2), ())


def _unit_of(name: str) -> str:
    match = _CENTRE.fullmatch(name.strip())
    return "px" if match is None or match.group(2) in (None, "px", "PX") else "um"


def _number(row: Mapping[str, str], name: str) -> float:
    try:
        return float(row[name])
    except (ValueError, TypeError):
        raise BadShapeError(f"{name} that is no number: {str(row[name])[:40]!r}") from None


@contextmanager
def _long_fields() -> Iterator[None]:
    """Outlines are longer than what Python takes for one field."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write one row a shape, its place as well-known text in pixels, its measurements in columns.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.
    """
    columns, rows = rows_of(annotations)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, [*FIRST, *columns, DETAILS, "wkt"], restval="", lineterminator="\n")
        table.writeheader()
        for annotation, row in zip(checked(annotations.annotations, token), rows, strict=True):
            row["wkt"] = shapely.to_wkt(annotation.geometry, rounding_precision=-1)
            table.writerow({name: _safe(value) for name, value in row.items()})
    return ()


def _safe(value: object) -> object:
    """Without halves of characters, which no file can hold."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


FORMAT = AnnotationFormat(
    "CSV of measurements", ANNOTATION_SUFFIXES["csv"], recognises, read, write, unit=unit
)
