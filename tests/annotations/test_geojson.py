"""QuPath's GeoJSON in all its forms, and back."""

from __future__ import annotations

import json
import math

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import UNCLASSIFIED, ellipse_of, read_annotations, write_annotations
from napari_nic.annotations.carrying import FEATURES
from napari_nic.annotations.details import measurements
from napari_nic.errors import AnnotationError

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE, HOLE]}


def feature(geometry=POLYGON, **properties):
    return {"type": "Feature", "id": "f1", "geometry": geometry, "properties": properties}


@pytest.fixture
def read(tmp_path):
    """Read a document, given as an object or as text."""

    def _read(document, name="a.geojson"):
        text = document if isinstance(document, str | bytes) else json.dumps(document)
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return read_annotations(tmp_path / name)

    return _read


@pytest.mark.parametrize(
    "document",
    [
        {"type": "FeatureCollection", "features": [feature()]},
        {"features": [feature()]},
        [feature()],
        feature(),
        POLYGON,
        {"type": "GeometryCollection", "geometries": [POLYGON]},
        b"\xef\xbb\xbf" + json.dumps(feature()).encode(),
    ],
)
def test_every_wrapping_is_read(read, document):
    found = read(document)
    assert len(found) == 1
    assert found.annotations[0].geometry.equals(shapely.Polygon(SQUARE, [HOLE]))
    assert found.annotations[0].geometry.area == 96
    assert found.source == "a.geojson"


@pytest.mark.parametrize(
    ("properties", "label", "color"),
    [
        ({}, UNCLASSIFIED, None),
        ({"classification": None}, UNCLASSIFIED, None),
        ({"classification": ""}, UNCLASSIFIED, None),
        ({"classification": {}}, UNCLASSIFIED, None),
        ({"classification": "Tumor"}, "Tumor", None),
        ({"classification": {"name": "Tumor", "color": [200, 0, 1]}}, "Tumor", (200, 0, 1)),
        (
            {"classification": {"names": ["Tumor", "Positive"], "color": [1, 2, 3]}},
            "Tumor: Positive",
            (1, 2, 3),
        ),
        ({"classification": {"name": "Tumor", "colorRGB": -3670016}}, "Tumor", (200, 0, 0)),
        ({"classification": {"name": "Tumor", "color": "#0A0B0C"}}, "Tumor", (10, 11, 12)),
        ({"classification": "Tumor", "color": [9, 8, 7]}, "Tumor", (9, 8, 7)),
        ({"classification": {"name": "Tumor", "color": [300, "x", None]}}, "Tumor", None),
    ],
)
def test_class_and_colour_in_every_form(read, properties, label, color):
    found = read([feature(objectType="annotation", **properties)])
    assert found.labels() == (label,)
    if color is not None:
        assert found.colors[label] == color
    assert len(found.colors[label]) == 3


def test_legacy_and_null_properties(read):
    legacy = {"type": "Feature", "geometry": POLYGON, "properties": {"object_type": "annotation"}}
    bare = {"type": "Feature", "geometry": POLYGON, "properties": None}
    placeless = {"type": "Feature", "geometry": None, "properties": {"name": "n"}}
    assert [a.name for a in read([legacy, bare, placeless]).annotations] == ["", ""]


@pytest.mark.parametrize(
    ("geometry", "kind", "expected"),
    [
        (
            {"type": "Polygon", "coordinates": [SQUARE]},
            "rectangle",
            "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))",
        ),
        (
            {"type": "Polygon", "coordinates": [[[0, 0, 5], [9, 1, 5], [3, 7, 5]]]},
            "polygon",
            "POLYGON ((0 0, 9 1, 3 7, 0 0))",
        ),
        (
            {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [[[20, 0], [30, 0], [30, 5]]]]},
            "polygon",
            "MULTIPOLYGON (((0 0, 10 0, 10 10, 0 10, 0 0), (2 2, 4 2, 4 4, 2 4, 2 2)),"
            " ((20 0, 30 0, 30 5, 20 0)))",
        ),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, "line", "LINESTRING (1 2, 3 4)"),
        (
            {"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
            "line",
            "MULTILINESTRING ((1 2, 3 4), (5 6, 7 8))",
        ),
        ({"type": "Point", "coordinates": [1.5, 2]}, "point", "POINT (1.5 2)"),
        ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}, "points", "MULTIPOINT ((1 2), (3 4))"),
    ],
)
def test_every_geometry(read, geometry, kind, expected):
    (found,) = read([feature(geometry)]).annotations
    assert found.kind == kind
    assert found.geometry.equals_exact(shapely.from_wkt(expected))


def test_order_names_and_ids_are_kept(read):
    names = ["b", "a", "", "c"]
    document = [feature(name=name, classification=str(i % 2)) | {"id": i} for i, name in enumerate(names)]
    found = read(document)
    assert [a.name for a in found.annotations] == names
    assert [a.id for a in found.annotations] == ["0", "1", "2", "3"]
    assert found.labels() == ("0", "1")
    assert found.counts() == {"0": 2, "1": 2}


