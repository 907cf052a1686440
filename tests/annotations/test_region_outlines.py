"""Outlines of numbered areas, against SciPy's labels and shapely's own answer pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_nic.annotations import region_outlines as module
from napari_nic.annotations.region_outlines import TooManyCornersError, region_outlines

PICTURES = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2)
)


@settings(deadline=None, max_examples=150)
@given(picture=PICTURES, cuts=st.lists(st.integers(1, 11), max_size=3))
def test_every_pixel_lies_in_its_area_and_every_area_is_one(picture, cuts):
    places = sorted(cut for cut in cuts if cut < len(picture))
    bands = [band for band in np.split(picture, places) if len(band)]
    found = region_outlines(bands)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    for value in (1, 2):
        areas = found.get(value, [])
        assert len(areas) == ndimage.label(picture == value)[1]
        assert shapely.is_valid(areas).all() if areas else True
        covered = np.zeros(picture.shape)
        for area in areas:
            covered += shapely.contains_xy(area, x, y)
        np.testing.assert_array_equal(covered, picture == value)
        assert sum(area.area for area in areas) == (picture == value).sum()


def test_a_ring_in_a_ring():
    picture = np.zeros((9, 9), np.int32)
    picture[1:8, 1:8], picture[2:7, 2:7], picture[3:6, 3:6], picture[4, 4] = 70_000, 0, 70_000, 5
    found = region_outlines([picture])
    outer, inner = sorted(found[70_000], key=lambda area: -area.area)
    assert outer.equals(shapely.box(1, 1, 8, 8).difference(shapely.box(2, 2, 7, 7)))
    assert inner.equals(shapely.box(3, 3, 6, 6).difference(shapely.box(4, 4, 5, 5)))
    assert found[5][0].equals(shapely.box(4, 4, 5, 5))


def test_noise_is_refused_before_it_takes_the_memory(monkeypatch):
    monkeypatch.setattr(module, "MOST_CORNERS", 1000)
    noise = np.random.default_rng(0).integers(0, 2, (100, 100))
    with pytest.raises(TooManyCornersError):
        region_outlines([noise])


def test_nothing_has_no_outlines():
    assert region_outlines([]) == {}
    assert region_outlines([np.zeros((3, 4), np.uint8)]) == {}
