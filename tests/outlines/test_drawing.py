"""Pictures of outlines lie on the outlines, and say the class of what they show."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, MultiPolygon, box

from napari_nic.outlines import OutlineIndex, drawing
from napari_nic.outlines.drawing import Window, draw
from napari_nic.outlines.values import (
    FEW_CLASSES,
    MOST_CLASSES,
    NOTHING,
    Part,
    classes_of,
    color_table,
    dtype_for,
    value_of,
)

BYTES = np.dtype(np.uint8)
RING = box(100, 200, 400, 460).difference(box(200, 300, 300, 400))


def picture(shapes, labels=None, *, top=0, left=0, height=512, width=512, factor=1, dtype=BYTES):
    index = OutlineIndex(shapes, labels or ["A"] * len(shapes))
    return draw(index, Window(top, left, height, width, factor), dtype)


def places(values, *parts, number=0):
    """Middles of the pixels that show one of these parts, in pixels of the picture, (x, y)."""
    rows, cols = np.nonzero(np.isin(values, [value_of(number, part) for part in parts]))
    return np.stack([cols, rows], 1) + 0.5


@pytest.mark.parametrize(("top", "left", "factor"), [(0, 0, 1), (150, 90, 1), (0, 0, 4), (20, 10, 4)])
def test_lines_lie_on_the_outline_and_all_of_it_is_drawn(top, left, factor):
    corner = np.array([left, top])
    lines = (places(picture([RING], top=top, left=left, factor=factor), Part.LINE) + corner) * factor
    edge = (
        RING.boundary.intersection(box(left, top, left + 512, top + 512).buffer(-3))
        if factor == 1
        else RING.boundary
    )
    assert max(shapely.distance(shapely.points(lines), RING.boundary)) <= 1.6 * factor
    every = shapely.get_coordinates(shapely.segmentize(edge, 3))
    seen = every[(every[:, 0] > left * factor + 3 * factor) & (every[:, 1] > top * factor + 3 * factor)]
    drawn = shapely.MultiPoint(lines)
    assert len(seen) > 50
    assert max(shapely.distance(shapely.points(seen), drawn)) <= 1.6 * factor


def test_areas_are_tinted_but_their_holes_are_not():
    tint = places(picture([RING]), Part.AREA)
    inside = shapely.contains_xy(RING, tint[:, 0], tint[:, 1])
    assert inside.all()
    assert len(tint) == pytest.approx(RING.area, rel=0.05)


def test_small_areas_are_tinted_over_large_ones_in_any_order():
    for first in (0, 1):
        shapes, labels = [box(10, 10, 400, 400), box(100, 100, 200, 200)], ["region", "nest"]
        order = [first, 1 - first]
        values = picture([shapes[n] for n in order], [labels[n] for n in order])
        assert values[150, 150] == value_of(order.index(1), Part.AREA)
        assert values[50, 50] == value_of(order.index(0), Part.AREA)


def test_overlapping_areas_of_one_class_are_both_tinted():
    values = picture([box(10, 10, 200, 200), box(100, 100, 300, 300)])
    assert values[150, 150] == value_of(0, Part.AREA)


def test_parts_and_lines_of_all_kinds_are_drawn():
    two = MultiPolygon([box(10, 10, 60, 60), box(100, 10, 160, 60)])
    lines = [
        LineString([(10, 200), (300, 210)]),
        shapely.MultiLineString([[(10, 300), (90, 300)], [(120, 300), (200, 300)]]),
    ]
    values = picture([two, *lines], ["A", "B", "C"])
    assert (values[30, [10, 130, 80]] == [value_of(0, Part.LINE), value_of(0, Part.AREA), NOTHING]).all()
    assert (values[300, [50, 150, 105]] == [value_of(2, Part.LINE), value_of(2, Part.LINE), NOTHING]).all()
    assert value_of(1, Part.LINE) in values
    assert value_of(1, Part.AREA) not in values


def test_of_a_shape_with_very_many_corners_the_same_is_drawn(monkeypatch):
    round_one = (
        shapely.Point(256, 256).buffer(900, quad_segs=2000).difference(shapely.Point(256, 256).buffer(150))
    )
    whole = picture([round_one], top=200, left=150)
    monkeypatch.setattr(drawing, "MANY_CORNERS", 50)
    assert (picture([round_one], top=200, left=150) != whole).mean() < 1e-3


def test_tiles_show_what_one_picture_of_all_shows():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 1900, (400, 2))
    sizes = rng.uniform(4, 90, (400, 1))
    shapes = shapely.box(*corners.T, *(corners + sizes).T)
    index = OutlineIndex(shapes, [f"{n % 3}" for n in range(400)])
    for factor in (1, 4):
        side = 2048 // factor
        whole = draw(index, Window(0, 0, side, side, factor), BYTES)
        step = side // 4
        tiles = np.zeros_like(whole)
        for top in range(0, side, step):
            for left in range(0, side, step):
                tiles[top : top + step, left : left + step] = draw(
                    index, Window(top, left, step, step, factor), BYTES
                )
        assert (tiles != whole).mean() < 2e-4, "but for how a line is begun at an edge"


def test_small_outlines_are_a_crowd_whose_shade_is_what_they_cover():
    """Left a dense half, right a sparse one."""
    dense = [(x, y) for x in range(0, 1024, 12) for y in range(0, 2048, 12)]
    sparse = [(x, y) for x in range(1024, 2048, 64) for y in range(0, 2048, 64)]
    corners = np.array([*dense, *sparse], float)
    shapes = shapely.box(*corners.T, *(corners + 10).T)
    values = picture(shapes, factor=8, height=256, width=256)
    inner, outer = values[8:248, 8:120], values[8:248, 136:248]
    assert (inner == value_of(0, Part.LINE)).mean() > 0.9
    assert 0.1 < (outer != NOTHING).mean() < 0.9
    assert (outer[outer != NOTHING] == value_of(0, Part.MIDDLING)).mean() > 0.5
    assert set(np.unique(values)) <= {
        NOTHING,
        *(value_of(0, p) for p in (Part.LINE, Part.SPARSE, Part.MIDDLING)),
    }


def test_the_class_that_covers_most_is_shown():
    corners = np.array([(x, y) for x in range(0, 512, 8) for y in range(0, 512, 8)], float)
    sides = np.where(np.arange(len(corners)) % 2, 7, 3)[:, None]
    labels = ["large" if n % 2 else "small" for n in range(len(corners))]
    values = picture(shapely.box(*corners.T, *(corners + sides).T), labels, factor=16, height=32, width=32)
    numbers = classes_of(values[4:28, 4:28])
    assert (numbers == 1).mean() > 0.95, "'large' came second"


def test_at_full_size_the_smallest_outlines_are_lines():
    values = picture([box(10, 10, 13, 13)])
    assert set(np.unique(values)) <= {NOTHING, value_of(0, Part.LINE)}
    assert value_of(0, Part.LINE) in values


@pytest.mark.parametrize("count", [1, FEW_CLASSES, FEW_CLASSES + 1, 3_000])
def test_every_class_has_values_of_its_own(count):
    dtype = dtype_for(count)
    shapes = [box(0, 0, 40, 40), box(100, 100, 140, 140)]
    index = OutlineIndex(
        [*shapes, *([shapely.Point(-9, -9)] * (count - 1))], ["0", "0", *map(str, range(1, count))]
    )
    index.replace({1: (shapes[1], f"{count - 1}")})
    values = draw(index, Window(0, 0, 200, 200, 1), dtype)
    assert values.dtype == dtype
    assert classes_of(values[[20, 120], [20, 120]]).tolist() == [0, count - 1]


def test_more_classes_than_fit_are_refused():
    with pytest.raises(ValueError, match="at most"):
        dtype_for(MOST_CLASSES + 1)


def test_colours_of_parts_follow_from_the_class():
    table = color_table(["A", "B", "C"], {"A": (255, 0, 0), "B": None})
    assert table[NOTHING] == (0, 0, 0, 0)
    assert table[value_of(0, Part.LINE)] == (1, 0, 0, 1)
    alphas = [table[value_of(0, part)][3] for part in (Part.AREA, Part.SPARSE, Part.MIDDLING, Part.LINE)]
    assert alphas == sorted(alphas)
    assert {table[value_of(number, part)][3] for number in (1, 2) for part in Part} == {0}