def test_crossing_outlines_are_repaired_and_extentless_ones_left_out(read):
    bowtie = {"type": "Polygon", "coordinates": [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]}
    loop = {
        "type": "Polygon",
        "coordinates": [[[0, 0], [9, 0], [9, 9], [3, 9], [3, 3], [12, 3], [12, -3], [0, -3]]],
    }
    flat = {"type": "Polygon", "coordinates": [[[0, 0], [5, 5], [0, 0]]]}
    spike = {"type": "Polygon", "coordinates": [[[0, 0], [5, 5], [9, 9], [0, 0]]]}
    lone = {"type": "LineString", "coordinates": [[0, 0]]}
    found = read([feature(shape) for shape in (bowtie, loop, flat, spike, lone, POLYGON)])
    assert [a.geometry.is_valid for a in found.annotations] == [True] * 3
    assert found.annotations[0].geometry.area == pytest.approx(50)
    assert found.annotations[2].geometry.area == 96
    assert found.notes == (
        "2 outlines crossed themselves and were repaired",
        "3 shapes without extent were left out: feature 2; feature 3; feature 4",
    )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not a readable GeoJSON"),
        ("[" * 100_000, "not a readable GeoJSON"),
        ({"type": "Topology"}, "holds no GeoJSON"),
        ({"slides": []}, "holds no GeoJSON"),
        ({"type": "FeatureCollection", "features": {}}, "instead of a list"),
        ([7, 8], "feature 0: a int"),
        ([feature({"type": "Polygon"})], "feature 0: Polygon without coordinates"),
        ([feature({"type": "Circle", "coordinates": []})], "feature 0: geometry of unknown type 'Circle'"),
        ([feature({"type": "Polygon", "coordinates": [1, 2]})], "feature 0: coordinates of shape"),
        ([feature({"type": "MultiPolygon", "coordinates": [1, 2]})], "feature 0: MultiPolygon whose"),
        (
            [feature({"type": "Polygon", "coordinates": [[[0, "x"], [1, 2], [3, 4]]]})],
            "feature 0: coordinates that are no",
        ),
        ([feature({"type": "Polygon", "coordinates": [[[0], [1], [3]]]})], "feature 0: coordinates of shape"),
        (
            '[{"type": "Feature", "geometry": {"type": "Point", "coordinates": [NaN, 1]}}]',
            "feature 0: .* not finite",
        ),
        ([feature({"type": "GeometryCollection"})], "feature 0: a collection without"),
        ([feature("POINT(1 2)")], "feature 0: a geometry that is no object"),
        ([feature(classification=5)], "feature 0: a classification that is a int"),
        ([feature() | {"properties": [1]}], "feature 0: properties"),
    ],
)
def test_damage_names_file_and_feature(read, document, said):
    with pytest.raises(AnnotationError, match=said) as caught:
        read(document, "broken.geojson")
    assert "broken.geojson" in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (7, "feature 1 (a int instead of an object)"),
        (feature({"type": "Polygon"}), "feature 1 (Polygon without coordinates)"),
        (feature(classification=5), "feature 1 (a classification that is a int)"),
        ({"a": 1}, "feature 1 (an object that is no Feature)"),
    ],
)
def test_a_bad_feature_costs_only_itself(read, bad, said):
    found = read([feature(), bad, feature()])
    assert len(found) == 2
    assert found.notes == (f"1 damaged shape was left out: {said}",)
    (fault,) = found.faults
    assert (fault.where, fault.repaired) == ("feature 1", False)


def test_objects_of_qupath_0_2_have_no_ids_and_their_types_are_kept(read, tmp_path):
    one = {"type": "Feature", "id": "PathCellObject", "geometry": POLYGON, "properties": {}}
    (found,) = read([one]).annotations
    assert found.id == ""
    assert found.extra["properties"] == {"objectType": "cell"}


@pytest.mark.parametrize("key", ["childObjects", "children"])
def test_objects_within_objects_are_shapes_of_their_own(read, key):
    inner = feature(objectType="detection") | {"id": "inner"}
    outer = feature(objectType="annotation") | {
        "id": "outer",
        key: [inner | {key: [feature() | {"id": "last"}]}],
    }
    found = read([outer, feature()]).annotations
    assert [(a.id, a.extra.get("parent")) for a in found] == [
        ("outer", None),
        ("inner", "outer"),
        ("last", "inner"),
        ("f1", None),
    ]


def test_measurements_in_every_form(read):
    old = feature(measurements=[{"name": "Area", "value": 2.5}, {"name": "n", "value": "NaN"}])
    new = feature(measurements={"Area": 2.5, "ratio": "-Infinity", "text": "x"})
    first, second = (measurements(a) for a in read([old, new]).annotations)
    assert first["Area"] == 2.5
    assert math.isnan(first["n"])
    assert second == {"Area": 2.5, "ratio": -math.inf}


