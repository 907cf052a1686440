"""GeoParquet tables, also the shapes of SpatialData, both ways; needs pyarrow.

Of SpatialData, name the file `shapes.parquet` in its folder: what the folder says of its coordinates is
applied, and its "global" system is taken for pixels of level 0. Points with a radius are discs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations.building import BadShapeError, Drawn, build_set, malformed
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.tables import DETAILS, FIRST, Columns, rows_of
from napari_nic.annotations.wkt import drawn_of
from napari_nic.errors import AnnotationError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ANNOTATION_SUFFIXES

GEOMETRY, RADIUS = "geometry", "radius"
WHAT = "GeoParquet files"
MAX_BYTES = 2**28
"""A table is unpacked whole: some million outlines."""

_ENCODINGS = ("WKB", "wkb")


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a Parquet table."""
    return head.startswith(b"PAR1")


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; see the module's text.

    Raises
    ------
    AnnotationError
        If it has no column of geometries, or none can be understood; names the row.
    MissingDependencyError
        If pyarrow is not installed.
    """
    table = _table(path)
    column = _geometry_column(table, path)
    names = [name for name in table.column_names if name != column]
    columns = Columns(names, [RADIUS] if RADIUS in names else [])
    geometries = _geometries(table.column(column).to_pylist(), token)
    matrix, notes = _transform_of(path)
    rows = table.select(names).to_pylist() if names else [{}] * len(geometries)
    drawn = []
    for number, (geometry, row) in enumerate(zip(geometries, checked(rows, token), strict=True)):
        where = f"row {number}"
        try:
            shape = drawn_of(_placed(geometry, row.get(RADIUS), matrix), where)
            columns.describe(shape, row)
        except BadShapeError as error:
            shape = Drawn(where, "", "polygon", [], damage=str(error))
        drawn.append(shape)
    return build_set(drawn, path, colors=columns.colors, notes=notes, token=token)


def _table(path: Path) -> Any:
    parquet = _parquet()
    if path.stat().st_size > MAX_BYTES:
        raise AnnotationError("the file is too large for annotations", path=path)
    try:
        return parquet.read_table(str(path), partitioning=None)
    except (ValueError, OSError) as error:  # pyarrow's own errors are among them
        raise AnnotationError("not a readable Parquet file", path=path, found=f"{error}"[:200]) from error


def _parquet() -> Any:
    require("pyarrow", WHAT)
    return require("pyarrow.parquet", WHAT)


def _geometry_column(table: Any, path: Path) -> str:
    """Name of the column that holds the geometries, in well-known binary."""
    stated: Any = {}
    try:
        stated = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    except ValueError as error:
        raise AnnotationError("damaged metadata of GeoParquet", path=path, found=f"{error}") from error
    stated = stated if isinstance(stated, dict) else {}
    name = stated.get("primary_column", GEOMETRY)
    if name not in table.column_names:
        raise AnnotationError(
            "a Parquet table without geometries",
            path=path,
            expected=f"a column {name}",
            found=", ".join(table.column_names)[:200],
        )
    described = stated.get("columns", {})
    described = described.get(name, {}) if isinstance(described, dict) else {}
    encoding = described.get("encoding") if isinstance(described, dict) else None
    if encoding not in _ENCODINGS:
        raise AnnotationError(
            "the geometries are in an encoding that is not read",
            path=path,
            expected="WKB",
            found=f"geometries as {encoding}",
        )
    return str(name)


def _geometries(values: list[Any], token: CancellationToken | None) -> list[Any]:
    """Geometries, or why there is none."""
    found: list[Any] = []
    for value in checked(values, token):
        try:
            found.append(shapely.from_wkb(value) if isinstance(value, bytes) else "no well-known binary")
        except shapely.GEOSException as error:
            found.append(f"damaged well-known binary: {str(error)[:80]}")
    return found


def _placed(geometry: shapely.Geometry | str, radius: Any, matrix: np.ndarray) -> shapely.Geometry:
    if isinstance(geometry, str):
        raise BadShapeError(geometry)
    if isinstance(radius, int | float) and radius > 0 and geometry.geom_type == "Point":
        geometry = geometry.buffer(float(radius), quad_segs=32)
    if (matrix == np.eye(3)).all():
        return geometry
    return shapely.transform(geometry, lambda points: points @ matrix[:2, :2].T + matrix[:2, 2])


def _transform_of(path: Path) -> tuple[np.ndarray, list[str]]:
    """Return the (3, 3) matrix from the file's (x, y, 1) to pixels, and what is to be told of it."""
    attributes = _attributes(path)
    if attributes is None:
        return np.eye(3), []
    given = attributes.get("coordinateTransformations", [])
    given = given if isinstance(given, list) else []
    chosen = [one for one in given if isinstance(one, dict) and _output(one) == "global"] or given[:1]
    matrix = _matrix(chosen[0], path) if chosen else np.eye(3)
    return matrix, ["coordinates of SpatialData are taken for pixels of level 0"]


