"""What every reader must do, tested on a slide made by code for each; a new reader joins by registering."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError, OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.slides import READERS, Slide, open_slide, read_overview

WITHOUT_SAMPLE = {"isyntax"}
"""Nothing writes the format, and no sample is at hand; its reader has tests of its own with a stand-in."""


@pytest.fixture(scope="module", params=[name for name in READERS.names() if name not in WITHOUT_SAMPLE])
def slide(request: pytest.FixtureRequest, reader_files: dict[str, Path]):
    with open_slide(reader_files[request.param], reader=request.param) as opened:
        yield opened


@pytest.fixture
def fresh(slide: Slide):
    """The same file, opened anew: nothing read, nothing cached."""
    with open_slide(slide.path, reader=slide.reader) as opened:
        yield opened


def padded(image: np.ndarray, region: RegionPx, background: tuple[int, int, int]) -> np.ndarray:
    """The oracle: cut a region of any position out of a whole level."""
    expected = np.empty((region.height, region.width, 3), np.uint8)
    expected[:] = background
    inside = region.intersect(RegionPx(0, 0, *image.shape[:2]))
    rows, cols = RegionPx(inside.y - region.y, inside.x - region.x, inside.height, inside.width).slices
    expected[rows, cols] = image[inside.slices]
    return expected


def test_facts(slide, small_image):
    assert slide.levels[0].shape == small_image.shape[:2]
    assert (slide.levels[0].downsample_y, slide.levels[0].downsample_x) == (1, 1)
    assert slide.pixel_size is not None
    assert slide.pixel_size.y == pytest.approx(0.5, rel=1e-4)
    assert slide.pixel_size.source
    assert slide.background == (255, 255, 255)
    assert slide.name == slide.path.name.partition(".")[0]
    assert slide.path.name in repr(slide)
    assert slide.vendor


def test_level_0_is_the_picture(slide, small_image):
    np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_coarser_levels_have_whole_downsamples(slide):
    for level in slide.levels[1:]:
        assert level.downsample_y == level.downsample_x
        assert level.downsample_y in (2, 4)


@given(
    y=st.integers(-300, 1000),
    x=st.integers(-300, 1200),
    height=st.integers(0, 400),
    width=st.integers(0, 400),
)
@settings(deadline=None, max_examples=40)
def test_any_region_is_the_padded_slice(slide, small_image, y, x, height, width):
    region = RegionPx(y, x, height, width)
    pixels = slide.read_region(0, region)
    np.testing.assert_array_equal(pixels, padded(small_image, region, slide.background))


def test_regions_of_all_levels_agree_with_the_whole(slide):
    for index, level in enumerate(slide.levels):
        whole = slide.read_region(index, level.region)
        for region in (
            RegionPx(-7, -9, 50, 60),
            RegionPx(level.height - 31, level.width - 17, 64, 64),
            RegionPx(level.height // 3, level.width // 2, 55, 77),
            RegionPx(level.height + 5, 0, 8, 8),
        ):
            expected = padded(whole, region, slide.background)
            np.testing.assert_array_equal(slide.read_region(index, region), expected)


def test_tiles_are_regions_cropped_at_the_edge(slide):
    for index, level in enumerate(slide.levels):
        rows, cols = level.tile_grid
        for row, col in {(0, 0), (rows - 1, cols - 1), (rows - 1, 0), (rows // 2, cols // 2)}:
            tile = slide.read_tile(index, row, col)
            assert tile.dtype == np.uint8
            np.testing.assert_array_equal(tile, slide.read_region(index, level.tile_region(row, col)))


@pytest.mark.parametrize(("row", "col"), [(-1, 0), (0, -1), (10_000, 0), (0, 10_000)])
def test_a_tile_that_is_not_there(slide, row, col):
    with pytest.raises(OutOfBoundsError, match="no tile"):
        slide.read_tile(0, row, col)


@pytest.mark.parametrize("level", [-1, 99])
def test_a_level_that_is_not_there(slide, level):
    with pytest.raises(OutOfBoundsError, match="no level"):
        slide.read_region(level, RegionPx(0, 0, 1, 1))
    with pytest.raises(OutOfBoundsError, match="no level"):
        slide.read_tile(level, 0, 0)


def test_an_associated_image_that_is_not_there(slide):
    with pytest.raises(OutOfBoundsError, match="no associated image"):
        slide.read_associated("no such image")


def test_opening_and_planning_read_nothing(fresh):
    fresh.pyramid()
    assert fresh.fingerprint
    assert fresh.reads.total == 0


def test_a_region_decodes_the_tiles_it_touches_once(fresh):
    level = fresh.levels[0]
    region = RegionPx(level.tile[0] - 5, level.tile[1] - 5, 10, 10)  # the corner of four tiles
    fresh.read_region(0, region)
    fresh.read_region(0, region)
    assert dict(fresh.reads.tiles) == {0: 4}


def test_many_threads_read_what_one_does(slide):
    rng = np.random.default_rng(7)
    jobs = []
    for _ in range(60):
        index = int(rng.integers(len(slide.levels)))
        level = slide.levels[index]
        y, x = int(rng.integers(-20, level.height)), int(rng.integers(-20, level.width))
        jobs.append((index, RegionPx(y, x, int(rng.integers(1, 200)), int(rng.integers(1, 200)))))
    with open_slide(slide.path, reader=slide.reader) as cold, ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda job: cold.read_region(*job), jobs))
    for job, pixels in zip(jobs, threaded, strict=True):
        np.testing.assert_array_equal(pixels, slide.read_region(*job))


def test_threads_that_want_one_tile_decode_it_once(fresh):
    level = fresh.levels[0]
    whole = [(0, level.region)] * 6
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda job: fresh.read_region(*job), whole))
    assert fresh.reads.tiles[0] == level.tile_grid[0] * level.tile_grid[1]


def test_pyramid_shows_the_levels(slide):
    pyramid, shown = slide.pyramid(), slide.pyramid_levels
    assert max(pyramid[-1].shape[:2]) <= 1024
    assert [array.shape for array in pyramid] == [(*level.shape, 3) for level in shown]
    assert all(array.dtype == np.uint8 for array in pyramid)
    downsamples = [level.downsample_y for level in shown]
    assert all(1 < after / before < 3 for before, after in pairwise(downsamples))
    for index, level in enumerate(slide.levels):
        array = pyramid[shown.index(level)]
        np.testing.assert_array_equal(array.compute(), slide.read_region(index, level.region))


def test_pyramid_of_the_same_file_has_the_same_names(slide, fresh):
    assert [array.name for array in slide.pyramid()] == [array.name for array in fresh.pyramid()]


def test_overview_is_the_block_average(slide, small_image):
    overview = read_overview(slide, mpp=2.0)
    height, width = (side // 4 for side in small_image.shape[:2])
    blocks = small_image[: height * 4, : width * 4].reshape(height, 4, width, 4, 3).mean((1, 3))
    assert overview.placement.step_um == pytest.approx((2.0, 2.0), rel=1e-4)
    # OpenSlide blends neighbours where its level does not start on a whole pixel of level 0.
    assert np.abs(overview.image[:height, :width] - blocks).max() <= 2


def test_users_pixel_size(slide):
    other = slide.with_pixel_size(0.25)
    assert (other.require_pixel_size().x, other.require_pixel_size().source) == (0.25, "user")
    assert slide.require_pixel_size().x == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_array_equal(other.read_tile(0, 0, 0), slide.read_tile(0, 0, 0))
    with pytest.raises(InvalidParameterError):
        slide.with_pixel_size(25.0)


def test_a_closed_slide_says_so(fresh):
    fresh.close()
    fresh.close()  # twice does no harm
    with pytest.raises(InvalidParameterError, match="closed"):
        fresh.read_region(0, RegionPx(0, 0, 4, 4))


def test_every_reader_has_a_file(reader_files):
    assert set(reader_files) == set(READERS.names()) - WITHOUT_SAMPLE
