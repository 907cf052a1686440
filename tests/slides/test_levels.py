"""Downsamples, pixel sizes and samples: small rules, tested on their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.slides.levels import build_levels, downsample_of
from napari_nic.slides.model import Level, PixelSizeClaim, composite, to_rgb
from napari_nic.slides.pixel_size import choose_pixel_size, parse_float

sides = st.integers(64, 100_000)


@given(height=sides, width=sides, factor=st.sampled_from([1, 2, 4, 8, 16]), up=st.booleans())
def test_whole_factors_are_found(height, width, factor, up):
    coarse = tuple(-(-side // factor) if up else side // factor for side in (height, width))
    # Where the coarse side is tiny, another whole factor may fit as well; the corner stays within a pixel.
    y, x = downsample_of((height, width), coarse)
    assert y == int(y)
    assert x == int(x)
    assert abs(coarse[0] * y - height) < max(factor, y)
    if min(coarse) > 2 * factor:
        assert (y, x) == (factor, factor)


@given(height=sides, width=sides)
def test_repeated_halving_is_a_power_of_two(height, width):
    shapes = [(height, width)]
    while min(shapes[-1]) >= 64:
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    levels = build_levels(shapes, [(32, 32)] * len(shapes))
    assert [level.downsample_y for level in levels] == [2.0**i for i in range(len(shapes))]


def test_levels_of_a_few_pixels_still_halve():
    shapes = [(2967, 2220)]
    while shapes[-1] != (1, 1):
        shapes.append((max(1, shapes[-1][0] // 2), max(1, shapes[-1][1] // 2)))
    levels = build_levels(shapes, [(32, 32)] * len(shapes))
    assert [level.downsample_x for level in levels] == [2.0**i for i in range(len(shapes))]


def test_other_shapes_keep_their_ratio():
    assert downsample_of((1000, 2000), (300, 500)) == (1000 / 300, 4.0)


def test_a_ratio_is_kept_although_one_axis_is_whole():
    y, x = downsample_of((46_000, 32_893), (11_500, 8_220))
    assert y == 4.0
    assert x == pytest.approx(32_893 / 8_220)


@pytest.mark.parametrize(
    ("shape", "tile", "grid"),
    [((100, 100), (50, 50), (2, 2)), ((101, 100), (50, 64), (3, 2)), ((1, 1), (9, 9), (1, 1))],
)
def test_tile_grid_covers_the_level(shape, tile, grid):
    level = Level(*shape, tile=tile)
    assert level.tile_grid == grid
    area = sum(
        level.tile_region(row, col).height * level.tile_region(row, col).width
        for row in range(grid[0])
        for col in range(grid[1])
    )
    assert area == shape[0] * shape[1]


def claim(mpp: float, source: str) -> PixelSizeClaim:
    return PixelSizeClaim(mpp, mpp, source)


def test_the_first_sensible_claim_wins():
    chosen, note = choose_pixel_size([claim(0.0, "aperio.MPP"), claim(0.25, "tiff"), claim(0.5, "other")])
    assert (chosen.x, chosen.source) == (0.25, "tiff")
    assert note == "aperio.MPP says 0 x 0 um/px, which cannot be"


@pytest.mark.parametrize("mpp", [0.0, 0.049, 20.1, 352.8, float("inf"), float("nan"), -1.0])
def test_absurd_claims_are_refused_and_kept(mpp):
    chosen, note = choose_pixel_size([claim(mpp, "somewhere")])
    assert chosen is None
    assert "somewhere says" in note


def test_no_claim_at_all():
    assert choose_pixel_size([]) == (None, "the file states no micrometres per pixel")


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.25", 0.25), ("0,25", 0.25), (' "0.5" ', 0.5), ("", None), (None, None), ("a", None)],
)
def test_numbers_as_vendors_write_them(text, value):
    assert parse_float(text) == value


def test_bool_and_two_sample_pixels():
    mask = np.array([[True, False]])
    assert to_rgb(mask, (9, 9, 9)).tolist() == [[[255] * 3, [0] * 3]]
    grey_alpha = np.array([[[100, 255], [100, 0]]], np.uint8)
    assert to_rgb(grey_alpha, (9, 8, 7)).tolist() == [[[100] * 3, [9, 8, 7]]]


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2, 3), np.float32)])
def test_samples_that_make_no_picture(pixels):
    with pytest.raises(ValueError, match="sample"):
        to_rgb(pixels, (0, 0, 0))


@given(alpha=st.integers(0, 255), color=st.integers(0, 255), background=st.integers(0, 255))
def test_compositing_is_rounded_to_nearest(alpha, color, background):
    pixel = np.array([[[color, color, color, alpha]]], np.uint8)
    exact = (color * alpha + background * (255 - alpha)) / 255
    assert abs(int(composite(pixel, (background,) * 3)[0, 0, 0]) - exact) <= 0.5