def _attributes(path: Path) -> dict[str, Any] | None:
    """What SpatialData says of the folder of a file; None if the file is in none of its folders."""
    for name, member in (("zarr.json", "attributes"), (".zattrs", None)):
        file = path.with_name(name)
        if not file.is_file():
            continue
        try:
            found = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise AnnotationError("damaged metadata of SpatialData", path=file, found=f"{error}") from error
        found = found.get(member) if member and isinstance(found, dict) else found
        if isinstance(found, dict) and "spatialdata_attrs" in found:
            return found
    return None


def _output(transformation: Mapping[str, Any]) -> Any:
    output = transformation.get("output")
    return output.get("name") if isinstance(output, dict) else output


def _matrix(transformation: Any, path: Path) -> np.ndarray:
    kind = transformation.get("type") if isinstance(transformation, dict) else None
    try:
        if kind == "identity":
            return np.eye(3)
        if kind == "scale":
            x, y = transformation["scale"]
            return np.diag([float(x), float(y), 1.0])
        if kind == "translation":
            x, y = transformation["translation"]
            return np.array([[1.0, 0.0, float(x)], [0.0, 1.0, float(y)], [0.0, 0.0, 1.0]])
        if kind == "affine":
            rows = np.asarray(transformation["affine"], np.float64).reshape(-1, 3)[:2]
            return np.concatenate([rows, [[0.0, 0.0, 1.0]]])
        if kind == "sequence":
            matrix = np.eye(3)
            for part in transformation["transformations"]:
                matrix = _matrix(part, path) @ matrix
            return matrix
    except (KeyError, TypeError, ValueError) as error:
        raise malformed(path, f"the transformation {kind!r}", f"{error}") from error
    raise malformed(path, "the folder's coordinates", f"a transformation of unknown type {str(kind)[:40]!r}")


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write a table with measurements in columns, which GeoPandas, SpatialData and QGIS open.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.
    """
    pyarrow, parquet = require("pyarrow", WHAT), _parquet()
    names, rows = rows_of(annotations)
    columns: dict[str, Any] = {
        GEOMETRY: pyarrow.array(
            [shapely.to_wkb(a.geometry) for a in checked(annotations.annotations, token)], pyarrow.binary()
        )
    }
    for name in (*FIRST, DETAILS):
        texts = [row[name].encode("utf-8", "replace").decode() for row in rows]
        columns[name] = pyarrow.array(texts, pyarrow.string())
    for name in names:
        columns[name] = pyarrow.array([row.get(name) for row in rows], pyarrow.float64())
    kinds = sorted({a.geometry.geom_type for a in annotations.annotations})
    described = {"encoding": "WKB", "geometry_types": kinds, "crs": None}
    stated = {"version": "1.0.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: described}}
    table = pyarrow.table(columns).replace_schema_metadata({"geo": json.dumps(stated)})
    parquet.write_table(table, str(path))
    return ()


FORMAT = AnnotationFormat(
    "GeoParquet (SpatialData)", ANNOTATION_SUFFIXES["geoparquet"], recognises, read, write
)
