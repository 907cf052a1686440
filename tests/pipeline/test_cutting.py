import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.geometry import LevelGeometry, PixelSize, RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.pipeline.cutting import (
    Cut,
    compose_window,
    cut_patches,
    shrink_region,
    shrink_tile,
    tile_factor,
)


def make_grid(rows, cols, *, patch, stride):
    """Grid whose level is read without resampling: `patch` and `stride` are level pixels."""
    shape = (rows * stride, cols * stride)
    return PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5), patch_size=patch, stride=stride)


def each_patch_alone(window, covered, grid, size):
    """The plain way: cut every patch, then resize it by itself."""
    patches = []
    for row, col in np.argwhere(covered):
        y, x = row * grid.stride_px, col * grid.stride_px
        patch = window[y : y + grid.patch_px, x : x + grid.patch_px]
        method = cv2.INTER_AREA if grid.patch_px > size else cv2.INTER_LINEAR
        patches.append(
            patch if grid.patch_px == size else cv2.resize(patch, (size, size), interpolation=method)
        )
    return np.array(patches, np.uint8).reshape(-1, size, size, 3)


@pytest.mark.parametrize(
    ("patch", "stride", "size"),
    [
        (128, 128, 64),
        (128, 64, 64),
        (256, 256, 64),
        (64, 64, 64),
        (128, 63, 64),
        (100, 100, 64),
        (60, 50, 64),
        (90, 30, 30),
    ],
)
def test_cutting_equals_resizing_each_patch_alone(patch, stride, size):
    rng = np.random.default_rng(0)
    grid = make_grid(5, 4, patch=patch, stride=stride)
    region = grid.cells_region(slice(0, 5), slice(0, 4))
    window = rng.integers(0, 256, (region.height, region.width, 3), dtype=np.uint8)
    covered = rng.random((5, 4)) < 0.6
    patches = np.empty((covered.sum(), size, size, 3), np.uint8)
    cut_patches(window, covered, Cut.of(grid, size), out=patches)
    assert np.array_equal(patches, each_patch_alone(window, covered, grid, size))


@given(st.integers(-300, 900), st.integers(-300, 900), st.integers(1, 500), st.integers(1, 500))
def test_a_window_is_the_level_with_background_around_it(y, x, height, width):
    level = (np.add.outer(np.arange(700), np.arange(600)) % 251).astype(np.uint8)[..., None].repeat(3, 2)
    tile = (240, 200)
    region = RegionPx(y, x, height, width)
    padded = np.full((2600, 2600, 3), 9, np.uint8)
    padded[1000:1700, 1000:1600] = level
    tiles = [(r, c) for r in range(3) for c in range(3)]
    inside = region.intersect(RegionPx(0, 0, 700, 600))
    touched = [
        (r, c) for r, c in tiles if not inside.intersect(RegionPx(r * 240, c * 200, 240, 200)).is_empty
    ]
    window = compose_window(
        region,
        touched,
        lambda at: level[at[0] * 240 : (at[0] + 1) * 240, at[1] * 200 : (at[1] + 1) * 200],
        tile=tile,
        level=RegionPx(0, 0, 700, 600),
        background=(9, 9, 9),
    )
    assert np.array_equal(window, padded[1000 + y : 1000 + y + height, 1000 + x : 1000 + x + width])


@given(
    level=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    corner=st.tuples(st.integers(-10, 30), st.integers(-10, 30)),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    factor=st.sampled_from([1, 2, 4]),
)
def test_averaging_tiles_and_joining_them_equals_joining_and_averaging(level, corner, size, factor):
    """Also at the level's right and lower edge, where the last tile is cut anywhere."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*level, 3), np.uint8)
    tile, background = (24, 16), (9, 8, 7)
    whole = RegionPx(0, 0, *level)
    region = RegionPx(*(at * factor for at in corner), *(side * factor for side in size))
    inside = region.intersect(whole)
    touched = [
        (row, col)
        for row in range(-(-level[0] // tile[0]))
        for col in range(-(-level[1] // tile[1]))
        if not inside.intersect(RegionPx(row * tile[0], col * tile[1], *tile)).is_empty
    ]

    def read(position):
        y, x = position[0] * tile[0], position[1] * tile[1]
        return np.ascontiguousarray(picture[y : y + tile[0], x : x + tile[1]])

    def compose(get_tile, shrunk):
        return compose_window(
            shrink_region(region, shrunk),
            touched,
            get_tile,
            tile=(tile[0] // shrunk, tile[1] // shrunk),
            level=shrink_region(whole, shrunk),
            background=background,
        )

    tiles_first = compose(lambda at: shrink_tile(read(at), factor, background), factor)
    window = compose(read, 1)
    joined_first = cv2.resize(window, size[::-1], interpolation=cv2.INTER_AREA)
    assert np.array_equal(tiles_first, joined_first)


def test_tiles_are_averaged_by_themselves_only_where_no_average_spans_two():
    assert tile_factor(Cut(128, 128, 64), (240, 256)) == 2
    assert tile_factor(Cut(128, 128, 64), (240, 255)) == 1  # tiles of odd width
    assert tile_factor(Cut(128, 63, 64), (240, 240)) == 1  # patches begin at odd pixels
    assert tile_factor(Cut(100, 100, 64), (240, 240)) == 1  # not a whole factor
    assert tile_factor(Cut(64, 64, 64), (240, 240)) == 1
    assert tile_factor(Cut(60, 60, 64), (240, 240)) == 1
