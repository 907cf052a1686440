"""Overlays lie on the slide to half a level-0 pixel, at every level: measured on the screen."""

from __future__ import annotations

import dask.array as da
import numpy as np
import openslide
import pytest
from skimage.transform import downscale_local_mean

from napari_nic.encoders import get_spec
from napari_nic.geometry import LevelGeometry, PixelSize, Placement
from napari_nic.pipeline import plan_grid
from napari_nic.plugin.layers import align_levels, frame, slide_layer
from napari_nic.slides import open_slide

pytestmark = pytest.mark.gui

MPP = PixelSize(0.5, 0.5)
SHAPE = (1037, 1291)
"""Odd sides: every coarser level is rounded up, so that its shape is not an exact share of level 0's."""
FACTORS = (1, 2, 4, 16)
EDGE = (1008, 1264)
"""(y, x) in level-0 pixels of the corner of a black square that reaches to the far corner of the slide."""
CELL = 16
ZOOM = 8
"""Screen pixels a level-0 pixel, so that half a level-0 pixel is 4 screen pixels."""


def pyramid() -> tuple[list[da.Array], list[LevelGeometry]]:
    """Return levels as a scanner writes them: rounded up, the last pixels averaged over what there is."""
    image = np.full((*SHAPE, 3), 255, np.uint8)
    image[EDGE[0] :, EDGE[1] :] = 0
    levels, geometries = [], []
    for factor in FACTORS:
        padded = np.pad(image, [(0, -side % factor) for side in SHAPE] + [(0, 0)], mode="edge")
        level = downscale_local_mean(padded, (factor, factor, 1)).astype(np.uint8)
        levels.append(da.from_array(level, chunks=(512, 512, 3)))
        geometries.append(LevelGeometry(*level.shape[:2], float(factor), float(factor)))
    return levels, geometries


def first_dark(line: np.ndarray) -> int:
    """Index of the first dark pixel of a line that begins bright."""
    dark = line < 128
    assert not dark[0]
    assert dark.any()
    return int(np.argmax(dark))


def edges(screen: np.ndarray) -> tuple[int, int]:
    """(y, x) on the screen where the picture turns dark, seen along a column and a row through the square."""
    row, col = (side // 2 + 8 * ZOOM for side in screen.shape[:2])
    grey = screen[..., 1]
    return first_dark(grey[:, col]), first_dark(grey[row])


@pytest.mark.parametrize("level", range(len(FACTORS)))
def test_overlay_meets_slide_at_each_level(make_napari_viewer, level):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 700)
    levels, geometries = pyramid()
    slide = viewer.add_image(
        align_levels(levels, geometries, (255, 255, 255)), rgb=True, multiscale=True, **frame(MPP)
    )
    slide.locked_data_level = level
    cells = np.full((*(side // CELL for side in SHAPE), 4), 255, np.uint8)
    cells[EDGE[0] // CELL :, EDGE[1] // CELL :, :3] = 0
    placement = Placement((0.0, 0.0), (CELL * MPP.y, CELL * MPP.x))
    overlay = viewer.add_image(cells, rgb=True, **frame(MPP, placement))
    # The centre of the view lies on the corner of the square.
    viewer.scene.camera.center = tuple((edge - 0.5) * MPP.y for edge in EDGE)
    viewer.scene.camera.zoom = ZOOM / MPP.y

    found = {}
    for name, shown in (("slide", slide), ("overlay", overlay)):
        slide.visible, overlay.visible = shown is slide, shown is overlay
        found[name] = edges(viewer.screenshot(canvas_only=True, flash=False))

    drift = np.subtract(found["slide"], found["overlay"]) / ZOOM
    assert np.abs(drift).max() <= 0.5


def test_padding_makes_ratios_exact():
    levels, geometries = pyramid()
    aligned = align_levels(levels, geometries, (250, 251, 252))
    for level, factor in zip(aligned, FACTORS, strict=True):
        assert np.array(level.shape[:2]) * factor == pytest.approx(aligned[0].shape[:2], abs=0)
    assert aligned[0].shape == (1040, 1296, 3)
    assert (aligned[0][1037:].compute() == (250, 251, 252)).all()
    assert (aligned[0][:1037, :1291].compute() == levels[0].compute()).all()


def test_exact_levels_are_left_alone():
    image = da.zeros((64, 128, 3), np.uint8)
    levels = [image, image[::2, ::2]]
    geometries = [LevelGeometry(64, 128), LevelGeometry(32, 64, 2.0, 2.0)]
    assert all(a is b for a, b in zip(align_levels(levels, geometries, (0, 0, 0)), levels, strict=True))


@pytest.mark.data
def test_known_cell_covers_its_own_pixels(make_napari_viewer, cmu_path):
    """What lies under a cell of the overlay, on the screen, is the patch that OpenSlide reads there."""
    with open_slide(cmu_path) as slide, openslide.OpenSlide(cmu_path) as reference:
        grid = plan_grid(slide, get_spec("mean-rgb"))
        row, col = 9, 8
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1300, 900)
        data, options, _ = slide_layer(slide)
        shown = viewer.add_image(data, **options)
        cells = np.zeros((*grid.shape, 4), np.uint8)
        cells[row, col] = (0, 255, 0, 255)
        mark = viewer.add_image(cells, rgb=True, **frame(slide.pixel_size, grid.placement))
        zoom = 4  # screen pixels a level-0 pixel: the cell is 512 pixels wide and fits the canvas
        centre = grid.placement.corner_um(row + 0.5, col + 0.5)
        viewer.scene.camera.center = tuple(c - slide.pixel_size.mean / 2 for c in centre)
        viewer.scene.camera.zoom = zoom / slide.pixel_size.mean

        screen = viewer.screenshot(canvas_only=True, flash=False)
        green = (screen[..., 1] == 255) & (screen[..., 0] == 0)
        top, left = np.flatnonzero(green.any(1))[0], np.flatnonzero(green.any(0))[0]
        assert (green.any(1).sum(), green.any(0).sum()) == pytest.approx((512, 512), abs=1)
        mark.visible = False
        under = viewer.screenshot(canvas_only=True, flash=False)
        middle = slice(zoom // 2, 512, zoom)
        pixels = under[top : top + 512, left : left + 512, :3][middle, middle]

        y, x = grid.patch_corner_px(row, col)
        patch = reference.read_region((round(x), round(y)), 0, (128, 128)).convert("RGB")
        assert shown.data_level == 0
        assert np.array_equal(pixels, np.asarray(patch))
