"""The lazy pyramid: chunks, names, levels made on demand; fingerprints; the overview."""

from __future__ import annotations

import shutil

import dask
import dask.array as da
import numpy as np
import pytest
from dask.base import tokenize
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import CancelledError, InvalidParameterError, MissingPixelSizeError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.slides import open_slide, overview, read_overview
from napari_nic.slides.coarse import halving_counts
from napari_nic.slides.model import Level
from napari_nic.slides.pyramid import chunk_side
from napari_nic.slides.shrink import shrink


@pytest.mark.parametrize(
    ("tile", "side"),
    [
        ((240, 240), 480),
        ((256, 256), 512),
        ((512, 512), 512),
        ((1024, 1024), 1024),
        ((300, 300), 300),
        ((700, 700), 700),
        ((2048, 2048), 512),
        ((64, 4096), 512),
    ],
)
def test_chunks_are_whole_tiles(tile, side):
    assert chunk_side(tile) == side


@given(st.integers(1, 1024))
def test_chunks_are_between_256_and_1024(tile):
    side = chunk_side((tile, tile))
    assert 256 <= side <= 1024
    assert side % tile == 0


@pytest.mark.parametrize(
    ("downsamples", "counts"),
    [
        ((1, 2, 4), (0, 0, 0)),
        ((1, 4, 16), (1, 1, 0)),
        ((1, 16), (3, 0)),
        ((1, 2.5, 8), (0, 1, 0)),
        ((1,), (3,)),
    ],
)
def test_steps_between_levels_are_filled_up(downsamples, counts):
    shapes = [(round(8000 / factor), round(6000 / factor)) for factor in downsamples]
    if len(downsamples) > 1:
        shapes[-1] = (1000, 800)
    levels = [
        Level(height, width, factor, factor, (240, 240))
        for (height, width), factor in zip(shapes, downsamples, strict=True)
    ]
    assert halving_counts(levels) == counts


@pytest.fixture(scope="module")
def steep_path(tmp_path_factory, make_tissue, make_tiff):
    """A slide whose second level is a quarter of the first; odd sides."""
    path = tmp_path_factory.mktemp("steep") / "steep.tif"
    return make_tiff(path, make_tissue(1001, 1403), factors=(1, 4), tile=240, compression="zlib")


def test_a_level_between_is_the_mean_of_the_finer_one(steep_path):
    with open_slide(steep_path) as slide:
        assert [level.downsample_y for level in slide.pyramid_levels] == [1, 2, pytest.approx(4, rel=0.01)]
        between = slide.pyramid()[1]
        assert slide.reads.total == 0
        whole = slide.read_region(0, slide.levels[0].region)
        expected = shrink(whole, 2)
        assert slide.pyramid_levels[1].shape == expected.shape[:2] == between.shape[:2]
        np.testing.assert_array_equal(between.compute(), expected)


@pytest.fixture(scope="module")
def flat_path(tmp_path_factory, make_tissue, make_tiff):
    """A slide of one level, 2601 x 3300 px."""
    path = tmp_path_factory.mktemp("flat") / "flat.tif"
    return make_tiff(path, make_tissue(2601, 3300), factors=(1,), tile=240, compression="zlib")


