"""Painted labels to outlines and back, and to files of other programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.annotations.label_files import write_label_image
from napari_nic.annotations.label_image import fill
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.jobs import result_of
from napari_nic.painting import PaintedLabels, PaintedPicture, iter_areas, iter_paint

SHAPE = (1300, 1700)
WHOLE = RegionPx(0, 0, *SHAPE)
CLASSES = {"tumor": 1, "stroma": 2}
PIXEL = PixelSize(0.5, 0.25)


def drawn(annotations):
    picture = np.zeros(SHAPE, np.uint8)
    for one in annotations.annotations:
        fill(picture, one.geometry, CLASSES[one.label])
    return picture


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_outlines_cover_exactly_the_pixels_that_were_painted(seed):
    rng = np.random.default_rng(seed)
    labels = PaintedLabels(SHAPE)
    for level in (1, 0, 2):
        shape = np.array(labels.shapes[level])
        picture = (rng.random((7, 9)) * 3).astype(np.uint8).repeat(9, 0).repeat(11, 1)
        y, x = rng.integers(0, shape - 60)
        labels.paint(level, RegionPx(int(y), int(x), *picture.shape), picture)
    found = result_of(iter_areas(labels, CLASSES, PIXEL))
    assert all(one.geometry.is_valid and one.geometry.geom_type == "Polygon" for one in found.annotations)
    assert np.array_equal(drawn(found), labels.read(0, WHOLE))


def test_a_ring_keeps_its_hole_and_stays_within_the_tolerance_on_the_glass():
    labels = PaintedLabels(SHAPE)
    ring = Point(800, 600).buffer(300, quad_segs=64).difference(Point(800, 600).buffer(100, quad_segs=64))
    given = AnnotationSet((Annotation("tumor", "polygon", ring),))
    change = result_of(iter_paint(labels, given, CLASSES, 0))
    assert change.title == "paint annotations"
    exact = result_of(iter_areas(labels, CLASSES, PIXEL)).annotations[0].geometry
    (thin,) = result_of(iter_areas(labels, CLASSES, PIXEL, 1.0)).annotations
    assert len(thin.geometry.interiors) == 1
    assert shapely.get_num_coordinates(thin.geometry) < shapely.get_num_coordinates(exact) / 4
    assert thin.geometry.symmetric_difference(ring).area < 0.02 * ring.area
    on_glass = [
        shapely.transform(one.boundary, lambda points: points * (PIXEL.x, PIXEL.y))
        for one in (exact, thin.geometry)
    ]
    assert shapely.hausdorff_distance(*on_glass) <= 1.0 + 1e-9
    assert labels.undo() is not None
    assert labels.read(0, WHOLE).max() == 0


def test_annotations_are_painted_by_the_centres_of_pixels_the_last_one_on_top():
    labels = PaintedLabels(SHAPE)
    given = AnnotationSet(
        (
            Annotation("tumor", "polygon", box(500, 500, 900, 900)),
            Annotation("stroma", "polygon", box(700, 700, 1000, 1000)),
            Annotation("fat", "polygon", box(0, 0, 99, 99)),
            Annotation("tumor", "point", Point(3, 3)),
        )
    )
    result_of(iter_paint(labels, given, CLASSES, 0))
    expected = np.zeros(SHAPE, np.uint8)
    expected[500:900, 500:900] = 1
    expected[700:1000, 700:1000] = 2
    assert np.array_equal(labels.read(0, WHOLE), expected)
    assert result_of(iter_paint(labels, given, CLASSES, 0)) is None
    assert result_of(iter_paint(PaintedLabels(SHAPE), AnnotationSet(()), CLASSES, 1)) is None


@pytest.mark.parametrize("suffix", [".tif", ".zarr", ".png"])
def test_a_level_is_exported_with_its_classes(tmp_path, suffix):
    labels = PaintedLabels(SHAPE)
    labels.paint(1, RegionPx(100, 200, 300, 400), np.full((300, 400), 2, np.uint8))
    colors = {"tumor": (200, 0, 0), "stroma": (0, 200, 0)}
    picture = PaintedPicture(labels, 1, CLASSES, colors)
    path = tmp_path / f"labels{suffix}"
    write_label_image(picture, path, 1.0)
    expected = labels.read(1, RegionPx(0, 0, *labels.shapes[1]))
    if suffix == ".tif":
        with tifffile.TiffFile(path) as tif:
            assert np.array_equal(tif.asarray(), expected)
            assert json.loads(tif.pages[0].description)["classes"] == CLASSES
    elif suffix == ".zarr":
        group = zarr.open_group(path, mode="r")
        assert np.array_equal(group["0"][:], expected)
        colors_there = group.attrs["ome"]["image-label"]["colors"]
        assert {"label-value": 2, "rgba": [0, 200, 0, 255]} in colors_there
    else:
        from PIL import Image

        assert np.array_equal(np.asarray(Image.open(path)), expected)
