"""Whatever place, turn and unit a layer has: what is saved is what lies on the slide's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.layers import Points, Shapes

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations
from napari_nic.errors import NotSavedError
from napari_nic.geometry import PixelSize
from napari_nic.plugin import writers
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.layers import METADATA_KEY, LayerTag, overlay_layer, slide_layer
from napari_nic.plugin.slide_frames import SlideFrame, rescale
from napari_nic.plugin.writers import write_annotation_layers
from napari_nic.slides import open_slide

SHARED = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
MPP = 0.5
MICROMETRES = {"um": 1.0, "mm": 1e3, "nm": 1e-3, "pixel": 1.0}

SHAPES = {
    "polygon": np.array([(100.0, 100.0), (100, 300), (250, 320), (220, 90)]),
    "path": np.array([(10.0, 20.0), (40, 80), (90, 10)]),
    "line": np.array([(5.0, 6.0), (70, 80)]),
    "rectangle": np.array([(400.0, 400.0), (400, 500), (450, 500), (450, 400)]),
    "ellipse": np.array([(600.0, 600.0), (600, 800), (700, 800), (700, 600)]),
}
"""Vertices (y, x) in level-0 pixels, corner-based."""


@pytest.fixture(scope="module")
def slide(slide_path):
    with open_slide(slide_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Slides that the viewer shows, as the writer finds them."""
    found = []
    monkeypatch.setattr(writers, "_slides_shown", lambda: found)
    return found


@st.composite
def places(draw):
    """Any place of a layer, and its unit."""
    part = st.floats(0.2, 200)
    small = st.floats(-0.5, 0.5)
    affine = np.eye(3)
    affine[:2, :2] += [[draw(small), draw(small)], [draw(small), draw(small)]]
    unit = draw(st.sampled_from(list(MICROMETRES)))
    length = st.floats(-500, 500).map(lambda um: um / MICROMETRES[unit])
    affine[:2, 2] = draw(length), draw(length)
    return {
        "scale": (draw(part), draw(part)),
        "translate": (draw(length), draw(length)),
        "rotate": draw(st.floats(-180, 180)),
        "shear": [draw(small)],
        "affine": affine if draw(st.booleans()) and abs(np.linalg.det(affine[:2, :2])) > 0.1 else None,
        "units": (unit, unit),
    }


def in_layer(px, place):
    """Where vertices at level-0 pixels stand in a layer of this place: the inverse, worked out by hand."""
    world = (np.asarray(px) - 0.5) * MPP / MICROMETRES[place["units"][0]]
    empty = Points(ndim=2, **place)
    return np.array([empty.world_to_data(point) for point in world])


@SHARED
@given(place=places())
@pytest.mark.parametrize("suffix", [".geojson", ".xml"])
def test_shapes_of_any_place_are_saved_in_pixels_of_the_slide(tmp_path, slide, shown, place, suffix):
    shown[:] = [(slide, None)]
    data = [in_layer(vertices, place) for vertices in SHAPES.values()]
    layer = Shapes(data, shape_type=list(SHAPES), **place)
    points = Points(in_layer([(7, 9), (300, 20)], place), **place)
    path = tmp_path / f"a{suffix}"
    write_annotation_layers(str(path), [layer.as_layer_data_tuple(), points.as_layer_data_tuple()])
    found = read_annotations(path).annotations
    areas = [a.geometry for a in found if a.is_area]
    expected = [shapely.Polygon(SHAPES[kind][:, ::-1]) for kind in ("polygon", "rectangle")]
    expected.append(shapely.affinity.scale(shapely.Point(700, 650).buffer(1, 128), 100, 50))
    for ours, theirs in zip(areas, expected, strict=True):
        assert ours.symmetric_difference(theirs).area < 2e-3 * theirs.area
    others = [shapely.get_coordinates(a.geometry)[:, ::-1] for a in found if not a.is_area]
    lines = [others[0], others[1]]
    assert np.allclose(lines[0], SHAPES["path"], atol=0.02)
    assert np.allclose(lines[1], SHAPES["line"], atol=0.02)
    assert np.allclose(np.concatenate(others[2:]), [(7, 9), (300, 20)], atol=1e-6)


def test_shapes_drawn_over_an_overlay(tmp_path, slide, shown):
    """napari's new shapes layer takes the place of the chosen layer: here of cells of 128 px."""
    from napari_nic.explain import Overlay
    from napari_nic.geometry import Placement

    overlay = Overlay(
        kind="saliency",
        name="Saliency",
        data=np.zeros((8, 11), np.float32),
        mask=np.ones((8, 11), bool),
        placement=Placement((0.0, 0.0), (64.0, 64.0)),
        limits=(-1.0, 1.0),
    )
    _, options, _ = overlay_layer(overlay, slide, title="Saliency")
    layer = Shapes(
        [np.array([(0.5, 0.5), (0.5, 1.5), (1.5, 1.5), (1.5, 0.5)])],
        shape_type="rectangle",
        **{name: options[name] for name in ("scale", "translate", "units")},
    )
    shown[:] = [(slide, None)]
    write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
    (found,) = read_annotations(tmp_path / "a.geojson").annotations
    assert found.kind == "rectangle"
    assert np.allclose(found.geometry.bounds, (128, 128, 256, 256))