def test_a_slide_of_one_level_gets_coarser_ones(flat_path):
    with open_slide(flat_path) as slide:
        pyramid = slide.pyramid()
        assert len(slide.levels) == 1
        assert [array.shape for array in pyramid] == [(2601, 3300, 3), (1301, 1650, 3), (651, 825, 3)]
        assert [array.chunksize[0] for array in pyramid] == [480, 512, 512]
        assert slide.reads.total == 0
        whole = slide.read_region(0, slide.levels[0].region)
        for array, factor in zip(pyramid[1:], (2, 4), strict=True):
            height, width = (side // factor for side in whole.shape[:2])
            blocks = whole[: height * factor, : width * factor]
            mean = blocks.reshape(height, factor, width, factor, 3).mean((1, 3))
            assert np.abs(array.compute()[:height, :width] - mean).max() <= 1.01  # rounded at each halving


def test_coarser_levels_decode_each_tile_once_and_are_kept(flat_path):
    with open_slide(flat_path) as slide:
        coarsest = slide.pyramid()[-1]
        coarsest.compute()
        tiles = slide.levels[0].tile_grid[0] * slide.levels[0].tile_grid[1]
        # Blocks of 1024 px cut 240 px tiles; what the cache of decoded tiles holds is not decoded again.
        assert slide.reads.total == tiles
        coarsest.compute()
        assert slide.reads.total == tiles


def test_a_pyramid_of_steps_of_two_gets_none(tmp_path, make_tissue, make_tiff):
    path = make_tiff(tmp_path / "even.tif", make_tissue(1100, 1500), factors=(1, 2, 4), tile=256)
    with open_slide(path) as slide:
        assert len(slide.pyramid()) == len(slide.levels) == 3


def test_a_chunk_reads_its_own_tiles_only(slide_path):
    with open_slide(slide_path) as slide:
        slide.pyramid()[0].blocks[0, 0].compute()
        assert dict(slide.reads.tiles) == {0: 4}


def test_names_are_made_of_content(tmp_path, slide_path, flat_path):
    moved = shutil.copy(slide_path, tmp_path / "other name.tif")
    with open_slide(slide_path) as one, open_slide(moved) as two, open_slide(flat_path) as three:
        names = [[array.name for array in slide.pyramid()] for slide in (one, two, three)]
        assert tokenize(one.pyramid()[0]) == tokenize(one.pyramid()[0])
    assert names[0] == names[1]
    assert not set(names[0]) & set(names[2])


def test_arrays_compute_in_threads_and_slices(slide_path):
    with open_slide(slide_path) as slide, dask.config.set(scheduler="threads"):
        array = slide.pyramid()[0]
        whole = slide.read_region(0, slide.levels[0].region)
        np.testing.assert_array_equal(array[10:300, 40:50, 1].compute(), whole[10:300, 40:50, 1])
        np.testing.assert_array_equal(da.flip(array, 0).compute(), whole[::-1])


def test_fingerprint_follows_content_and_not_name(tmp_path, slide_path):
    data = bytearray(slide_path.read_bytes())
    (tmp_path / "moved.tif").write_bytes(data)
    data[len(data) // 2] ^= 1
    (tmp_path / "changed.tif").write_bytes(data)
    prints = []
    for path in (slide_path, tmp_path / "moved.tif", tmp_path / "changed.tif"):
        with open_slide(path) as slide:
            prints.append(slide.fingerprint)
    assert prints[0] == prints[1] != prints[2]
    assert prints[0].startswith("sha256:")


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), factor=st.integers(1, 9), value=st.integers(0, 255)
)
def test_shrinking_keeps_flat_pictures_and_rounds_sizes_up(height, width, factor, value):
    small = shrink(np.full((height, width, 3), value, np.uint8), factor)
    assert small.shape == (-(-height // factor), -(-width // factor), 3)
    assert (small == value).all()


@pytest.mark.parametrize("mpp", [1.0, 3.7, 8.0])
def test_overview_of_one_level_walks_the_tiles_once(flat_path, mpp):
    with open_slide(flat_path) as slide:
        small = read_overview(slide, mpp)
        rows, cols = slide.levels[0].tile_grid
        assert slide.reads.total == rows * cols
        factor = int(mpp / 0.5)
        assert (small.level, small.factor) == (0, factor)
        assert small.image.shape[:2] == (-(-2601 // factor), -(-3300 // factor))
        whole = slide.read_region(0, RegionPx(0, 0, 2601 // factor * factor, 3300 // factor * factor))
    mean = whole.reshape(whole.shape[0] // factor, factor, whole.shape[1] // factor, factor, 3).mean((1, 3))
    assert np.abs(small.image[: mean.shape[0], : mean.shape[1]] - mean).max() <= 0.51


def test_overview_in_narrow_pieces_is_the_same(flat_path, monkeypatch):
    with open_slide(flat_path) as slide:
        expected = read_overview(slide, 4.0).image
        monkeypatch.setattr(overview, "STRIP_PIXELS", 100_000)
        np.testing.assert_array_equal(read_overview(slide, 4.0).image, expected)


def test_overview_reads_the_coarsest_sufficient_level(slide_path):
    with open_slide(slide_path) as slide:
        assert read_overview(slide, 8.0).level == 2
        assert set(slide.reads.tiles) == {2}
        assert read_overview(slide, 7.9).level == 1


def test_overview_of_a_coarse_slide_is_the_slide(slide_path):
    with open_slide(slide_path) as slide:
        small = read_overview(slide.with_pixel_size(10.0), 8.0)
        assert (small.level, small.factor) == (0, 1)


def test_overview_needs_a_pixel_size(tmp_path, make_tissue, make_tiff):
    path = make_tiff(tmp_path / "unknown.tif", make_tissue(300, 300), mpp=None)
    with open_slide(path) as slide:
        with pytest.raises(MissingPixelSizeError, match=r"unknown\.tif"):
            read_overview(slide)
        with pytest.raises(InvalidParameterError):
            read_overview(slide.with_pixel_size(0.5), 0)


def test_overview_can_be_cancelled(flat_path):
    token = CancellationToken()
    token.cancel()
    with open_slide(flat_path) as slide:
        with pytest.raises(CancelledError):
            read_overview(slide, token=token)
        assert slide.reads.total == 0
