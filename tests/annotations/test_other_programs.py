"""Formats of other programs: read if like one we know, or refused by name; what QuPath adds is kept."""

from __future__ import annotations

import json
import math

import pytest
import shapely

from napari_nic.annotations import UNCLASSIFIED, read_annotations, write_annotations
from napari_nic.annotations.colors import UNCLASSIFIED_COLOR
from napari_nic.errors import AnnotationError

BOX = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]


def halo(*regions, name="Tumour"):
    text = "".join(
        f'<Region Type="{kind}" HasEndcaps="0" NegativeROA="{negative}"><Vertices>'
        + "".join(f'<V X="{x}" Y="{y}" />' for x, y in points)
        + "</Vertices><Comments /></Region>"
        for kind, negative, points in regions
    )
    return (
        f'<Annotation Name="{name}" Visible="True" LineColor="65535"><Regions>{text}</Regions></Annotation>'
    )


def test_halo(tmp_path):
    tumour = halo(
        ("Polygon", 0, [(100, 100), (900, 100), (900, 700), (100, 700)]),
        ("Rectangle", 1, [(300, 300), (500, 500)]),
    )
    stroma = halo(("Ellipse", 0, [(1000, 1000), (1400, 1200)]), ("Pin", 0, [(5, 6)]), name="Stroma")
    path = tmp_path / "a.annotations"
    path.write_text(f'<?xml version="1.0"?><Annotations>{tumour}{stroma}</Annotations>')
    found = read_annotations(path)
    areas = [(a.label, a.kind, round(a.geometry.area)) for a in found.annotations]
    assert areas[0] == ("Tumour", "polygon", 480_000 - 40_000)
    assert areas[1][:2] == ("Stroma", "ellipse")
    assert areas[1][2] == pytest.approx(math.pi * 200 * 100, rel=1e-3)
    assert areas[2][:2] == ("Stroma", "point")
    assert found.notes == (
        "classes that the file gives one colour, or the grey of no class, got colours of "
        "their own: Tumour, Stroma",
    )


def test_negative_regions_that_do_nothing_and_that_take_all_are_told(tmp_path):
    square = [(0, 0), (10, 0), (10, 10), (0, 10)]
    far = halo(("Polygon", 0, square), ("Rectangle", "true", [(50, 50), (60, 60)]))
    gone = halo(("Polygon", 0, square), ("Rectangle", "1", [(-1, -1), (11, 11)]), name="b")
    (tmp_path / "a.xml").write_text(f"<Annotations>{far}{gone}</Annotations>")
    found = read_annotations(tmp_path / "a.xml")
    assert [a.label for a in found.annotations] == ["Tumour"]
    assert any("1 negative region outside of all" in note for note in found.notes)
    assert any("1 area was left out" in note for note in found.notes)


def test_unknown_types_and_descriptions_of_imagescope(tmp_path):
    corners = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in BOX)
    region = f'<Region Type="17"><Vertices>{corners}</Vertices></Region>'
    attributes = '<Attributes><Attribute Name="Description" Id="0" Value="Stroma"/></Attributes>'
    (tmp_path / "a.xml").write_text(
        f'<Annotations><Annotation Name="">{attributes}<Regions>{region}</Regions></Annotation></Annotations>'
    )
    found = read_annotations(tmp_path / "a.xml")
    assert found.labels() == ("Stroma",)
    assert any("unknown types" in note and "17" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotations><version>1.1</version><image/></annotations>", "CVAT"),
        ("<annotation><object><bndbox/></object></annotation>", "Pascal VOC"),
        ("<annotation><object><polygon><pt/></polygon></object></annotation>", "LabelMe XML"),
        ("<OME xmlns='x'/>", "OME-XML"),
        ("<Something a='1'/>", "XML of an unknown kind, whose root is <Something>"),
        ('{"images": [], "annotations": [], "categories": []}', "COCO"),
        ('{"shapes": [], "imagePath": "a.png"}', "LabelMe JSON"),
        ('{"_via_img_metadata": {}}', "VIA"),
        ('{"a.png123": {"filename": "a.png", "regions": []}}', "VIA"),
        ('[{"data": {}, "annotations": []}]', "Label Studio"),
        ('{"type": "Topology"}', "TopoJSON"),
        ('{"createTimestamp": 1, "images": []}', "QuPath project"),
        ('{"nuc": {}}', "HoVer-Net"),
        ("POLYGON ((0 0, 1 0, 1 1, 0 0))", "well-known text"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, text, said):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AnnotationError, match=said) as caught:
        read_annotations(tmp_path / "a.xml")
    assert "GeoJSON" in str(caught.value)