def test_a_slide_that_was_moved_takes_its_annotations_along(slide):
    from napari.layers import Image

    data, options, _ = slide_layer(slide)
    shown = Image(data, **options)
    shown.translate = (1000, -300)
    shown.rotate = 30
    vertices = SHAPES["polygon"]
    world = np.array([shown.data_to_world(point) for point in vertices - 0.5])
    layer = Shapes([world], shape_type="polygon", units=("um", "um"))
    (found,) = annotations_of([layer], SlideFrame(slide, shown)).annotations
    assert found.geometry.equals_exact(shapely.Polygon(vertices[:, ::-1]), 0.01)


def test_a_layer_of_a_file_that_was_moved_is_saved_where_it_lies(slide):
    hole = shapely.box(10, 20, 110, 90).difference(shapely.box(30, 40, 50, 60))
    annotations = AnnotationSet(
        (Annotation("A", "polygon", hole, "n", "i"), Annotation("B", "point", shapely.Point(3, 4)))
    )
    shapes, points = (
        {"shapes": Shapes, "points": Points}[kind](data, **options)
        for data, options, kind in annotation_layers(annotations, slide, "x")
    )
    assert annotations_of([shapes, points]).annotations == annotations.annotations
    for layer in (shapes, points):
        layer.translate = np.add(layer.translate, (100 * MPP, 200 * MPP))
    moved = annotations_of([shapes, points]).annotations
    assert moved[0].geometry.equals_exact(shapely.affinity.translate(hole, 200, 100), 0.01, normalize=True)
    assert (moved[0].label, moved[0].name, moved[0].id) == ("A", "n", "i")
    assert moved[1].geometry.equals_exact(shapely.Point(203, 104), 1e-6)


def test_anisotropic_pixels(slide, monkeypatch):
    monkeypatch.setattr(slide, "pixel_size", PixelSize(0.25, 0.5, "made"))
    layer = Shapes(
        [np.array([(0.0, 0.0), (0, 50), (25, 50), (25, 0)])], shape_type="rectangle", units=("um", "um")
    )
    (found,) = annotations_of([layer], SlideFrame(slide)).annotations
    assert np.allclose(found.geometry.bounds, (0.5, 0.5, 100.5, 100.5))


def test_without_a_slide_the_unit_is_a_pixel(tmp_path):
    layer = Shapes([SHAPES["polygon"] - 0.5], shape_type="polygon", scale=(2, 2))
    write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
    (found,) = read_annotations(tmp_path / "a.geojson").annotations
    assert np.allclose(found.geometry.bounds, np.array([90, 100, 320, 250]) * 2 - 0.5)


def test_lengths_without_a_slide_are_refused(tmp_path):
    layer = Shapes([SHAPES["polygon"]], shape_type="polygon", units=("um", "um"))
    with pytest.raises(NotSavedError, match="pixel size is known"):
        write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
    assert not (tmp_path / "a.geojson").exists()


def test_shapes_of_several_slides_are_not_mixed(tmp_path, slide, slide_path, shown):
    layer = Shapes([SHAPES["polygon"]], shape_type="polygon", units=("um", "um"))
    with open_slide(slide_path) as other:
        shown[:] = [(slide, None), (other, None)]
        with pytest.raises(NotSavedError, match="several slides"):
            write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
        ours, theirs = (annotation_layers(AnnotationSet(), one, "x")[0] for one in (slide, other))
        tuples = [Shapes(data, **options).as_layer_data_tuple() for data, options, _ in (ours, theirs)]
        with pytest.raises(NotSavedError, match="several slides"):
            write_annotation_layers(str(tmp_path / "a.geojson"), tuples)
        layer.metadata[METADATA_KEY] = ours[1]["metadata"][METADATA_KEY]
        write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
    assert len(read_annotations(tmp_path / "a.geojson")) == 1


def test_shapes_of_three_dimensions_are_saved_by_their_last_two(tmp_path, slide, shown):
    shown[:] = [(slide, None)]
    flat = (SHAPES["polygon"] - 0.5) * MPP
    layer = Shapes([np.c_[np.full(4, 5.0), flat]], shape_type="polygon", ndim=3, scale=(3, 1, 1))
    write_annotation_layers(str(tmp_path / "a.geojson"), [layer.as_layer_data_tuple()])
    (found,) = read_annotations(tmp_path / "a.geojson").annotations
    assert np.allclose(found.geometry.bounds, (90, 100, 320, 250))


@SHARED
@given(place=places(), after=st.floats(0.1, 1))
def test_layers_stay_on_their_pixels_when_the_pixel_size_becomes_known(slide, place, after):
    place["units"] = ("pixel", "pixel")
    layer = Points(np.array([(10.0, 20.0), (33, -4)]), **place)

    class Unscaled:
        pixel_size = None

    class Scaled:
        pixel_size = PixelSize(after, after * 1.1, "user")

    before = SlideFrame(Unscaled).to_px(layer.data, layer)
    rescale(layer, PixelSize(1, 1, "unknown"), Scaled.pixel_size)
    assert np.allclose(SlideFrame(Scaled).to_px(layer.data, layer), before, rtol=1e-6, atol=1e-4)


def test_tags_of_other_layers_are_no_annotations(slide):
    layer = Points(np.zeros((1, 2)), metadata={METADATA_KEY: LayerTag("overlay", slide)})
    assert len(annotations_of([layer])) == 1
