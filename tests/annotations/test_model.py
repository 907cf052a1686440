"""Sets of annotations and their colours."""

from __future__ import annotations

import pytest
import shapely

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet, label_colors
from napari_nic.colors import FURTHER, PALETTE, from_hex, to_hex


def _shape(label, kind="polygon"):
    geometry = shapely.box(0, 0, 2, 1) if kind != "point" else shapely.Point(5, 6)
    return Annotation(label, kind, geometry)


def test_labels_counts_and_areas():
    found = AnnotationSet((_shape("b"), _shape("a"), _shape("b", "point"), _shape("c", "spline")))
    assert found.labels() == ("b", "a", "c")
    assert found.counts() == {"b": 2, "a": 1, "c": 1}
    assert len(found.polygons()) == 3
    assert len(found.polygons("b")) == 1
    assert len(found.polygons(["a", "c"])) == 2
    assert found.polygons("none") == []
    assert AnnotationSet().colors == {}


def test_shifting_moves_everything_and_keeps_the_rest():
    found = AnnotationSet((_shape("b"), _shape("a", "point")), {"b": (1, 2, 3)}, "file", ("note",))
    moved = found.shifted(10, -4)
    assert moved.annotations[0].geometry.bounds == (10, -4, 12, -3)
    assert moved.annotations[1].geometry.equals(shapely.Point(15, 2))
    assert (moved.colors, moved.source, moved.notes) == (found.colors, "file", ("note",))
    assert len(AnnotationSet().shifted(1, 1)) == 0


def test_colours_of_a_file_are_kept_unless_they_tell_nothing_apart():
    labels = ["Tumour", "benign", "x"]
    assert label_colors(labels, {"Tumour": (1, 2, 3)})["Tumour"] == (1, 2, 3)
    same = label_colors(labels, {"Tumour": (100, 254, 46), "benign": (100, 254, 46), "x": (9, 9, 9)})
    assert same["Tumour"] != same["benign"]
    assert same["x"] == (9, 9, 9)


def test_colours_are_distinct_and_do_not_depend_on_order():
    labels = [f"class {index}" for index in range(len(PALETTE) + len(FURTHER))]
    colors = label_colors(labels)
    assert len(set(colors.values())) == len(labels)
    assert label_colors(reversed(labels)) == colors
    assert list(colors) == labels
    many = label_colors([f"class {index}" for index in range(40)])
    assert len(set(many.values())) == 40


def test_frequent_classes_look_alike_in_every_set():
    alone = label_colors(["Tumor"])["Tumor"]
    for others in (["benign", "cell"], ["Stroma", "Necrosis", "lymphocytes", "Tissue"], [UNCLASSIFIED]):
        colors = label_colors([*others, "malignant tumour"])
        assert colors["malignant tumour"] == alone
    assert label_colors([UNCLASSIFIED, "a"])[UNCLASSIFIED] == label_colors([UNCLASSIFIED])[UNCLASSIFIED]


@pytest.mark.parametrize("text", [None, "", "#12", "#GGGGGG", "red"])
def test_what_is_no_colour(text):
    assert from_hex(text) is None


def test_hex_colours():
    assert from_hex(to_hex((1, 171, 205))) == (1, 171, 205)
    assert from_hex("0a0b0c") == (10, 11, 12)