def test_circles_and_ellipses_of_digital_slide_archive_are_round(read):
    box = {"type": "Polygon", "coordinates": [[[0, 0], [40, 0], [40, 20], [0, 20], [0, 0]]]}
    round_one, flat = read([feature(box, type="ellipse", group="a"), feature(box, group="a")]).annotations
    assert round_one.geometry.area == pytest.approx(math.pi * 20 * 10, rel=2e-3)
    assert round_one.geometry.bounds == pytest.approx((0, 0, 40, 20))
    assert flat.geometry.area == 800


def test_nuclei_of_cells_move_with_them(read):
    cell = feature(objectType="cell") | {"nucleusGeometry": {"type": "Point", "coordinates": [1, 2]}}
    (moved,) = read([cell]).shifted(10, 20).annotations
    assert moved.extra["nucleusGeometry"]["coordinates"] == [11.0, 22.0]


def test_an_ellipse_fills_the_box_of_its_outline_as_in_qupath(read, tmp_path):
    rounded = [[40, 30], [20, 40.01], [0, 30.5], [19.99, 20], [40, 30]]
    geometry = {"type": "Polygon", "coordinates": [rounded], "isEllipse": True}
    found = read([feature(geometry)])
    (one,) = found.annotations
    assert one.kind == "ellipse"
    assert one.geometry.bounds == pytest.approx((0, 20, 40, 40.01))
    assert one.geometry.area == pytest.approx(math.pi * 20 * 10.005, rel=2e-3)
    write_annotations(found, tmp_path / "out.geojson")
    (written,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert written["geometry"]["isEllipse"] is True
    assert shapely.Polygon(written["geometry"]["coordinates"][0]).bounds == pytest.approx((0, 20, 40, 40.01))
    with pytest.raises(AnnotationError, match="ellipse without an outline"):
        read([feature({"type": "Polygon", "coordinates": [], "isEllipse": True})])


@pytest.mark.parametrize(
    ("head", "kind", "wkt"),
    [
        (">", "arrow", "LINESTRING (1 2, 9 8)"),
        ("<", "arrow", "LINESTRING (9 8, 1 2)"),
        ("<>", "line", "LINESTRING (1 2, 9 8)"),
        ("", "line", "LINESTRING (1 2, 9 8)"),
    ],
)
def test_arrows_are_lines_with_a_head_in_their_metadata(read, tmp_path, head, kind, wkt):
    line = {"type": "LineString", "coordinates": [[1, 2], [9, 8]]}
    found = read([feature(line, objectType="annotation", metadata={"arrowhead": head, "by": "me"})])
    (one,) = found.annotations
    assert (one.kind, one.geometry.wkt) == (kind, wkt)
    assert ("arrowhead" in one.extra["properties"]["metadata"]) == (kind == "line")
    write_annotations(found, tmp_path / "out.geojson")
    (written,) = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert written["properties"]["metadata"] == {"arrowhead": ">" if kind == "arrow" else head, "by": "me"}


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip_keeps_everything(tmp_path, strategies, data):
    original = data.draw(strategies.sets())
    path = tmp_path / "a.geojson"
    lost = write_annotations(original, path)
    turned = [a for a in original.annotations if FEATURES["turned ellipses"][1](a)]
    assert len(lost) == bool(turned)
    again = read_annotations(path)
    assert again.notes == ()
    assert again.colors == original.colors
    assert len(again) == len(original)
    for ours, theirs in zip(original.annotations, again.annotations, strict=True):
        assert (theirs.label, theirs.name) == (ours.label, ours.name)
        assert theirs.id == (ours.id or theirs.id)
        assert theirs.kind == ("polygon" if ours in turned else ours.kind)
        if theirs.kind != "ellipse":
            assert theirs.geometry.equals_exact(ours.geometry)
            continue
        # Its corners follow from its box, and a circle may begin with another one.
        one, other = (ellipse_of(annotation.geometry) for annotation in (ours, theirs))
        assert (*other.centre, *other.radii) == pytest.approx((*one.centre, *one.radii), rel=1e-6, abs=1e-6)


def test_written_file_is_what_qupath_reads(tmp_path, read):
    source = read([feature(name="n", classification={"name": "Tumor", "color": [1, 2, 3]}), feature()])
    write_annotations(source, tmp_path / "out.json")
    document = json.loads((tmp_path / "out.json").read_text())
    first, second = document["features"]
    assert document["type"] == "FeatureCollection"
    assert first["properties"] == {
        "objectType": "annotation",
        "isLocked": False,
        "name": "n",
        "classification": {"name": "Tumor", "color": [1, 2, 3]},
    }
    assert first["geometry"]["type"] == "Polygon"
    assert len(first["geometry"]["coordinates"]) == 2
    assert "classification" not in second["properties"]


def test_a_coordinate_system_of_maps_is_told(read):
    crs = {"type": "name", "properties": {"name": "EPSG:3857"}}
    source = read({"type": "FeatureCollection", "crs": crs, "features": [feature()]})
    assert len(source) == 1
    assert source.notes == ("the file names a coordinate system of maps: its numbers are taken for pixels",)
