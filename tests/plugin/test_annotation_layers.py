"""Annotations become shapes and points in level-0 pixels, and come back as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from napari.layers import Labels, Points, Shapes
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Point, box

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet, read_annotations
from napari_nic.plugin import annotation_layers as module
from napari_nic.plugin.annotation_layers import annotation_layers, annotation_tag
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.writers import write_annotation_layers
from napari_nic.slides import open_slide

KINDS = {"shapes": Shapes, "points": Points, "labels": Labels}


def layers_of(annotations: AnnotationSet, slide=None) -> list:
    return [
        KINDS[kind](data, **options) for data, options, kind in annotation_layers(annotations, slide, "x")
    ]


@pytest.fixture
def annotations() -> AnnotationSet:
    ring = box(10, 20, 110, 90).difference(box(30, 40, 50, 60))
    two = MultiPolygon([box(200, 0, 240, 30), box(260, 0, 300, 30)])
    return AnnotationSet(
        (
            Annotation("Tumour", "polygon", ring, "first", "id-1"),
            Annotation("Stroma", "polygon", two, id="id-2"),
            Annotation("Vessel", "line", LineString([(0, 0), (10, 0), (10, 5)])),
            Annotation("Mitosis", "point", Point(33, 44), id="id-3"),
            Annotation(UNCLASSIFIED, "spline", box(0, 0, 5, 5)),
        ),
        colors={"Tumour": (200, 0, 0)},
    )


def test_round_trip(annotations):
    back = annotations_of(layers_of(annotations))
    assert dict(back.colors) == dict(annotations.colors)
    by_label = {a.label: a for a in back.annotations}
    assert len(back) == len(annotations)
    for original in annotations.annotations:
        found = by_label[original.label]
        assert found.geometry.equals(original.geometry)
        assert (found.kind, found.name, found.id) == (original.kind, original.name, original.id)


def test_vertices_lie_where_the_pixels_are(slide_file):
    """Pixel (y, x) of the slide is centred on y * mpp in napari; its corner is half a pixel before."""
    with open_slide(slide_file) as slide:
        one_pixel = AnnotationSet((Annotation("A", "polygon", box(7, 3, 8, 4)),))
        (layer,) = layers_of(one_pixel, slide)
        corners = np.array([layer.data_to_world(v) for v in layer.data[0]])
    assert corners.min(axis=0) == pytest.approx([2.5 * 0.5, 6.5 * 0.5])
    assert corners.max(axis=0) == pytest.approx([3.5 * 0.5, 7.5 * 0.5])
    assert str(layer.units[0]) == "micrometer"


def test_class_colours_are_on_the_screen(annotations):
    shapes, points = layers_of(annotations)
    assert shapes.edge_color[0, :3] * 255 == pytest.approx([200, 0, 0])
    assert (shapes.face_color[:, 3] < 0.2).all()
    assert points.face_color[0, :3] * 255 == pytest.approx(annotations.colors["Mitosis"])
    assert points.border_color == pytest.approx(points.face_color)  # where points are small it covers them


def test_drawn_shapes_have_no_class_yet(annotations):
    shapes, points = layers_of(annotations)
    shapes.add_polygons(np.array([(0, 0), (0, 50), (50, 50)]))
    shapes.add_ellipses(np.array([(0, 0), (0, 40), (20, 40), (20, 0)]))
    back = annotations_of([shapes, points])
    triangle, ellipse = back.annotations[-3], back.annotations[-2]
    assert (triangle.label, triangle.id) == (UNCLASSIFIED, "")
    assert triangle.geometry.area == 1250
    assert ellipse.geometry.area == pytest.approx(np.pi * 20 * 10, rel=0.01)


def test_moved_vertex_is_kept(annotations):
    shapes, points = layers_of(annotations)
    data = shapes.data
    data[1] = data[1] + 5
    shapes.data = data
    moved = {a.label: a for a in annotations_of([shapes, points]).annotations}["Stroma"]
    assert moved.geometry.bounds == (205, 5, 305, 35)


def test_very_many_shapes_become_a_picture_of_outlines_and_are_not_lost(annotations, monkeypatch):
    monkeypatch.setattr(module, "MAX_SHAPES", 2)
    picture, points = layers_of(annotations)
    assert isinstance(picture, Labels)
    assert isinstance(points, Points)
    assert len(points.data) == 1
    note = "; ".join(annotation_tag(picture).notes())
    assert "5 shapes" in note
    assert "more than 2" in note
    back = annotations_of([picture, points])
    assert sorted(a.label for a in back.annotations) == sorted(a.label for a in annotations.annotations)
    assert {a.geometry.wkt for a in back.annotations} == {a.geometry.wkt for a in annotations.annotations}


def test_outlines_of_the_picture_lie_on_the_outlines(monkeypatch, slide_file):
    monkeypatch.setattr(module, "MAX_SHAPES", 0)
    ring = box(100, 200, 400, 600).difference(box(200, 300, 300, 400))
    annotations = AnnotationSet((Annotation("Tumour", "polygon", ring),), {"Tumour": (200, 0, 0)})
    with open_slide(slide_file) as slide:
        (layer,) = layers_of(annotations, slide)
    level = np.asarray(layer.data[0])
    colors = layer.colormap.map(level)
    rows, cols = np.nonzero(colors[..., 3] == 1)
    assert np.allclose(colors[rows, cols, :3] * 255, (200, 0, 0))
    distance = shapely.distance(shapely.points(cols + 0.5, rows + 0.5), ring.boundary)
    assert distance.max() <= 2
    every = shapely.get_coordinates(shapely.segmentize(ring.boundary, 5))
    drawn = shapely.MultiPoint(np.stack([cols, rows], 1) + 0.5)
    assert max(shapely.distance(shapely.points(every), drawn)) <= 2
    corner = layer.data_to_world((-0.5, -0.5))
    assert np.allclose(corner, (-0.25, -0.25)), "the picture lies on the slide"


def test_empty_set_gives_a_layer_to_draw_in():
    (layer,) = layers_of(AnnotationSet())
    assert isinstance(layer, Shapes)
    assert len(annotations_of([layer])) == 0


@pytest.mark.parametrize("suffix", [".geojson", ".xml"])
def test_napari_saves_shapes(annotations, tmp_path, suffix):
    path = tmp_path / f"saved{suffix}"
    layers = [layer.as_layer_data_tuple() for layer in layers_of(annotations)]
    assert write_annotation_layers(str(path), layers) == [str(path)]
    back = read_annotations(path)
    assert {"Tumour", "Stroma", "Mitosis"} <= set(back.labels())
    if suffix == ".geojson":
        assert {a.label: a for a in back.annotations}["Tumour"].geometry.equals(
            annotations.annotations[0].geometry
        )


def test_what_lies_beyond_the_slide_is_cut_off_on_the_screen_only(slide_file):
    reaching_out = AnnotationSet(
        (
            Annotation("A", "polygon", box(-500, 100, 700, 9000)),
            Annotation("B", "polygon", box(-900, -900, -800, -800)),
        )
    )
    with open_slide(slide_file) as slide:
        (layer,) = layers_of(reaching_out, slide)
        assert layer.data[0].min(axis=0).tolist() == [100, 0]
        assert layer.data[0].max(axis=0).tolist() == [1100, 700]
        notes = annotation_tag(layer).notes()
        assert "1 of 2 shapes reaches far beyond the slide: only what lies on it is shown" in notes
        assert "1 of 2 shapes lies outside of the slide" in notes
        assert layer.data[1].min() == -900, "what lies outside as a whole belongs to another slide: show that"
        back = annotations_of([layer])
        assert back.annotations[0].geometry.equals(reaching_out.annotations[0].geometry)
        data = layer.data
        data[0] = data[0] + 1
        layer.data = data
        assert annotations_of([layer]).annotations[0].geometry.bounds == (1, 101, 701, 1101)


def test_line_of_several_parts(slide_file):
    lines = AnnotationSet((Annotation("V", "line", MultiLineString([[(0, 0), (9, 9)], [(20, 0), (20, 9)]])),))
    (layer,) = layers_of(lines)
    assert len(layer.data) == 2
    assert annotations_of([layer]).annotations == lines.annotations
    data = layer.data
    data[1] = data[1] + 1
    layer.data = data
    assert [a.geometry.length for a in annotations_of([layer]).annotations] == pytest.approx([9 * 2**0.5, 9])


def test_outlines_are_thin_lines_at_any_size(slide_file):
    large = AnnotationSet((Annotation("A", "polygon", box(0, 0, 1500, 1000)),))
    nuclei = AnnotationSet(
        tuple(Annotation("N", "polygon", box(x, 0, x + 12, 12)) for x in range(0, 900, 30))
    )
    with open_slide(slide_file) as slide:
        assert 3 < layers_of(large, slide)[0].edge_width[0] < 6
        assert layers_of(nuclei, slide)[0].edge_width[0] == 1


@pytest.mark.data
@pytest.mark.parametrize("name", ["TCGA-21-5784-01Z-00-DX1", "TCGA-21-5786-01Z-00-DX1"])
def test_every_nucleus_of_a_real_file_is_shown_and_comes_back(data_dir, name):
    path = data_dir / "annotations" / "monuseg_xml" / f"{name}.xml"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    annotations = read_annotations(path)
    (layer,) = layers_of(annotations)
    tag = annotation_tag(layer)
    assert tag.hidden == ()
    assert len(tag.shown) == len(annotations)
    assert annotations_of([layer]).annotations == annotations.annotations
