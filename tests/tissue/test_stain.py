"""Densities and colours of single pixels, against NumPy's plain words for them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.tissue.stain import extremes, glass_color, measure_stain


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_extremes_are_the_lowest_and_highest_channel(dtype):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(dtype)
    lowest, highest = extremes(image)
    assert lowest.dtype == highest.dtype == dtype
    np.testing.assert_array_equal(lowest, image.min(axis=2))
    np.testing.assert_array_equal(highest, image.max(axis=2))


def test_the_glass_is_the_most_frequent_bright_grey():
    image = np.full((40, 40, 3), (225, 170, 205), np.uint8)
    image[:25] = (241, 243, 240)
    image[:2] = 255  # what was not scanned
    np.testing.assert_array_equal(glass_color(image), (241, 243, 240))


def test_without_glass_white_is_taken():
    np.testing.assert_array_equal(glass_color(np.full((8, 8, 3), (225, 170, 205), np.uint8)), (255, 255, 255))


def test_glass_has_no_stain_and_eosin_is_coloured():
    image = np.full((300, 4, 3), 243, np.uint8)  # more rows than are worked on at a time
    image[260:] = (225, 170, 205)
    stain = measure_stain(image, np.full(3, 243, np.float32))
    assert not stain.amount[:260].any()
    density = -np.log10(np.array([225, 170, 205]) / 243)
    np.testing.assert_allclose(stain.color[260:], np.ptp(density), rtol=1e-5)
    np.testing.assert_allclose(stain.amount[260:], np.ptp(density) + 0.4 * density.min(), rtol=1e-5)
