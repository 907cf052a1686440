"""A pyramid shows what its outlines are, at every zoom, before and after changes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import shapely
from shapely.geometry import box

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.outlines import OutlineIndex, OutlinePyramid, Tile, pyramid
from napari_nic.outlines.values import FEW_CLASSES, NOTHING, Part, classes_of, value_of


def nuclei(count=300, side=3000, seed=0):
    corners = np.random.default_rng(seed).uniform(0, side - 60, (count, 2))
    return shapely.box(*corners.T, *(corners + 40).T), [f"{n % 3}" for n in range(count)]


@pytest.fixture
def made():
    shapes, labels = nuclei()
    return OutlinePyramid(OutlineIndex(shapes, labels), (3000, 2500))


def whole(of, level):
    height, width = of.shapes[level]
    return slice(0, height), slice(0, width)


def fresh(of, level):
    """What a pyramid of the same outlines that was never looked at shows."""
    found = of.index.found(-1e6, -1e6, 1e6, 1e6)
    labels = [of.index.labels[number] for number in found.classes]
    # Labels keep their numbers, whether any outline has them or not.
    order = [shapely.Point(-1e5, -1e5)] * len(of.index.labels)
    index = OutlineIndex([*order, *found.geometries], [*of.index.labels, *labels])
    again = OutlinePyramid(index, of.shapes[0])
    return again.read(level, whole(again, level))


def test_levels_halve_down_to_a_small_one_and_lie_on_each_other(made):
    assert made.shapes[0] == (3008, 2512)
    assert all((2 * b[0], 2 * b[1]) == a for a, b in zip(made.shapes, made.shapes[1:], strict=False))
    assert max(made.shapes[-1]) <= pyramid.COARSEST < max(made.shapes[-2])


def test_a_size_is_found_where_none_is_given():
    right, bottom = 700, 900
    made = OutlinePyramid(OutlineIndex([box(0, 0, right, bottom)], ["A"]))
    assert made.shapes[0][0] >= bottom
    assert made.shapes[0][1] >= right
    assert OutlinePyramid(OutlineIndex([], [])).shapes == ((2, 2), (1, 1))


def test_cancelling_ends_the_drawing_of_the_last_level():
    shapes, labels = nuclei()
    index, token = OutlineIndex(shapes, labels), CancellationToken()
    token.cancel()
    for size in ((3000, 2500), (300_000, 250_000)):  # areas of some pixels, and a crowd
        with pytest.raises(CancelledError):
            OutlinePyramid(index, size, token)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_any_part_is_the_same_as_of_the_whole(made, level):
    everything = made.read(level, whole(made, level))
    height, width = everything.shape
    for top, left, tall, wide in ((0, 0, 10, 10), (height // 3, width // 2, height // 2, width // 4)):
        area = slice(top, top + tall), slice(left, left + wide)
        assert (made.read(level, area) == everything[area]).all()
    assert (everything != NOTHING).any()


def test_what_is_not_drawn_yet_is_told_and_stood_in_for(made):
    area = slice(0, 1024), slice(0, 1024)
    first, missing = made.peek(0, area)
    assert missing == [Tile(0, 0, 0), Tile(0, 0, 1), Tile(0, 1, 0), Tile(0, 1, 1)]
    drawn = made.read(0, area)
    assert (first != NOTHING).any(), "coarser pictures stand in"
    assert (made.peek(0, area)[0] == drawn).all()
    assert made.peek(0, area)[1] == []
    # Where something is, the stand-in shows something near.
    near = np.kron(first[::16, ::16] != NOTHING, np.ones((16, 16), bool))
    assert (near & (drawn != NOTHING)).any()


def test_the_nearest_coarser_level_stands_in(made):
    made.read(1, whole(made, 1))
    first, missing = made.peek(0, (slice(0, 512), slice(0, 512)))
    assert len(missing) == 1
    assert (
        first == np.kron(made.read(1, (slice(0, 256), slice(0, 256))), np.ones((2, 2), first.dtype))
    ).all()


def test_changes_are_seen_at_every_zoom(made):
    for level in range(len(made)):
        made.read(level, whole(made, level))
    changes = {0: (box(500, 500, 900, 800), "1"), 1: None, "new": (shapely.Point(1500, 900).buffer(70), "3")}
    assert not made.replace(changes)
    made.set_shown([2, 3], False)
    for level in range(len(made)):
        assert (made.read(level, whole(made, level)) != fresh(made, level)).mean() < 5e-4


def test_a_change_costs_the_tiles_that_it_touches_alone(made):
    made.read(0, whole(made, 0))
    drawn = dict(made._tiles)
    made.replace({0: (box(600, 600, 700, 700), "1")})
    before = made.index.geometry(0)
    assert before.area == 10_000
    made.read(0, whole(made, 0))
    anew = [tile for tile in drawn if made._tiles[tile] is not drawn[tile]]
    assert Tile(0, 1, 1) in anew
    assert len(anew) <= 1 + 4, "where it was and where it is"


def test_until_it_is_drawn_anew_a_tile_shows_what_it_was(made):
    area = slice(512, 1024), slice(512, 1024)
    before = made.read(0, area)
    made.replace({"new": (box(600, 600, 700, 700), "1")})
    shown, missing = made.peek(0, area)
    assert (shown == before).all()
    assert missing == [Tile(0, 1, 1)]
    assert made.draw(missing[0])[150, 150] == value_of(1, Part.AREA)
    assert made.peek(0, area)[1] == []


def test_very_many_changes_at_once(made, monkeypatch):
    monkeypatch.setattr(pyramid, "MANY_BOXES", 10)
    for level in range(len(made)):
        made.read(level, whole(made, level))
    made.set_shown(range(150), False)
    for level in range(len(made)):
        assert (made.read(level, whole(made, level)) != fresh(made, level)).mean() < 5e-4


def test_the_coarsest_level_is_one_array_that_changes(made):
    """napari keeps it for the layer's thumbnail."""
    kept, before = made.coarsest, made.coarsest.copy()
    made.replace({"new": (box(0, 0, 2500, 3000), "1")})
    assert made.coarsest is kept
    assert (kept != before).any()


