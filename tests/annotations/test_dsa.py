"""Digital Slide Archive's and HistomicsUI's documents, as the server and scripts write them."""

from __future__ import annotations

import json
import math

import pytest
import shapely

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    ellipse_outline,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import AnnotationError

SQUARE = [[0, 0, 0], [100, 0, 0], [100, 80, 0], [0, 80, 0]]
HOLE = [[10, 10, 0], [20, 10, 0], [20, 20, 0]]


@pytest.fixture
def read(tmp_path):
    def _read(document):
        (tmp_path / "a.json").write_text(json.dumps(document))
        return read_annotations(tmp_path / "a.json")

    return _read


def document(*elements, name="reader 1"):
    return {"name": name, "description": "", "elements": list(elements)}


def polyline(**members):
    return {"type": "polyline", "points": SQUARE, "closed": True, **members}


def test_every_wrapping_is_read(read):
    plain = document(polyline(group="Tumour"))
    served = {"_id": "5f0", "itemId": "x", "_elementQuery": {"count": 1}, "annotation": plain}
    for wrapped in (plain, [plain], served, [served, served]):
        assert set(read(wrapped).labels()) == {"Tumour"}
    assert len(read([served, served])) == 2


@pytest.mark.parametrize(
    ("members", "label", "name"),
    [
        ({"group": "Tumour", "label": {"value": "nest 3"}}, "Tumour", "nest 3"),
        ({"group": "Tumour", "label": {"value": "Tumour"}}, "Tumour", ""),
        ({"label": {"value": "Tumour"}}, "Tumour", ""),
        ({"label": "Tumour"}, "Tumour", ""),
        ({}, "reader 1", ""),
    ],
)
def test_where_the_class_is(read, members, label, name):
    (found,) = read(document(polyline(**members))).annotations
    assert (found.label, found.name) == (label, name)


def test_a_document_without_a_name_has_no_class(read):
    assert read(document(polyline(), name="")).labels() == (UNCLASSIFIED,)


@pytest.mark.parametrize(
    ("element", "kind", "area", "bounds"),
    [
        (polyline(holes=[HOLE]), "polygon", 7950, (0, 0, 100, 80)),
        (polyline(closed=False), "line", 0, (0, 0, 100, 80)),
        ({"type": "point", "center": [3, 4, 0]}, "point", 0, (3, 4, 3, 4)),
        ({"type": "arrow", "points": [[0, 0, 0], [3, 4, 0]]}, "arrow", 0, (0, 0, 3, 4)),
        ({"type": "circle", "center": [50, 50, 0], "radius": 10}, "ellipse", math.pi * 100, (40, 40, 60, 60)),
        (
            {"type": "ellipse", "center": [50, 50, 0], "width": 40, "height": 20, "rotation": 0},
            "ellipse",
            math.pi * 200,
            (30, 40, 70, 60),
        ),
        (
            {"type": "rectangle", "center": [50, 50, 0], "width": 40, "height": 20, "rotation": math.pi / 2},
            "rectangle",
            800,
            (40, 30, 60, 70),
        ),
    ],
)
def test_every_element(read, element, kind, area, bounds):
    (found,) = read(document(element | {"group": "a"})).annotations
    assert found.kind == kind
    assert found.geometry.area == pytest.approx(area, rel=2e-3)
    assert found.geometry.bounds == pytest.approx(bounds)


def test_the_head_of_an_arrow_comes_first(read, tmp_path):
    found = read(document({"type": "arrow", "points": [[9, 8, 0], [3, 4, 0]]}))
    assert found.annotations[0].geometry.wkt == "LINESTRING (3 4, 9 8)"  # ours is last
    write_annotations(found, tmp_path / "b.json", "dsa")
    (element,) = json.loads((tmp_path / "b.json").read_text())["elements"]
    assert element["points"] == [[9, 8, 0], [3, 4, 0]]


def test_circles_and_ellipses_are_written_as_such(tmp_path):
    shapes = [ellipse_outline((50, 40), (10, 10)), ellipse_outline((50, 40), (20, 10), 0.3)]
    drawn = AnnotationSet(tuple(Annotation("a", "ellipse", shape) for shape in shapes))
    write_annotations(drawn, tmp_path / "b.json", "dsa")
    circle, turned = json.loads((tmp_path / "b.json").read_text())["elements"]
    assert circle["type"] == "circle"
    assert circle["radius"] == pytest.approx(10)
    assert turned["type"] == "ellipse"
    assert (turned["width"], turned["height"], turned["rotation"]) == pytest.approx((40, 20, 0.3))
    assert turned["center"] == pytest.approx([50, 40, 0])


def test_a_turned_rectangle_turns_x_towards_y(read):
    turn = math.radians(30)
    element = {"type": "rectangle", "center": [0, 0, 0], "width": 40, "height": 2, "rotation": turn}
    (found,) = read(document(element)).annotations
    assert found.kind == "polygon"
    end = shapely.Point(19 * math.cos(turn), 19 * math.sin(turn))
    assert found.geometry.contains(end)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("rgba(1,2,3,0.5)", (1, 2, 3)),
        ("#010203", (1, 2, 3)),
        ("#010203ff", (1, 2, 3)),
    ],
)
def test_colours(read, color, expected):
    assert read(document(polyline(group="a", lineColor=color))).colors["a"] == expected


def test_pictures_are_told_and_bad_elements_cost_only_themselves(read):
    found = read(
        document(
            {"type": "pixelmap", "girderId": "1"},
            {"type": "blob"},
            polyline(points="x"),
            polyline(points=[[1, 2, 3], [None, 2, 3], [4, 4, 4]]),
            {"type": "circle", "center": [1, 2, 0]},
            {"type": "point", "center": [1]},
            7,
            polyline(group="a"),
        )
    )
    assert found.labels() == ("a",)
    assert [fault.where for fault in found.faults] == [f"element {n}" for n in range(1, 7)]
    assert any("1 element that was pictures or grids left out" in note for note in found.notes)


def test_documents_without_elements_are_refused(read):
    with pytest.raises(AnnotationError, match="without a list of elements"):
        read({"annotation": {"elements": {}}})


def test_what_is_written_is_what_the_archive_takes(tmp_path):
    hole = shapely.box(0, 0, 100, 100).difference(shapely.box(10, 10, 20, 20))
    shapes = (
        Annotation("Tumour", "polygon", hole, "nest"),
        Annotation(UNCLASSIFIED, "point", shapely.Point(1, 2)),
    )
    write_annotations(AnnotationSet(shapes, {"Tumour": (1, 2, 3)}), tmp_path / "a.json", "dsa")
    first, second = json.loads((tmp_path / "a.json").read_text())["elements"]
    assert first["type"] == "polyline"
    assert first["closed"] is True
    assert [len(point) for point in first["points"]] == [3] * 4, "three numbers, the first point once"
    assert len(first["holes"]) == 1
    assert (first["group"], first["label"], first["lineColor"]) == (
        "Tumour",
        {"value": "nest"},
        "rgb(1, 2, 3)",
    )
    assert len(first["id"]) == 24
    assert second["center"] == [1, 2, 0]
    assert "group" not in second
