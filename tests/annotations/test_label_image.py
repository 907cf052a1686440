"""Areas as class numbers: every pixel whose centre lies inside, and no other."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet, label_image, plan_label_image
from napari_nic.annotations.label_files import write_label_image
from napari_nic.annotations.label_image import fill
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize

PIXEL = PixelSize(0.5, 0.25)


def centres_inside(geometry, shape):
    """shapely's own answer, pixel by pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return shapely.contains_xy(geometry, x, y)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), top=st.integers(0, 40))
def test_pixels_are_shapelys(strategies, data, top):
    star = data.draw(strategies.stars())
    # Whole halves would put corners and sides on centres, where inside and outside are a matter of taste.
    star = shapely.transform(star, lambda xy: xy + np.array([np.pi / 100, np.e / 100]))
    band = np.zeros((300, 280), np.uint8)
    fill(band, star, 7, top)
    expected = centres_inside(star, (top + 300, 280))[top:]
    assert set(np.unique(band)) <= {0, 7}
    edge = shapely.boundary(star)
    y, x = np.nonzero((band == 7) != expected)
    assert all(edge.distance(shapely.Point(c + 0.5, r + top + 0.5)) < 1e-9 for r, c in zip(y, x, strict=True))


def test_all_parts_of_an_area_are_drawn():
    parts = [shapely.box(1, 1, 4, 4), shapely.box(6, 2, 9, 5).difference(shapely.box(7, 3, 8, 4))]
    band = np.zeros((10, 10), int)
    fill(band, shapely.MultiPolygon(parts), 3)
    expected = sum(centres_inside(part, band.shape) for part in parts)
    np.testing.assert_array_equal(band, 3 * expected)


def test_neighbours_share_no_pixel_and_leave_none():
    band = np.zeros((10, 10), int)
    for x in range(0, 10, 2):
        for y in range(0, 10, 5):
            once = np.zeros_like(band)
            fill(once, shapely.box(x + 0.5, y + 0.5, x + 2.5, y + 5.5), 1)
            band += once
    assert band.max() == 1
    # Centres on the left and upper edge belong to the area, those on the other edges do not.
    assert band.all()


@pytest.fixture
def plan(monkeypatch):
    monkeypatch.setattr(label_image, "BAND_ROWS", 16)
    shapes = (
        Annotation("Tumour", "polygon", shapely.box(0, 0, 200, 100)),
        Annotation(
            "Stroma", "polygon", shapely.box(100, 50, 400, 100).difference(shapely.box(200, 60, 240, 80))
        ),
        Annotation("Stroma", "line", shapely.LineString([(0, 0), (300, 90)])),
        Annotation("Off", "polygon", shapely.box(-50, -50, 0, 0)),
    )
    annotations = AnnotationSet(shapes, {"Tumour": (200, 1, 2), "Stroma": (3, 100, 4), "Off": (5, 6, 70)})
    return plan_label_image(annotations, (101, 400), PIXEL, 1.0)


def test_the_plan(plan):
    assert plan.shape == (51, 100)
    assert plan.scale == (2, 4)
    assert plan.values == {"Tumour": 1, "Stroma": 2, "Off": 3}
    assert plan.dtype == np.uint8


def drawn(plan):
    picture = np.concatenate(list(plan.bands()))
    expected = np.zeros(plan.shape, int)
    expected[0:50, 0:50] = 1
    expected[25:50, 25:100] = 2
    expected[30:40, 50:60] = 0
    np.testing.assert_array_equal(picture, expected)
    return picture


def test_later_areas_lie_on_top(plan):
    drawn(plan)


def test_files_hold_the_same_numbers_and_say_what_they_mean(plan, tmp_path):
    expected = drawn(plan)
    for name in ("a.png", "a.tif", "a.zarr"):
        write_label_image(plan, tmp_path / name, 1.0)
    with Image.open(tmp_path / "a.png") as png:
        assert json.loads(png.text["classes"]) == dict(plan.values)
        assert png.getpalette()[3:6] == [200, 1, 2]
        np.testing.assert_array_equal(np.asarray(png), expected)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert json.loads(tif.pages[0].description)["classes"] == dict(plan.values)
        assert tif.pages[0].tags["XResolution"].value == (10_000, 1)
        np.testing.assert_array_equal(tif.asarray(), expected)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][:], expected)
    label = group.attrs["ome"]["image-label"]
    place = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert place[1]["translation"] == [0.25, 0.375], "of 1 um pixels on ones of 0.5 and 0.25 um"
    assert label["properties"][1] == {"label-value": 2, "class": "Stroma"}
    assert label["colors"][0] == {"label-value": 1, "rgba": [200, 1, 2, 255]}


def test_chosen_classes_and_what_cannot_be_drawn(plan, tmp_path, monkeypatch):
    only = plan_label_image(plan.annotations, (101, 400), PIXEL, 1.0, ["Stroma"])
    assert only.values == {"Stroma": 1}
    assert next(iter(only.bands())).max() == 0
    with pytest.raises(InvalidParameterError, match="no area has this class"):
        plan_label_image(plan.annotations, (101, 400), PIXEL, 1.0, ["Necrosis"])
    with pytest.raises(InvalidParameterError, match="no areas to draw"):
        plan_label_image(AnnotationSet(), (101, 400), PIXEL, 1.0)
    with pytest.raises(InvalidParameterError, match="suffix"):
        write_label_image(plan, tmp_path / "a.jpg", 1.0)
    monkeypatch.setattr("napari_nic.annotations.label_files.MAX_PNG_PIXELS", 10)
    with pytest.raises(InvalidParameterError, match="too large for a PNG"):
        write_label_image(plan, tmp_path / "a.png", 1.0)
    assert list(tmp_path.iterdir()) == []


def test_many_classes_take_sixteen_bits():
    shapes = tuple(Annotation(f"c{n}", "polygon", shapely.box(n, 0, n + 1, 1)) for n in range(300))
    plan = plan_label_image(AnnotationSet(shapes), (1, 300), PixelSize(1.0, 1.0), 1.0)
    (band,) = plan.bands()
    assert band.dtype == np.uint16
    assert band[0].tolist() == list(range(1, 301))
