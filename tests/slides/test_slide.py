"""The open slide: regions, tiles, laziness, threads."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide


def test_region_is_the_array_slice(slide_path):
    with open_slide(slide_path) as slide:
        whole = slide.read_region(0, slide.levels[0].region)
        part = slide.read_region(0, RegionPx(200, 300, 400, 500))
    np.testing.assert_array_equal(part, whole[200:600, 300:800])


def test_opening_reads_no_pixel(slide_path):
    with open_slide(slide_path) as slide:
        slide.pyramid()
        assert slide.reads.total == 0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_pixels_are_those_written(slide_path, slide_image, level):
    with open_slide(slide_path) as slide:
        geometry = slide.levels[level]
        pixels = slide.read_region(level, geometry.region)
    factor = 4**level
    crop = slide_image[: geometry.height * factor, : geometry.width * factor].astype(float)
    mean = crop.reshape(geometry.height, factor, geometry.width, factor, 3).mean((1, 3))
    assert np.abs(pixels - mean).mean() < 6  # JPEG at quality 90


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), MemoryError()])
def test_what_the_disk_refuses_names_the_slide_and_the_part(slide_path, monkeypatch, failure):
    def fail(*_arguments):
        raise failure

    with open_slide(slide_path) as slide:
        monkeypatch.setattr(slide._source, "read_tile", fail)
        with pytest.raises(DamagedSlideError, match=r"made\.tif: tile \(0, 1\) of level 0 cannot be read"):
            slide.read_tile(0, 0, 1)
        monkeypatch.undo()
        slide.read_tile(0, 0, 1)