@pytest.mark.parametrize(
    "text", ['[{"a": 1}]', '{"a": 1}', "[[1, 2]]", '[{"type": "Feature"}, {"a": 1}]', '"x"']
)
def test_json_without_features_is_never_an_empty_set(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(AnnotationError):
        read_annotations(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("properties", "label", "told"),
    [
        ({"label": "Tumor"}, "Tumor", "'label'"),
        ({"group": "Tumor"}, "Tumor", "'group'"),
        ({"label": {"value": "Tumor"}}, "Tumor", "'label'"),
        ({"name": "Tumor"}, "Tumor", "'name'"),
        ({"group": "Tumor", "label": {"value": "nest 3"}}, "Tumor", "'group'"),
        ({"objectType": "annotation", "label": "Tumor"}, UNCLASSIFIED, None),
        ({"objectType": "annotation", "name": "Tumor"}, UNCLASSIFIED, None),
        ({"classification": None, "label": "Tumor"}, UNCLASSIFIED, None),
        ({"classification": "none"}, "none", None),
        ({"classification": {"name": "None"}}, "None", None),
        ({"classification": {"name": None}}, UNCLASSIFIED, None),
        ({"classification": {"names": ["Immune", "CD8"]}}, "Immune: CD8", None),
    ],
)
def test_classes_where_other_programs_put_them(tmp_path, properties, label, told):
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [BOX]},
        "properties": properties,
    }
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    found = read_annotations(tmp_path / "a.geojson")
    assert found.labels() == (label,)
    assert bool(found.notes) == bool(told)
    if told:
        assert told in found.notes[0]


def test_features_without_a_place_are_counted(tmp_path):
    features = [
        {"type": "Feature", "geometry": None},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}},
    ]
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    assert read_annotations(tmp_path / "a.geojson").notes == ("1 feature without a geometry was left out",)


def test_what_qupath_says_beside_the_shape_comes_back(tmp_path):
    nucleus = {"type": "Polygon", "coordinates": [[[2, 2], [4, 2], [4, 4], [2, 2]]]}
    cell = {
        "type": "Feature",
        "id": "b7e23ec2-9bd4-4a5f-a2cb-b3d16c3a7e00",
        "geometry": {"type": "Polygon", "coordinates": [BOX], "plane": {"c": -1, "z": 2, "t": 0}},
        "nucleusGeometry": nucleus,
        "properties": {
            "objectType": "cell",
            "isLocked": True,
            "classification": {"name": "Tumor", "color": [1, 2, 3]},
            "measurements": {"Area": 5.5, "Ratio": float("nan"), "far": float("-inf")},
            "metadata": {"a": "b"},
        },
    }
    core = {
        "type": "Feature",
        "id": "core",
        "geometry": {"type": "Polygon", "coordinates": [BOX]},
        "properties": {"object_type": "tma_core", "name": "A-1", "isMissing": True},
    }
    (tmp_path / "a.geojson").write_text(json.dumps([cell, core]))
    notes = write_annotations(read_annotations(tmp_path / "a.geojson"), tmp_path / "b.geojson")
    assert notes == ()

    def no_constants(name):
        raise AssertionError(name)

    text = (tmp_path / "b.geojson").read_text()
    first, second = json.loads(text, parse_constant=no_constants)["features"]
    assert first["nucleusGeometry"] == nucleus
    assert first["geometry"]["plane"] == {"c": -1, "z": 2, "t": 0}
    assert first["id"] == cell["id"]
    assert first["properties"] == cell["properties"] | {
        "measurements": {"Area": 5.5, "Ratio": "NaN", "far": "-Infinity"}
    }
    assert second["properties"] == {
        "objectType": "tma_core",
        "isLocked": False,
        "isMissing": True,
        "name": "A-1",
    }


def test_colours_never_stand_for_another_class(tmp_path):
    def feature(label, color, own=None):
        properties = {"classification": {"name": label, "color": color}} if label else {}
        if own:
            properties["color"] = own
        return {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [BOX]},
            "properties": properties,
        }

    red, grey = [200, 0, 0], list(UNCLASSIFIED_COLOR)
    features = [
        feature("A", red, [9, 9, 9]),
        feature("B", [1, 2, 3]),
        feature("", None, red),
        feature("C", grey),
    ]
    (tmp_path / "a.geojson").write_text(json.dumps(features))
    found = read_annotations(tmp_path / "a.geojson")
    assert found.colors[UNCLASSIFIED] == UNCLASSIFIED_COLOR
    assert found.colors["A"] == (200, 0, 0)
    assert found.colors["B"] == (1, 2, 3)
    assert found.colors["C"] != UNCLASSIFIED_COLOR
    assert found.notes[-1].endswith("got colours of their own: C")
    assert shapely.area(found.polygons("A")) == [100]