def test_a_new_class_that_does_not_fit_makes_pictures_of_larger_numbers(made):
    made.replace({f"n{n}": (box(n, 0, n + 1, 1), f"class {n}") for n in range(FEW_CLASSES - 3)})
    assert made.dtype == np.uint8
    made.read(0, whole(made, 0))
    assert made.replace({"last": (box(1000, 1000, 1200, 1200), "last")})
    assert made.dtype == np.uint16
    values = made.read(0, (slice(1100, 1101), slice(1100, 1101)))
    assert values.dtype == np.uint16
    assert made.index.labels[classes_of(values)[0, 0]] == "last"
    assert made.coarsest.dtype == np.uint16


def test_no_more_is_kept_than_was_said(made, monkeypatch):
    monkeypatch.setattr(pyramid, "MAX_BYTES", 3 * pyramid.TILE**2)
    made.read(0, whole(made, 0))
    assert len(made._tiles) == 3
    assert next(reversed(made._tiles)) == Tile(0, 5, 4), "the last ones"


def test_a_tile_that_was_drawn_while_something_changed_is_drawn_again(made, monkeypatch):
    """Else it would show for ever what it was."""
    real, change = pyramid.draw, {"new": (box(600, 600, 700, 700), "1")}

    def draw_and_change(index, window, dtype):
        found = real(index, window, dtype)
        if change and window.factor == 1:
            made.replace({change.popitem()[0]: (box(600, 600, 700, 700), "1")})
        return found

    monkeypatch.setattr(pyramid, "draw", draw_and_change)
    assert made.draw(Tile(0, 1, 1))[150, 150] == value_of(1, Part.AREA)


def test_threads_may_draw_while_outlines_change(made):
    errors, done = [], threading.Event()

    def look():
        try:
            while not done.is_set():
                made.read(0, (slice(0, 1024), slice(0, 1024)))
        except Exception as error:  # noqa: BLE001 -- it fails the test, whatever it is
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(60):
        made.replace({n: (box(n * 10, n * 10, n * 10 + 50, n * 10 + 50), "1")})
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (made.read(0, whole(made, 0)) != fresh(made, 0)).mean() < 5e-4


