"""V7's Darwin JSON of both versions."""

from __future__ import annotations

import json
import math

import pytest
import shapely

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import AnnotationError


def path(*points):
    return [{"x": x, "y": y} for x, y in points]


def box(left, top, right, bottom):
    return path((left, top), (right, top), (right, bottom), (left, bottom))


@pytest.fixture
def read(tmp_path):
    def _read(*annotations, **members):
        head = {"version": "2.0", "item": {"name": "a.svs", "slots": []}} | members
        (tmp_path / "a.json").write_text(json.dumps(head | {"annotations": list(annotations)}))
        return read_annotations(tmp_path / "a.json")

    return _read


def named(**shape):
    return {"id": "i", "name": "Tumour", "slot_names": ["0"], **shape}


@pytest.mark.parametrize(
    ("shape", "kind", "area"),
    [
        (
            {"polygon": {"paths": [box(0, 0, 10, 10)]}, "bounding_box": {"x": 0, "y": 0, "w": 1, "h": 1}},
            "polygon",
            100,
        ),
        ({"polygon": {"paths": [box(0, 0, 10, 10), box(2, 2, 4, 4)]}}, "polygon", 96),
        ({"polygon": {"paths": [box(2, 2, 4, 4), box(0, 0, 10, 10)]}}, "polygon", 96),
        ({"polygon": {"paths": [box(0, 0, 10, 10), box(20, 0, 30, 10)]}}, "polygon", 200),
        ({"polygon": {"paths": [box(0, 0, 9, 9), box(1, 1, 8, 8), box(3, 3, 5, 5)]}}, "polygon", 81 - 49 + 4),
        ({"polygon": {"path": box(0, 0, 10, 10)}}, "polygon", 100),
        ({"polygon": {"path": box(0, 0, 10, 10), "additional_paths": [box(2, 2, 4, 4)]}}, "polygon", 96),
        ({"complex_polygon": {"path": [box(0, 0, 10, 10)], "paths": [box(0, 0, 10, 10)]}}, "polygon", 100),
        ({"bounding_box": {"x": 1, "y": 2, "w": 3, "h": 4}}, "rectangle", 12),
        (
            {"ellipse": {"center": {"x": 0, "y": 0}, "radius": {"x": 4, "y": 2}, "angle": 0.5}},
            "ellipse",
            math.pi * 8,
        ),
        ({"line": {"path": path((0, 0), (3, 4))}}, "line", 0),
        ({"keypoint": {"x": 1, "y": 2}}, "point", 0),
    ],
)
def test_every_shape(read, shape, kind, area):
    (found,) = read(named(**shape)).annotations
    assert (found.label, found.id, found.kind) == ("Tumour", "i", kind)
    assert found.geometry.area == pytest.approx(area, rel=2e-3)


def test_version_1_is_known_by_its_data_set(tmp_path):
    document = {"dataset": "d", "image": {"filename": "a"}, "annotations": [named(keypoint={"x": 1, "y": 2})]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert len(read_annotations(tmp_path / "a.json")) == 1


def test_tags_are_told_and_bad_shapes_cost_only_themselves(read):
    found = read(
        named(tag={}),
        named(nothing={}),
        named(polygon={"paths": [[{"x": 1}]]}),
        named(polygon={"paths": 5}),
        named(polygon=[1]),
        named(keypoint={"x": "1", "y": 2}),
        named(keypoint={"x": 1, "y": 2}),
    )
    assert len(found) == 1
    assert [fault.where for fault in found.faults] == [f"annotation {n}" for n in range(1, 6)]
    assert any("1 annotation without a shape" in note for note in found.notes)


def test_without_a_list_it_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"schema_ref": "x", "item": {}, "annotations": {}}')
    with pytest.raises(AnnotationError, match="without a list of annotations"):
        read_annotations(tmp_path / "a.json")


def test_what_is_written_is_version_2(tmp_path):
    hole = shapely.box(0, 0, 100, 100).difference(shapely.box(10, 10, 20, 20))
    shapes = (Annotation("Tumour", "polygon", hole), Annotation(UNCLASSIFIED, "point", shapely.Point(1, 2)))
    write_annotations(AnnotationSet(shapes), tmp_path / "a.json", "darwin")
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["version"] == "2.0"
    first, second = document["annotations"]
    assert [len(one) for one in first["polygon"]["paths"]] == [4, 4]
    assert first["bounding_box"] == {"x": 0, "y": 0, "w": 100, "h": 100}
    assert len(first["id"]) == 36
    assert second["keypoint"] == {"x": 1, "y": 2}
