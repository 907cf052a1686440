"""A thumbnail spans the whole slide and shows its colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import result_of
from napari_nic.slides import open_slide
from napari_nic.viewing import iter_thumbnail


@pytest.mark.parametrize("side", [30, 64])
def test_it_is_the_slide_averaged(slide_path, slide_image, side):
    with open_slide(slide_path) as slide:
        picture = result_of(iter_thumbnail(slide, side))
    assert picture.shape == (round(side * 1100 / 1500), side, 3)
    expected = cv2.resize(slide_image, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    difference = np.abs(picture.astype(int) - expected).mean()
    assert difference < 6, "resampled from a level of 93 px"


def test_it_is_never_larger_than_what_there_is(slide_path):
    with open_slide(slide_path) as slide:
        picture = result_of(iter_thumbnail(slide, 10_000))
        assert picture.shape[:2] == slide.pyramid_levels[-1].shape


def test_it_needs_no_pixel_size_and_no_small_levels(tmp_path, make_tiff, make_tissue):
    image = make_tissue(1300, 2100)
    path = make_tiff(tmp_path / "flat.tif", image, factors=(1,), mpp=None)
    with open_slide(path) as slide:
        picture = result_of(iter_thumbnail(slide, 210))
    expected = cv2.resize(image, (210, 130), interpolation=cv2.INTER_AREA)
    assert picture.shape == (130, 210, 3)
    assert np.abs(picture.astype(int) - expected).mean() < 4


def test_a_picture_of_no_size_is_refused(slide_path):
    with open_slide(slide_path) as slide, pytest.raises(InvalidParameterError, match="a pixel at least"):
        result_of(iter_thumbnail(slide, 0))
