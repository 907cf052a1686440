"""Painted labels: what is shown at each level, taken back, kept and read again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.painting import TILE, PaintedLabels, Tile
from napari_nic.painting.history import History
from napari_nic.painting.tiles import enlarged, halved, level_shapes

SHAPE = (1300, 1700)
WHOLE = RegionPx(0, 0, *SHAPE)

strokes = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-50, 1300),
        st.integers(-50, 1700),
        st.integers(1, 700),
        st.integers(1, 700),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=5,
)


def dab(labels, level, y, x, height, width, value):
    """Paint a rectangle of a level, where the level shows another class."""
    region = RegionPx(y, x, height, width)
    return labels.paint(level, region, np.full((height, width), value, np.uint8))


def test_four_elements_become_the_one_that_most_have():
    rows = [[[1, 1], [1, 2]], [[0, 0], [0, 5]], [[0, 0], [3, 3]], [[1, 2], [3, 4]], [[2, 1], [1, 0]]]
    assert [int(halved(np.array(four, np.uint8))[0, 0]) for four in rows] == [1, 0, 3, 1, 1]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_halving_undoes_enlarging(seed):
    labels = np.random.default_rng(seed).integers(0, 4, (6, 8)).astype(np.uint8)
    assert np.array_equal(halved(enlarged(labels, 2)), labels)


@settings(max_examples=12)
@given(strokes)
def test_all_levels_show_what_a_picture_of_the_whole_would(painted):
    labels, dense = PaintedLabels(SHAPE), np.zeros(SHAPE, np.uint8)
    for level, y, x, height, width, value in painted:
        rows, cols = labels.shapes[level]
        shown = labels.read(level, RegionPx(0, 0, rows, cols))
        region = RegionPx(y, x, height, width).intersect(RegionPx(0, 0, rows, cols))
        differs = np.zeros((rows, cols), bool)
        differs[region.slices] = shown[region.slices] != value
        dense[enlarged(differs, 2**level)[: SHAPE[0], : SHAPE[1]]] = value
        dab(labels, level, y, x, height, width, value)
        assert np.array_equal(labels.read(level, region), np.full((region.height, region.width), value))
    assert np.array_equal(labels.read(0, WHOLE), dense)
    for level in range(1, len(labels.shapes)):
        for tile in [tile for tile in labels.tiles if tile.level == level - 1]:
            assert tile.parent in labels.tiles
            assert np.array_equal(labels.tile(tile.parent)[tile.quadrant], halved(labels.tile(tile)))


@settings(max_examples=10)
@given(strokes)
def test_every_step_is_taken_back_and_made_anew_exactly(painted):
    labels = PaintedLabels(SHAPE)
    seen = [labels.read(0, WHOLE)]
    made = [labels.tiles]
    for stroke in painted:
        if dab(labels, *stroke) is not None:
            seen.append(labels.read(0, WHOLE))
            made.append(labels.tiles)
    for number in range(len(seen) - 2, -1, -1):
        labels.undo()
        assert np.array_equal(labels.read(0, WHOLE), seen[number])
        assert labels.tiles == made[number]
    assert labels.undo() is None
    for number in range(1, len(seen)):
        labels.redo()
        assert np.array_equal(labels.read(0, WHOLE), seen[number])
    assert labels.redo() is None


def test_painting_at_low_magnification_makes_few_tiles_on_a_very_large_slide():
    labels = PaintedLabels((200_000, 300_000))
    top = len(labels.shapes) - 1
    assert max(labels.shapes[top]) <= TILE
    change = dab(labels, top, 50, 60, 130, 200, 2)
    assert labels.tiles == {Tile(top, 0, 0)}
    factor = 2**top
    assert change.area == RegionPx(50 * factor, 60 * factor, 130 * factor, 200 * factor)
    assert labels.read(0, RegionPx(100 * factor, 100 * factor, 40, 50)).min() == 2
    assert dab(labels, 0, 100 * factor, 100 * factor, 30, 30, 1) is not None
    assert len(labels.tiles) < 4 * len(labels.shapes)
    assert labels.read(0, RegionPx(100 * factor + 30, 100 * factor, 1, 1))[0, 0] == 2


def test_what_changes_nothing_is_no_step():
    labels = PaintedLabels(SHAPE)
    assert dab(labels, 0, 0, 0, 50, 50, 0) is None
    assert dab(labels, 1, 5000, 5000, 50, 50, 1) is None
    assert not labels.tiles
    assert labels.titles == ("", "")
    assert labels.undo() is None


def test_beyond_the_slide_is_nothing():
    labels = PaintedLabels(SHAPE)
    dab(labels, 0, -30, -40, 100, 100, 3)
    seen = labels.read(0, RegionPx(-30, -40, 100, 100))
    assert seen[:30].max() == 0
    assert seen[30:, 40:].min() == 3
    with pytest.raises(InvalidParameterError, match="no such level"):
        labels.read(9, WHOLE)


def test_the_oldest_steps_are_forgotten_when_there_are_too_many():
    labels = PaintedLabels(SHAPE)
    labels._history = history = History(most_bytes=4000)
    noise = np.random.default_rng(0).integers(0, 3, (6, 100, 100)).astype(np.uint8)
    for number, picture in enumerate(noise):
        labels.paint(0, RegionPx(0, 0, 100, 100), picture, f"stroke {number}")
    assert history.titles[0] == "stroke 5"
    steps = 0
    while labels.undo():
        steps += 1
    assert 1 <= steps < 6
    assert np.array_equal(labels.read(0, RegionPx(0, 0, 100, 100)), noise[5 - steps])


def test_levels_halve_down_to_one_tile():
    assert level_shapes((1, 1)) == ((1, 1),)
    assert level_shapes((513, 512)) == ((513, 512), (257, 256))
