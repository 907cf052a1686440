"""Rectangles, ellipses and arrows stay what they were drawn as: in the document, in undo, and when kept."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString, box
from tests.plugin.test_keeping import open_window, window

from napari_nic.annotations import Annotation, ellipse_of, ellipse_outline
from napari_nic.editing import AnnotationObject
from napari_nic.plugin.drawn_shapes import drawn_as

__all__ = ["open_window", "window"]  # fixtures

RECTANGLE = np.array([(100.0, 200.0), (100, 500), (300, 500), (300, 200)])
TURNED = np.array([(200.0, 100.0), (300, 300), (200, 350), (100, 150)])


@pytest.fixture
def layer(window):
    return window.viewer.add_shapes(ndim=2)


@pytest.mark.parametrize(
    ("drawn", "corners", "kind"),
    [
        ("rectangle", RECTANGLE, "rectangle"),
        ("ellipse", RECTANGLE, "ellipse"),
        ("ellipse", TURNED, "ellipse"),
        ("polygon", RECTANGLE[:3], "polygon"),
        ("path", RECTANGLE[:3], "line"),
    ],
)
def test_a_shape_comes_back_from_undo_as_it_was_drawn(window, layer, drawn, corners, kind):
    layer.add(corners, shape_type=drawn)
    (item,) = window.document.objects()
    assert item.annotation.kind == kind
    window.documents.undo()
    assert len(layer.data) == 0
    window.documents.redo()
    assert layer.shape_type == [drawn]
    assert window.document.objects() == (item,)
    if drawn != "ellipse":
        assert np.allclose(np.sort(layer.data[0], axis=0), np.sort(np.asarray(corners), axis=0), atol=1e-3)
    layer.data = [(layer.data[0] + 40, drawn)]
    (moved,) = window.document.objects()
    assert moved.id == item.id
    assert moved.annotation.kind == kind
    assert np.allclose(
        moved.annotation.geometry.bounds, np.array(item.annotation.geometry.bounds) + 40, atol=1e-3
    )
    window.documents.undo()
    assert layer.shape_type == [drawn]
    assert window.document.objects() == (item,)


def test_kinds_come_back_when_the_slide_is_opened_again(open_window, slide_file):
    first = open_window(slide_file)
    for kind, geometry in (
        ("rectangle", box(10, 20, 200, 90)),
        ("ellipse", ellipse_outline((400.0, 500.0), (90.0, 50.0), 0.3)),
        ("arrow", LineString([(10, 10), (300, 200)])),
        ("line", LineString([(10, 10), (300, 200)])),
    ):
        first.document.put("draw", AnnotationObject.new(Annotation("a", kind, geometry)))
    objects = first.document.objects()
    first.close()
    second = open_window(slide_file)
    (layer,) = (layer for layer in second.viewer.layers if hasattr(layer, "shape_type"))
    assert layer.shape_type == ["rectangle", "ellipse", "path", "path"]
    assert second.document.objects() == objects
    assert len(layer.data[2]) == 5, "an arrow has a head"
    layer.data = [*zip(layer.data[:3], layer.shape_type[:3], strict=True), (layer.data[3] + 7, "path")]
    assert second.document.objects()[:3] == objects[:3], "what was not touched stays, bit by bit"


def test_an_arrow_stays_one_when_it_is_moved_and_is_a_line_when_its_head_is_edited(window):
    arrow = AnnotationObject.new(Annotation("a", "arrow", LineString([(10, 10), (300, 200)])))
    window.document.put("draw", arrow)
    (layer,) = (layer for layer in window.viewer.layers if hasattr(layer, "shape_type"))
    layer.data = [(layer.data[0] + 50, "path")]
    (moved,) = window.document.objects()
    assert moved.annotation.kind == "arrow"
    assert np.allclose(moved.annotation.geometry.coords, [(60, 60), (350, 250)], atol=1e-3)
    bent = layer.data[0].copy()
    bent[2] += 30
    layer.data = [(bent, "path")]
    (edited,) = window.document.objects()
    assert (edited.id, edited.annotation.kind) == (arrow.id, "line")


def test_a_rectangle_with_a_corner_that_was_moved_is_a_polygon(window, layer):
    layer.add(RECTANGLE, shape_type="rectangle")
    corners = RECTANGLE.copy()
    corners[0] -= 30
    layer.data = [(corners, "polygon")]
    (item,) = window.document.objects()
    assert item.annotation.kind == "polygon"
    assert list(layer.features["kind"]) == ["polygon"]
    window.documents.undo()
    (item,) = window.document.objects()
    assert item.annotation.kind == "rectangle"
    assert layer.shape_type == ["rectangle"]


def test_what_lies_beyond_the_slide_is_drawn_as_far_as_it_lies_on_it(window):
    slide = window.session.slide
    beyond = Annotation("a", "ellipse", ellipse_outline((0.0, 100.0), (50.0, 50.0)))
    ((vertices, kind),) = drawn_as(beyond, slide)
    assert kind == "polygon"
    assert vertices.min() >= 0


@given(
    st.tuples(*[st.floats(-1e5, 1e5)] * 2),
    st.tuples(*[st.floats(1, 1e4)] * 2),
    st.floats(-3, 3),
)
def test_an_ellipse_is_drawn_around_its_outline(centre, radii, angle):
    outline = ellipse_outline(centre, radii, angle)
    if ellipse_of(outline) is None:
        return  # flatter than numbers tell
    ((corners, kind),) = drawn_as(Annotation("a", "ellipse", outline), None)
    assert kind == "ellipse"
    middle = corners.mean(axis=0)
    one, other = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    turns = np.linspace(0, 2 * np.pi, 200)[:, None]
    again = shapely.Polygon((middle + np.cos(turns) * one + np.sin(turns) * other)[:, ::-1])
    assert again.symmetric_difference(outline).area < 0.01 * outline.area
