"""CSV and GeoParquet: of QuPath, WSInfer, GeoPandas and SpatialData, and what this program adds."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, SlideExtent, read_annotations, write_annotations
from napari_nic.annotations.details import measurements
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize

EXTENT = SlideExtent((1000, 2000), PixelSize(0.5, 0.25))


@pytest.fixture
def csv(tmp_path):
    def _read(text, **options):
        (tmp_path / "a.csv").write_text(text, encoding="utf-8")
        return read_annotations(tmp_path / "a.csv", **options)

    return _read


def test_wsinfer(csv):
    found = csv("minx,miny,width,height,prob_Other,prob_Tumor\n0,350,350,350,0.25,0.75\n")
    (one,) = found.annotations
    assert one.kind == "rectangle"
    assert one.geometry.bounds == (0, 350, 350, 700)
    assert measurements(one) == {"prob_Other": 0.25, "prob_Tumor": 0.75}


def test_measurements_of_qupath_in_micrometres(csv):
    text = (
        "Image\tObject ID\tName\tClass\tCentroid X µm\tCentroid Y µm\tArea µm^2\n"
        "a.svs\tid1\t\tTumor\t10\t20\t5.5\n"
    )
    with pytest.raises(AnnotationError, match="without their slide"):
        csv(text)
    (one,) = csv(text, extent=EXTENT).annotations
    assert (one.label, one.id, one.kind) == ("Tumor", "id1", "point")
    assert (one.geometry.x, one.geometry.y) == (40, 40)
    assert measurements(one) == {"Area µm^2": 5.5}


def test_pixels_come_before_micrometres(csv):
    (one,) = csv("class;x_px;y_px;x_um;y_um\na;1;2;3;4\n").annotations
    assert (one.geometry.x, one.geometry.y) == (1, 2)


def test_bad_rows_cost_only_themselves(csv):
    found = csv("id,class,wkt\n1,a,POINT (1 2)\n2,a,POINT (1\n3,a,\n4\n5,a,GEOMETRYCOLLECTION EMPTY\n")
    assert len(found) == 1
    assert [fault.where for fault in found.faults] == ["row 3", "row 4", "row 5", "row 6"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_long_outlines_and_measurements_of_any_name(tmp_path, suffix):
    outline = shapely.Point(5000, 5000).buffer(4000, quad_segs=4000)
    values = {
        "class": 1.0,
        "x": 2.0,
        " padded": 3.0,
        "": 4.0,
        "a": math.nan,
        "b": -math.inf,
        "Area": 0.1 + 0.2,
    }
    shape = Annotation("T", "spline", outline, "n", "i", {"properties": {"measurements": values}})
    path = tmp_path / f"a.{suffix}"
    assert write_annotations(AnnotationSet((shape,), {"T": (1, 2, 3)}), path) == ()
    again = read_annotations(path)
    (one,) = again.annotations
    assert again.colors == {"T": (1, 2, 3)}
    assert (one.kind, one.name, one.id) == ("spline", "n", "i")
    assert one.geometry.equals_exact(outline)
    found = measurements(one)
    assert math.isnan(found.pop("a"))
    assert found == {name: value for name, value in values.items() if name != "a"}


def spatial_data(folder, transformations):
    """As SpatialData writes points with a radius: an index column, metadata of the folder beside the file."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    points = [shapely.to_wkb(shapely.Point(10, 20)), shapely.to_wkb(shapely.Point(30, 40))]
    table = pyarrow.table(
        {
            "geometry": points,
            "radius": [5.0, 5.0],
            "cell_type": pyarrow.array(["a", "b"]).dictionary_encode(),
            "instance_id": pyarrow.array([7, 8]),
            "__index_level_0__": ["p", "q"],
        }
    )
    geo = {"primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}, "version": "1.0.0"}
    folder.mkdir()
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), folder / "shapes.parquet")
    attributes = {"coordinateTransformations": transformations, "spatialdata_attrs": {"version": "0.3"}}
    (folder / "zarr.json").write_text(json.dumps({"attributes": attributes, "zarr_format": 3}))
    return folder / "shapes.parquet"


@pytest.mark.parametrize(
    ("transformation", "expected"),
    [
        ({"type": "identity"}, (10, 20)),
        ({"type": "scale", "scale": [2.0, 4.0]}, (20, 80)),
        ({"type": "translation", "translation": [1, 2]}, (11, 22)),
        ({"type": "affine", "affine": [[0, 1, 5], [1, 0, 6], [0, 0, 1]]}, (25, 16)),
        (
            {
                "type": "sequence",
                "transformations": [
                    {"type": "scale", "scale": [2, 2]},
                    {"type": "translation", "translation": [1, 2]},
                ],
            },
            (21, 42),
        ),
    ],
)
def test_shapes_of_spatialdata_with_their_transformations(tmp_path, transformation, expected):
    elsewhere = {"type": "scale", "scale": [9, 9], "output": {"name": "elsewhere"}}
    here = transformation | {"output": {"name": "global"}}
    found = read_annotations(spatial_data(tmp_path / "discs", [elsewhere, here]))
    first, second = found.annotations
    assert (first.label, first.id, second.label, second.id) == ("a", "p", "b", "q")
    np.testing.assert_allclose(shapely.get_coordinates(first.geometry.centroid)[0], expected)
    assert first.geometry.area > 50
    assert measurements(second) == {"instance_id": 8}
    assert any("SpatialData" in note for note in found.notes)


def test_transformations_that_nobody_knows_are_refused(tmp_path):
    with pytest.raises(AnnotationError, match="unknown type 'warp'"):
        read_annotations(spatial_data(tmp_path / "discs", [{"type": "warp", "output": {"name": "global"}}]))


def test_tables_without_geometries_and_damaged_ones_are_refused(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(AnnotationError, match="without geometries"):
        read_annotations(tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(AnnotationError, match="not a readable Parquet"):
        read_annotations(tmp_path / "b.parquet")
