"""ASAP's XML, and back."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    read_annotations,
    write_annotations,
)
from napari_nic.annotations.pieces import without_holes
from napari_nic.errors import AnnotationError

TRIANGLE = [(0, 0), (10, 0), (10, 10)]


def shape(type_name="Polygon", points=TRIANGLE, group="Tumour", extra=""):
    coordinates = "".join(
        f'<Coordinate Order="{order}" X="{x}" Y="{y}" />' for order, (x, y) in enumerate(points)
    )
    attributes = f'Name="Annotation 0" Type="{type_name}" PartOfGroup="{group}" Color="#F4FA58" {extra}'
    return f"<Annotation {attributes}><Coordinates>{coordinates}</Coordinates></Annotation>"


def document(
    *shapes, groups='<Group Name="Tumour" PartOfGroup="None" Color="#AA0102"><Attributes /></Group>'
):
    return (
        '<?xml version="1.0"?><ASAP_Annotations><Annotations>'
        + "".join(shapes)
        + f"</Annotations><AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )


@pytest.fixture
def read(tmp_path):
    def _read(text):
        (tmp_path / "a.xml").write_text(text, encoding="utf-8")
        return read_annotations(tmp_path / "a.xml")

    return _read


@pytest.mark.parametrize(
    ("type_name", "points", "kind", "wkt"),
    [
        ("Polygon", TRIANGLE, "polygon", "POLYGON ((0 0, 10 0, 10 10, 0 0))"),
        ("Spline", TRIANGLE, "spline", "POLYGON ((0 0, 10 0, 10 10, 0 0))"),
        ("Rectangle", [(0, 0), (4, 0), (4, 2), (0, 2)], "rectangle", "POLYGON ((0 0, 4 0, 4 2, 0 2, 0 0))"),
        ("Dot", [(1, 2)], "point", "POINT (1 2)"),
        ("Dot", [(1, 2), (3, 4)], "points", "MULTIPOINT ((1 2), (3 4))"),
        ("PointSet", [(1, 2), (3, 4)], "points", "MULTIPOINT ((1 2), (3 4))"),
        ("PointSet", [(1, 2)], "point", "POINT (1 2)"),
        ("Measurement", [(1, 2), (3, 4)], "measurement", "LINESTRING (1 2, 3 4)"),
        ("None", TRIANGLE, "polygon", "POLYGON ((0 0, 10 0, 10 10, 0 0))"),
        ("None", [(1, 2), (3, 4)], "line", "LINESTRING (1 2, 3 4)"),
        ("Novelty", [(1, 2)], "point", "POINT (1 2)"),
    ],
)
def test_every_type(read, type_name, points, kind, wkt):
    found = read(document(shape(type_name, points)))
    (annotation,) = found.annotations
    assert (annotation.kind, annotation.label, annotation.name) == (kind, "Tumour", "Annotation 0")
    assert annotation.geometry.equals_exact(shapely.from_wkt(wkt))
    assert found.colors == {"Tumour": (170, 1, 2)}


def test_groups(read):
    found = read(document(shape(group="None"), shape(group="Mystery"), shape()))
    assert found.labels() == (UNCLASSIFIED, "Mystery", "Tumour")
    assert found.notes == ("groups that the file does not declare: Mystery",)
    assert set(found.colors) == {UNCLASSIFIED, "Mystery", "Tumour"}


def test_groups_within_groups(read):
    groups = (
        '<Group Name="Tumour" PartOfGroup="None" Color="#FF0000"/>'
        '<Group Name="Core" PartOfGroup="Tumour" Color="#00FF00"/>'
    )
    found = read(document(shape(group="Core"), shape(), shape(group="none"), groups=groups))
    assert found.labels() == ("Core", "Tumour", "none")
    assert found.colors["Core"] == (0, 255, 0)


def test_a_shape_within_a_shape_is_damage(read):
    text = document(shape())
    inner = text[text.index("<Annotation ") : text.index("</Annotation>") + len("</Annotation>")]
    with pytest.raises(AnnotationError, match="inside of"):
        read(text.replace("</Annotation>", f"{inner}</Annotation>", 1))


def test_points_are_put_in_order(read):
    text = document(shape()).replace('Order="0"', 'Order="5"')
    (annotation,) = read(text).annotations
    assert shapely.get_coordinates(annotation.geometry)[0].tolist() == [10, 0]
    unordered = document(shape()).replace('Order="1"', "")
    (annotation,) = read(unordered).annotations
    assert shapely.get_coordinates(annotation.geometry)[0].tolist() == [0, 0]


def test_decimal_commas_are_understood(read):
    (annotation,) = read(document(shape("Dot", [("1,5", "2,25")]))).annotations
    assert annotation.geometry.equals(shapely.Point(1.5, 2.25))


def test_empty_file_of_the_format_is_an_empty_set(read):
    assert len(read(document(groups=""))) == 0
    assert len(read("<ASAP_Annotations/>")) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (document(shape())[:-30], "not a readable XML"),
        (document(shape("Dot", [("a", 1)])), "annotation 0.*Coordinate.* whose X is no number: 'a'"),
        (document(shape()).replace(' Y="10"', ""), "annotation 0.*Coordinate.* without Y"),
        (document(groups="<Group Color='#000000'/>"), "<Group> without Name"),
        (document(shape(points=[("nan", 0), *TRIANGLE])), r"annotation 0 \('Annotation 0'\): .*not finite"),
    ],
)
def test_damage_names_file_and_element(read, text, said):
    with pytest.raises(AnnotationError, match=rf"(?s)a\.xml.*{said}"):
        read(text)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">',
        '<!ENTITY a SYSTEM "file:///etc/hostname">',
        '<!ENTITY % a SYSTEM "http://localhost/x.dtd"> %a;',
    ],
)
def test_entities_are_refused(read, declaration):
    text = document(shape()).replace("?>", f"?><!DOCTYPE x [{declaration}]>", 1)
    with pytest.raises(AnnotationError, match="entity"):
        read(text)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trip_keeps_what_the_format_can_hold(tmp_path, strategies, data):
    original = data.draw(strategies.sets(kinds=("polygon", "rectangle", "point", "points")))
    simple = AnnotationSet(
        tuple(a for a in original.annotations if not getattr(a.geometry, "interiors", ())), original.colors
    )
    path = tmp_path / "a.xml"
    has_ids = any(a.id for a in simple.annotations)
    assert ["no ids" in note for note in write_annotations(simple, path)] == [True] * has_ids
    again = read_annotations(path)
    assert again.notes == ()
    assert {k: v for k, v in again.colors.items() if k != UNCLASSIFIED} == {
        k: v for k, v in simple.colors.items() if k != UNCLASSIFIED
    }
    for ours, theirs in zip(simple.annotations, again.annotations, strict=True):
        assert (theirs.label, theirs.kind) == (ours.label, ours.kind)
        assert theirs.name == (ours.name or theirs.name)
        assert theirs.geometry.equals_exact(ours.geometry)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_areas_with_holes_or_several_parts_keep_their_area(tmp_path, strategies, data):
    original = data.draw(strategies.sets(kinds=("polygon", "multi")))
    path = tmp_path / "a.xml"
    notes = write_annotations(original, path)
    again = read_annotations(path)
    complex_shapes = [
        a for a in original.annotations if a.geometry.geom_type != "Polygon" or a.geometry.interiors
    ]
    assert any("no holes" in note or "several parts" in note for note in notes) == bool(complex_shapes)
    assert not any(getattr(a.geometry, "interiors", ()) for a in again.annotations)
    for label in original.labels():
        before = shapely.union_all(original.polygons(label))
        after = shapely.union_all(again.polygons(label))
        assert shapely.symmetric_difference(before, after).area <= 1e-6 * before.area
    for a in complex_shapes:
        pieces = [p for part in getattr(a.geometry, "geoms", [a.geometry]) for p in without_holes(part)]
        assert sum(p.area for p in pieces) == pytest.approx(a.geometry.area)


def test_lines_are_written_as_asap_can(tmp_path):
    lines = [
        Annotation("a", "measurement", shapely.LineString([(0, 0), (1, 1)])),
        Annotation("a", "line", shapely.LineString([(0, 0), (1, 1), (2, 5)])),
    ]
    (note,) = write_annotations(AnnotationSet(tuple(lines)), tmp_path / "a.xml")
    assert "1 line is" in note
    assert [a.kind for a in read_annotations(tmp_path / "a.xml").annotations] == ["measurement", "points"]


def test_written_file_declares_every_group(tmp_path, read):
    source = read(document(shape(), shape(group="Mystery"), shape(group="None")))
    write_annotations(source, tmp_path / "out.xml")
    root = ET.parse(tmp_path / "out.xml").getroot()  # noqa: S314 - our own file
    assert root.tag == "ASAP_Annotations"
    groups = {group.get("Name"): group.get("Color") for group in root.iter("Group")}
    assert set(groups) == {"Tumour", "Mystery"}
    assert groups["Tumour"] == "#AA0102"
    used = [annotation.get("PartOfGroup") for annotation in root.iter("Annotation")]
    assert used == ["Tumour", "Mystery", "None"]
    orders = [point.get("Order") for point in root.find("Annotations")[0].iter("Coordinate")]
    assert orders == ["0", "1", "2"], "a ring is not closed by repeating its first point"


def test_shapes_of_a_type_that_nobody_knows_are_told(read):
    source = read(document(shape("Blob"), shape("None"), shape()))
    assert [annotation.kind for annotation in source.annotations] == ["polygon"] * 3
    assert source.notes == (
        "shapes of unknown types were taken for what their number of points allows: Blob",
    )
