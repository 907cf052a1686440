"""Outlines in a GeoParquet table, as LazySlide keeps tissue: ``shapes/tissues/shapes.parquet``; read only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations.building import Drawn, build
from napari_nic.annotations.geojson_format import geometry_parts
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.errors import AnnotationError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken
from napari_nic.names import ANNOTATION_SUFFIXES

MAGIC = b"PAR1"
MAX_BYTES = 2**28
"""A table is unpacked whole: some million outlines."""

ROWS_AT_ONCE = 1024


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a Parquet table."""
    return head.startswith(MAGIC)


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read the outlines, in pixels of level 0; whatever coordinate system the table names is ignored.

    Raises
    ------
    AnnotationError
        If the table has no column of geometries, or holds another kind than WKB.
    MissingDependencyError
        If pyarrow is not installed.
    """
    drawn: list[Drawn] = []
    for first, geometries in _geometries(path):
        for row, geometry in enumerate(geometries, first):
            if token is not None:
                token.checkpoint()
            if geometry is not None and not geometry.is_empty:
                document = json.loads(shapely.to_geojson(geometry))
                drawn += geometry_parts(document, f"row {row}", path)
    annotations, notes = build(drawn, path, token)
    return AnnotationSet(annotations, {}, path.name, tuple(notes))


def _geometries(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (number of the first row, geometries) batch by batch."""
    parquet = _parquet()
    if path.stat().st_size > MAX_BYTES:
        raise _unreadable(path, f"more than {MAX_BYTES:,} bytes")
    try:
        with parquet.ParquetFile(path) as file:
            column = _column(file.schema_arrow.metadata, file.schema_arrow.names, path)
            first = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
                yield first, shapely.from_wkb(batch.column(0).to_numpy(zero_copy_only=False))
                first += batch.num_rows
    except (OSError, ValueError, TypeError, shapely.errors.ShapelyError) as error:
        if isinstance(error, AnnotationError):
            raise
        raise _unreadable(path, str(error)) from error


def _parquet() -> Any:
    require("pyarrow", "tables of outlines")
    import pyarrow.parquet

    return pyarrow.parquet


def _column(metadata: Any, names: list[str], path: Path) -> str:
    """Name of the column of geometries, as the table says it."""
    try:
        described = json.loads((metadata or {}).get(b"geo", b"{}"))
        name = described.get("primary_column", "geometry")
        encoding = described.get("columns", {}).get(name, {}).get("encoding")
    except (ValueError, AttributeError) as error:
        raise _unreadable(path, f"its description of geometries: {error}") from error
    if name not in names or encoding != "WKB":
        shown = ", ".join(names[:6])
        raise _unreadable(path, f"columns {shown}" if name not in names else f"geometries as {encoding}")
    return str(name)


def _unreadable(path: Path, found: str) -> AnnotationError:
    return AnnotationError(
        "no readable table of outlines", path=path, expected="GeoParquet with a column of WKB", found=found
    )


FORMAT = AnnotationFormat("GeoParquet outlines", ANNOTATION_SUFFIXES["geoparquet"], recognises, read)
