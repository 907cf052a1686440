"""Outlines in GeoParquet, as GeoPandas writes them for LazySlide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from napari_nic.annotations import read_annotations
from napari_nic.errors import AnnotationError, NicError

pyarrow = pytest.importorskip("pyarrow", reason="GeoParquet needs pyarrow, of the extra interchange")
parquet = pytest.importorskip("pyarrow.parquet")

RING = shapely.Polygon(shapely.box(0, 0, 100, 80).exterior, [shapely.box(20, 20, 40, 60).exterior.coords])
TWO = shapely.MultiPolygon([shapely.box(200, 0, 210, 10), shapely.box(220, 0, 230, 10)])


def write(path: Path, geometries: list[Any], encoding: str = "WKB", *, described: bool = True) -> Path:
    table = pyarrow.table(
        {"tissue_id": list(range(len(geometries))), "geometry": [shapely.to_wkb(g) for g in geometries]}
    )
    geo = {"primary_column": "geometry", "columns": {"geometry": {"encoding": encoding, "crs": None}}}
    metadata = {b"geo": json.dumps(geo).encode()} if described else {}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_outlines_with_holes_and_of_several_parts(tmp_path):
    found = read_annotations(write(tmp_path / "shapes.parquet", [RING, TWO]))
    assert [a.geometry.area for a in found.annotations] == [100 * 80 - 20 * 40, 200]
    assert found.annotations[0].geometry.equals(RING)


def test_rows_without_a_geometry_are_no_shapes(tmp_path):
    found = read_annotations(write(tmp_path / "shapes.parquet", [None, RING, shapely.Polygon()]))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [({"encoding": "polygon"}, "geometries as polygon"), ({"described": False}, "geometries as None")],
)
def test_what_is_no_table_of_outlines_is_said(tmp_path, options, said):
    with pytest.raises(AnnotationError, match=said):
        read_annotations(write(tmp_path / "a.parquet", [RING], **options))


def test_damaged_tables(tmp_path):
    whole = write(tmp_path / "a.parquet", [RING, TWO]).read_bytes()
    for end in (4, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.parquet").write_bytes(whole[:end])
        with pytest.raises(NicError):
            read_annotations(tmp_path / "b.parquet")


def test_outlines_of_lazyslide(data_dir):
    folder = data_dir / "features" / "lazyslide_0.13.0" / "CMU-1-Small-Region.zarr"
    file = folder / "shapes" / "tissues" / "shapes.parquet"
    if not file.is_file():
        pytest.skip(f"no outlines at {file}")
    areas = read_annotations(file).polygons()
    assert areas
    assert all(shapely.box(0, 0, 2220, 2967).covers(area) for area in areas)
