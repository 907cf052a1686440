"""Frames and units: pixels, micrometres, and the half pixel between corners and centres."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import MPP_MAX, MPP_MIN, LevelGeometry, PixelSize, Placement, RegionPx

coordinates = st.integers(-1000, 1000)
lengths = st.integers(0, 300)
regions = st.builds(RegionPx, coordinates, coordinates, lengths, lengths)
sizes = st.floats(MPP_MIN, MPP_MAX)
positions = st.floats(-1e5, 1e5)
steps = st.floats(0.01, 1e4)
placements = st.builds(Placement, st.tuples(positions, positions), st.tuples(steps, steps))


@given(sizes, sizes)
def test_pixel_size_round_trip_and_mean(y, x):
    pixel = PixelSize(y, x, "aperio.MPP")
    assert PixelSize(**json.loads(json.dumps(pixel.to_dict()))) == pixel
    assert min(y, x) * 0.999 <= pixel.mean <= max(y, x) * 1.001


@pytest.mark.parametrize("value", [0.0, 0.0499, 20.001, 352.8, -0.5, float("nan"), float("inf")])
def test_absurd_pixel_sizes_are_refused(value):
    with pytest.raises(InvalidParameterError, match=r"0.05 to 20.0 um/px"):
        PixelSize(value, 0.5)
    with pytest.raises(InvalidParameterError, match="from the test"):
        PixelSize(0.5, value, "the test")


@given(regions)
def test_region_edges(region):
    rows, cols = region.slices
    assert (rows.stop, cols.stop) == (region.bottom, region.right)
    assert region.bottom - region.y == region.height
    assert region.is_empty == (region.height * region.width == 0)


def test_a_negative_size():
    with pytest.raises(InvalidParameterError, match="-1 x 5"):
        RegionPx(0, 0, -1, 5)


@given(regions, regions)
def test_intersection_holds_the_common_pixels(one, other):
    common = one.intersect(other)
    assert (common.height, common.width) == (
        len(set(range(one.y, one.bottom)) & set(range(other.y, other.bottom))),
        len(set(range(one.x, one.right)) & set(range(other.x, other.right))),
    )
    if not common.is_empty:
        assert common == other.intersect(one)
        assert common.intersect(one) == common


@given(regions)
def test_intersection_with_itself(region):
    assert region.intersect(region) == region


def test_level_geometry():
    level = LevelGeometry(300, 200, 4.0, 4.0)
    assert level.shape == (300, 200)
    assert level.region == RegionPx(0, 0, 300, 200)


@given(placements, st.integers(-50, 5000), st.integers(-50, 5000))
def test_placement_maps_there_and_back(placement, row, col):
    y, x = placement.corner_um(row, col)
    back = placement.index_at(y, x)
    # Positions are rounded at the size of the coordinate, which may be many steps.
    slack = [
        1e-9 + 1e-11 * max(abs(o), abs(p)) / s
        for o, p, s in zip(placement.origin_um, (y, x), placement.step_um, strict=True)
    ]
    assert back[0] == pytest.approx(row, abs=slack[0], rel=1e-9)
    assert back[1] == pytest.approx(col, abs=slack[1], rel=1e-9)


def test_the_element_that_holds_a_point():
    placement = Placement((10.0, 20.0), (4.0, 8.0))
    row, col = placement.index_at(17.9, 20.0)
    assert (int(np.floor(row)), int(np.floor(col))) == (1, 0)


@given(placements)
def test_placement_json(placement):
    assert Placement.from_dict(json.loads(json.dumps(placement.to_dict()))) == placement


def test_level_0_itself_has_no_translation():
    pixel = PixelSize(0.5, 0.25)
    scale, translate = Placement((0.0, 0.0), (0.5, 0.25)).centred_on(pixel)
    assert scale == (0.5, 0.25)
    assert translate == (0.0, 0.0)


@given(placements, sizes, sizes, st.integers(0, 200), st.integers(0, 200))
def test_centred_layers_cover_the_same_ground(placement, mpp_y, mpp_x, row, col):
    """In a viewer of centres, element (r, c) spans translate + (r - 0.5 ... r + 0.5) * scale; the slide's own
    level 0 spans (i - 0.5 ... i + 0.5) * mpp. So the viewer's world is the corner frame less half a pixel."""
    pixel = PixelSize(mpp_y, mpp_x)
    scale, translate = placement.centred_on(pixel)
    for axis, index in enumerate((row, col)):
        half_pixel = (pixel.y, pixel.x)[axis] / 2
        first_edge = translate[axis] + (index - 0.5) * scale[axis]
        corner = placement.corner_um(row, col)[axis]
        assert first_edge + half_pixel == pytest.approx(corner, rel=1e-9, abs=1e-6)