@pytest.mark.parametrize("level", range(5))
def test_a_hidden_class_covers_nothing(made, level):
    """Neither its lines over others, nor its crowd where it covers more of a pixel than another one."""
    made.read(level, whole(made, level))
    assert made.hide(["1", "2"])
    assert not made.hide(["1", "2"])
    found = made.index.found(-1e6, -1e6, 1e6, 1e6)
    assert set(found.classes) == {0}
    alone = OutlinePyramid(OutlineIndex(found.geometries, ["0"] * len(found)), made.shapes[0])
    shown, expected = made.read(level, whole(made, level)), alone.read(level, whole(alone, level))
    assert (shown == expected).all()
    assert made.index.at(*shapely.get_coordinates(made.index.geometry(1).centroid)[0]) not in (1, 2)
    made.hide([])
    assert (made.read(level, whole(made, level)) == fresh(made, level)).all()


def test_what_was_hidden_is_drawn_where_it_is_looked_at(made):
    area = slice(0, 512), slice(0, 512)
    made.read(0, area)
    before = made.coarsest.copy()
    made.hide(["0"])
    _, missing = made.peek(0, area)
    assert missing == [Tile(0, 0, 0), made.whole]
    for tile in missing:
        made.draw(tile)
    assert made.peek(0, area)[1] == []
    assert (made.coarsest != before).any()


def test_it_turns_to_what_another_one_shows_and_tiles_stay_until_they_are_drawn(made):
    shapes, labels = nuclei(50, seed=1)
    area = (slice(0, 512), slice(0, 512))
    before, coarsest = made.read(0, area), made.coarsest
    other = OutlinePyramid(OutlineIndex(shapes, labels), made.shapes[0])
    assert not made.turn_to(other)
    assert made.index is other.index
    seen, missing = made.peek(0, area)
    assert (seen == before).all()
    assert missing == [Tile(0, 0, 0)]
    assert made.coarsest is coarsest, "napari holds it"
    for level in range(len(made)):
        assert (made.read(level, whole(made, level)) == other.read(level, whole(other, level))).all()


def test_tiles_of_other_classes_do_not_stay(made):
    shapes, _ = nuclei(50)
    area = (slice(0, 512), slice(0, 512))
    made.read(0, area)
    other = OutlinePyramid(OutlineIndex(shapes, ["another"] * 50), made.shapes[0])
    made.turn_to(other)
    seen, missing = made.peek(0, area)
    assert missing == [Tile(0, 0, 0)]
    assert set(np.unique(seen)) <= {NOTHING, *(value_of(0, part) for part in Part)}


def test_it_turns_to_one_of_more_classes_than_bytes_hold(made):
    shapes, _ = nuclei(FEW_CLASSES + 5)
    other = OutlinePyramid(OutlineIndex(shapes, [f"{n}" for n in range(len(shapes))]), made.shapes[0])
    made.read(0, whole(made, 0))
    assert made.turn_to(other)
    assert made.dtype == np.uint16
    last = len(made) - 1
    for level in (0, last):
        assert (made.read(level, whole(made, level)) == other.read(level, whole(other, level))).all()


def test_tiles_of_another_one_stand_in_until_they_are_drawn(made):
    shapes, labels = nuclei()
    part = OutlinePyramid(OutlineIndex(shapes[:100], labels[:100]), (3000, 2500))
    area = (slice(0, 1024), slice(0, 1024))
    stood = part.read(0, area)
    made.stand_in(part)
    seen, missing = made.peek(0, area)
    assert (seen == stood).all()
    assert len(missing) == 4
    assert (made.read(0, area) == fresh(made, 0)[area]).all()
    drawn = made.read(0, area)
    made.stand_in(part)
    assert (made.peek(0, area)[0] == drawn).all(), "what is drawn stays"


def test_tiles_of_the_same_outlines_need_not_be_drawn_again(made, monkeypatch):
    other = OutlinePyramid(made.index, (3000, 2500))
    area = (slice(0, 1024), slice(0, 1024))
    drawn = other.read(0, area)
    made.stand_in(other)
    monkeypatch.setattr(pyramid, "draw", None)
    assert made.peek(0, area)[1] == []
    assert (made.read(0, area) == drawn).all()
