"""The share of every cell against an oracle that knows nothing of ours: each cell's own intersection."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from napari_nic.annotations import Annotation, AnnotationSet, rasterise, read_annotations
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

SIZE = 1024
GRID = PatchGrid.plan([LevelGeometry(SIZE, SIZE)], PixelSize(0.5, 0.5), patch_size=64, mpp=0.5)


def set_of(*areas):
    return AnnotationSet(tuple(Annotation("a", "polygon", area) for area in areas))


def cells():
    side = GRID.stride_px
    rows, cols = np.indices(GRID.shape) * side
    return shapely.box(cols, rows, cols + side, rows + side)


def by_intersection(*areas):
    """Merge all, cut with every cell, one by one."""
    merged = shapely.union_all([shapely.make_valid(area) for area in areas])
    return shapely.area(shapely.intersection(cells(), merged)) / GRID.stride_px**2


BOW_TIE = [(100, 100), (700, 500), (700, 100), (100, 500)]
CASES = {
    "hole": [shapely.box(10, 10, 900, 800).difference(shapely.Point(400, 400).buffer(150))],
    "hole in a hole": [
        shapely.box(0, 0, 900, 900).difference(shapely.box(100, 100, 700, 700)),
        shapely.box(200, 200, 500, 500).difference(shapely.box(300, 300, 333, 333)),
    ],
    "overlapping": [shapely.Point(300, 300).buffer(200), shapely.Point(450, 350).buffer(180)],
    "the same twice": [shapely.box(33, 44, 555, 666)] * 2,
    "touching": [shapely.box(0, 0, 128, 128), shapely.box(128, 0, 300, 128)],
    "out of the slide": [shapely.box(-500, -500, 100, 100), shapely.box(1000, 900, 5000, 5000)],
    "all around": [shapely.box(-1e6, -1e6, 1e6, 1e6)],
    "beyond": [shapely.box(5000, 5000, 6000, 6000)],
    "smaller than a pixel": [shapely.box(64.2, 64.2, 64.7, 64.9), shapely.box(127.9, 10, 128.1, 10.1)],
    "a sliver": [shapely.Polygon([(0, 0), (1000, 1000), (1000, 1000.01)])],
    "several parts": [shapely.MultiPolygon([shapely.box(0, 0, 50, 50), shapely.box(500, 70, 700, 90)])],
}


@pytest.mark.parametrize("name", CASES)
def test_every_cell_has_its_share(name):
    assert np.allclose(rasterise(set_of(*CASES[name]), GRID), by_intersection(*CASES[name]), atol=2e-7)


@pytest.mark.parametrize("side", [0.1, 0.5, 1, 3])
def test_cells_of_a_few_nuclei(side):
    rng = np.random.default_rng(0)
    nuclei = [shapely.Point(*rng.uniform(0, SIZE, 2)).buffer(side) for _ in range(300)]
    assert np.allclose(rasterise(set_of(*nuclei), GRID), by_intersection(*nuclei), atol=2e-7)


def test_an_outline_that_crosses_itself_covers_what_it_encloses(tmp_path):
    import json

    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [BOW_TIE]}}
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    share = rasterise(read_annotations(tmp_path / "a.geojson"), GRID)
    # Another library, which decides pixel by pixel.
    ring = np.array([(y, x) for x, y in BOW_TIE]) - 0.5
    mask = polygon2mask((SIZE, SIZE), ring)
    side = GRID.stride_px
    counted = mask.reshape(SIZE // side, side, SIZE // side, side).mean(axis=(1, 3))
    assert np.abs(share - counted).max() < 3 / side
    assert share.sum() * side**2 == pytest.approx(2 * 600 * 400 / 4, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_any_areas(strategies, data):
    areas = [data.draw(strategies.stars()) for _ in range(data.draw(st.integers(1, 5)))]
    assert np.allclose(rasterise(set_of(*areas), GRID), by_intersection(*areas), atol=2e-7)


def test_a_pile_of_areas_takes_no_memory_of_pairs():
    """Every pair of 6,000 areas intersects: 36 million pairs."""
    import tracemalloc

    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (6000, 2))
    areas = [shapely.box(x, y, x + 400, y + 400) for x, y in corners]
    tracemalloc.start()
    share = rasterise(set_of(*areas), GRID)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert share.max() == 1
    assert peak < 100e6
