"""Geometry of drawing, held against shapely's set algebra."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import shapely
import shapely.ops
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from napari_nic.editing.operations import (
    Brush,
    Snapper,
    Sweep,
    area_of,
    area_of_mask,
    area_text,
    area_um2,
    carried,
    common,
    erased,
    expanded,
    filled,
    inverted,
    length_text,
    length_um,
    merged,
    n_holes,
    painted,
    parts_of,
    rough_outlines,
    simplified,
    simplified_near,
    size_text,
    split,
    subtracted,
    swept,
    transferred,
    united,
    wand_by_color,
    wand_by_similarity,
    without,
    without_specks,
)
from napari_nic.editing.operations.areas import GRID_PX
from napari_nic.errors import AnnotationError, InvalidParameterError, OutOfBoundsError
from napari_nic.geometry import PixelSize

SQUARE_PX = PixelSize(0.5, 0.5)
FLAT_PX = PixelSize(0.25, 1.0)
"""A pixel four times as wide as high."""

few = settings(max_examples=25)
"""Enough to meet touching, empty and crossing shapes; buffers of many corners take milliseconds each."""

RING = box(0, 0, 100, 100).difference(box(40, 40, 60, 60))
BOW_TIE = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])

coordinates = st.floats(0, 1000).map(lambda value: round(value, 2))
points = st.tuples(coordinates, coordinates)
loops = st.lists(points, min_size=3, max_size=9, unique=True)
areas = loops.map(Polygon).map(area_of).filter(lambda area: area.area > 1)
paths = st.lists(points, min_size=1, max_size=6)
pixels = st.builds(PixelSize, st.floats(0.1, 4), st.floats(0.1, 4))
brushes = st.builds(Brush, st.floats(1, 300), st.sampled_from(["disc", "square"]))


def is_sound(area: object) -> bool:
    return isinstance(area, Polygon | MultiPolygon) and shapely.is_valid(area)


# -- set algebra -----------------------------------------------------------------------------------------


def about(expected: float, *shapes: shapely.Geometry):
    """Compare areas: corners move by the grid of the operations, which is much of a sliver's area."""
    return pytest.approx(expected, rel=1e-6, abs=GRID_PX * sum(shape.length for shape in shapes))


@few
@given(areas, areas)
def test_union_and_intersection_weigh_as_much_as_both(one, other):
    both, shared = united([one, other]), common([one, other])
    assert is_sound(both)
    assert is_sound(shared)
    assert both.area + shared.area == about(one.area + other.area, one, other)


def test_areas_whose_sides_nearly_lie_on_each_other():
    """GEOS alone gives all of the rest for what it shares with what was taken out of it."""
    one = shapely.Polygon([(0, 890), (2.5, 0), (248, 1)])
    other = shapely.Polygon([(0, 1), (0, 889), (123, 0)])
    rest = without(one, [other])
    assert rest.area + common([one, other]).area == pytest.approx(one.area)
    assert common([rest, other]).area == pytest.approx(0, abs=1e-3)


@few
@example(Polygon([(0, 436.56), (645, 348.84), (929.25, 310.19)]), Polygon([(0, 0), (0, 725), (1, 1)]))
@given(areas, areas)
def test_difference_and_intersection_make_the_whole(one, other):
    rest = without(one, [other])
    assert is_sound(rest)
    assert rest.area + common([one, other]).area == about(one.area, one, other)
    assert common([rest, other]).area == about(0, one, other)


@few
@given(st.lists(areas, max_size=3))
def test_inverse_is_what_is_left(inside):
    whole = box(-10, -10, 1010, 1010)
    inverse = inverted(inside, whole)
    assert is_sound(inverse)
    assert inverse.area + united(inside).area == about(whole.area)


@few
@given(areas)
def test_filled_areas_have_no_holes_and_cover_the_old_one(area):
    full = filled(area)
    assert n_holes(full) == 0
    assert without(area, [full]).area == pytest.approx(0, abs=1e-6 * area.area)
    assert sum(part.area for part in parts_of(full)) == pytest.approx(full.area)


def test_only_small_holes_are_filled_where_asked():
    assert filled(RING, 399) == area_of(RING)
    assert filled(RING, 400).area == 10_000


def test_a_loop_that_crosses_itself_becomes_two_parts():
    assert is_sound(area_of(BOW_TIE))
    assert area_of(BOW_TIE).area == 50


@pytest.mark.parametrize(
    "flat", [Point(1, 1), LineString([(0, 0), (5, 5)]), Polygon([(0, 0), (5, 5), (9, 9)])]
)
def test_what_covers_no_ground_is_empty(flat):
    assert area_of(flat).is_empty


def test_empty_results_are_told():
    big, small = box(0, 0, 100, 100), box(10, 10, 20, 20)
    with pytest.raises(AnnotationError, match="nothing would be left"):
        subtracted(small, [big])
    with pytest.raises(AnnotationError, match="inverse is empty"):
        inverted([big], small)
    with pytest.raises(AnnotationError, match="only areas can be merged"):
        merged([LineString([(0, 0), (1, 1)])])
    with pytest.raises(AnnotationError, match="smaller distance"):
        expanded(small, -10, SQUARE_PX)


# -- strokes ---------------------------------------------------------------------------------------------


@few
@example([(1.0, 0.0), (0.0, 1.0), (0.0, 2.0), (0.0, 0.0), (1.0, 0.0)], Brush(1.0), PixelSize(1.0, 0.5))
@given(paths, brushes, pixels)
def test_a_stroke_covers_its_path_and_no_more_than_its_size(path, brush, pixel):
    stroke = swept(path, brush, pixel)
    assert is_sound(stroke)
    assert all(stroke.buffer(1e-6).covers(Point(point)) for point in path)
    scaled = shapely.transform(stroke, lambda xy: xy * (pixel.x, pixel.y))
    steps = [LineString(pair) for pair in pairwise(path)] or [Point(path[0])]
    scaled_steps = shapely.transform(np.array(steps, object), lambda xy: xy * (pixel.x, pixel.y))
    reach = brush.size_um / 2 * (1 if brush.shape == "disc" else math.sqrt(2)) * 1.01 + 1e-6
    # Not of the whole path: around one that goes back over itself GEOS leaves parts out.
    assert shapely.union_all(shapely.buffer(scaled_steps, reach, quad_segs=64)).covers(scaled)


def test_a_dab_is_round_on_the_glass_where_pixels_are_flat():
    left, top, right, bottom = swept([(100, 100)], Brush(20), FLAT_PX).bounds
    assert right - left == pytest.approx(20)
    assert bottom - top == pytest.approx(80)
    dab = swept([(100, 100)], Brush(20), FLAT_PX)
    assert area_um2(dab, FLAT_PX) == pytest.approx(math.pi * 100, rel=0.01)


def test_a_square_brush_sweeps_a_band():
    stroke = swept([(0, 0), (100, 0)], Brush(10, "square"), PixelSize(1, 1))
    assert stroke.equals(box(-5, -5, 105, 5))
    slanted = swept([(0, 0), (100, 100)], Brush(10, "square"), PixelSize(1, 1))
    assert slanted.area == pytest.approx(100 + 100 * 10 * 2)


@few
@given(areas, paths, brushes)
def test_painting_and_erasing_are_union_and_difference(area, path, brush):
    stroke = swept(path, brush, SQUARE_PX)
    assert painted(area, stroke).symmetric_difference(area.union(stroke)).area == pytest.approx(0, abs=1e-3)
    assert erased(area, stroke).symmetric_difference(area.difference(stroke)).area == pytest.approx(
        0, abs=1e-3
    )


@few
@given(areas, paths, brushes, st.floats(0.1, 3))
def test_thinned_strokes_are_off_by_no_more_than_the_tolerance(area, path, brush, tolerance):
    stroke = swept(path, brush, SQUARE_PX)
    exact, thin = area.union(stroke), painted(area, stroke, tolerance)
    assert is_sound(thin)
    assert exact.buffer(tolerance * 1.01).covers(thin)
    assert thin.buffer(tolerance * 1.01).covers(exact)


def test_corners_do_not_grow_however_long_one_paints():
    rng = np.random.default_rng(3)
    area, counts = Polygon(), []
    for _ in range(200):
        place = tuple(rng.uniform(0, 300, 2))
        area = painted(area, swept([place, tuple(rng.uniform(0, 300, 2))], Brush(40), SQUARE_PX), 0.5)
        counts.append(len(shapely.get_coordinates(area)))
    assert max(counts[100:]) < 1.5 * max(counts[:50])
    assert max(counts) < 1000


def test_a_coarse_stroke_leaves_fine_corners_elsewhere_alone():
    angles = np.linspace(0, 2 * math.pi, 400, endpoint=False)
    fine = Polygon(np.stack([np.cos(angles), np.sin(angles)], 1) * (100 + 2 * np.cos(60 * angles))[:, None])
    stroke = swept([(110, 0)], Brush(40), PixelSize(1, 1))
    result = painted(fine, stroke, 10.0)
    assert len(shapely.get_coordinates(simplified(fine, 10.0))) < 40
    far = fine.difference(box(60, -200, 200, 200))
    assert result.difference(box(60, -200, 200, 200)).symmetric_difference(far).area == pytest.approx(0)


@few
@given(paths, brushes)
def test_a_stroke_drawn_step_by_step_is_the_stroke(path, brush):
    sweep = Sweep(brush, SQUARE_PX)
    for point in path:
        drawn = sweep.to(point)
    whole = swept(path, brush, SQUARE_PX)
    assert drawn.symmetric_difference(whole).area == pytest.approx(0, abs=1e-3 * max(1, whole.area))


def test_a_brush_has_a_size():
    with pytest.raises(InvalidParameterError):
        Brush(0)


# -- cutting, growing, moving ----------------------------------------------------------------------------


@few
@example(area_of(Polygon([(0, 2), (2, 4), (0, 0), (2, 5)])), (0.0, 1.0), 2.0)  # a sliver off one part of two
@given(areas, st.tuples(coordinates, coordinates), st.floats(0, math.pi))
def test_pieces_of_a_cut_make_the_whole(area, through, angle):
    step = np.array([math.cos(angle), math.sin(angle)]) * 3000
    line = LineString([np.array(through) - step, np.array(through) + step])
    try:
        pieces = split(area, line)
    except AnnotationError:
        parts = [piece for piece in shapely.ops.split(area, line).geoms if piece.area > 0.01 * area.area]
        only_slivers = len(parts) <= shapely.get_num_geometries(area)
        assert only_slivers or area.buffer(-0.01).intersection(line).is_empty
        return
    assert all(is_sound(piece) for piece in pieces)
    assert sum(piece.area for piece in pieces) == pytest.approx(area.area, rel=1e-6)
    assert united(pieces).area == pytest.approx(area.area, rel=1e-6)


def test_a_ring_is_cut_from_its_outside_to_its_hole_by_a_line_through_both_sides():
    pieces = split(RING, LineString([(-10, 50), (110, 50)]))
    assert [piece.area for piece in pieces] == [4800, 4800]
    crossed = split(box(0, 0, 100, 100), LineString([(-5, 50), (105, 50), (50, 105), (50, -5)]))
    assert len(crossed) == 5


def test_a_cut_along_the_edge_leaves_no_slivers():
    """A line along an outline crosses it at every other corner: what it cuts off there is not seen."""
    x = np.linspace(0, 1000, 201)
    rough = Polygon([*zip(x, 0.3 * (np.arange(201) % 2), strict=True), (1000, 500), (0, 500)])
    line = LineString([(-5, 0.15), (500, 0.15), (500, 600)])
    pieces = split(rough, line)
    assert [round(piece.area) for piece in pieces] == [249_925, 249_925]
    assert united(pieces).symmetric_difference(rough).area == pytest.approx(0, abs=1e-6)
    small = split(box(0, 0, 3, 2), LineString([(1.5, -1), (1.5, 3)]))
    assert [piece.area for piece in small] == [3, 3], "of a small object halves are no slivers"


@pytest.mark.parametrize("line", [[(-10, 50), (50, 50)], [(200, 0), (200, 100)], [(10, 10), (90, 90)]])
def test_a_line_that_does_not_cut_through_is_told(line):
    with pytest.raises(AnnotationError, match="does not cut through"):
        split(box(0, 0, 100, 100), LineString(line))


@few
@given(areas, st.floats(1, 50), pixels)
def test_growing_covers_the_old_and_moves_outlines_by_the_distance_on_the_glass(area, distance, pixel):
    grown = expanded(area, distance, pixel)
    assert is_sound(grown)
    assert grown.buffer(1e-6).covers(area)
    left, _, _, bottom = grown.bounds
    before = area.bounds
    assert (before[0] - left) * pixel.x == pytest.approx(distance, rel=0.01)
    assert (bottom - before[3]) * pixel.y == pytest.approx(distance, rel=0.01)


def test_growth_ends_at_the_tissue():
    assert expanded(box(10, 10, 20, 20), 50, SQUARE_PX, within=box(0, 0, 100, 30)).bounds[1] == 0


@few
@given(areas, pixels, pixels, points)
def test_a_transferred_shape_has_its_size_on_the_glass(area, here, there, center):
    copy = transferred(area, center, here, there)
    assert is_sound(copy)
    assert area_um2(copy, there) == pytest.approx(area_um2(area, here), rel=1e-6)
    assert copy.envelope.centroid.distance(Point(center)) == pytest.approx(0, abs=1e-3)


@few
@given(areas, pixels, pixels)
def test_a_carried_shape_lies_at_the_same_micrometres(area, here, there):
    copy = carried(area, here, there)
    assert area_um2(copy, there) == pytest.approx(area_um2(area, here), rel=1e-6)
    assert copy.centroid.x * there.x == pytest.approx(area.centroid.x * here.x)
    assert carried(copy, there, here).equals_exact(area, 1e-6)


@few
@given(areas, st.floats(0.5, 20))
def test_simplified_outlines_are_valid_and_near(area, tolerance):
    thin = simplified(area, tolerance)
    assert shapely.is_valid(thin)
    assert len(shapely.get_coordinates(thin)) <= len(shapely.get_coordinates(area))
    if not thin.is_empty:
        assert area.boundary.buffer(tolerance * 1.01 + 1e-6).covers(thin.boundary)


def test_nothing_far_from_the_region_is_thinned():
    circle = Point(0, 0).buffer(100, quad_segs=64)
    assert simplified_near(circle, Point(500, 0).buffer(10), 5) == area_of(circle)
    assert simplified_near(circle, Point(0, 0), 0) == area_of(circle)


# -- measuring -------------------------------------------------------------------------------------------


def test_lengths_and_areas_respect_flat_pixels():
    assert length_um(LineString([(0, 0), (3, 0)]), FLAT_PX) == 3
    assert length_um(LineString([(0, 0), (0, 4)]), FLAT_PX) == 1
    assert length_um(LineString([(0, 0), (3, 16)]), FLAT_PX) == 5
    assert area_um2(box(0, 0, 10, 10), FLAT_PX) == 25


@few
@given(areas, pixels)
def test_areas_are_those_of_the_shape_in_micrometres(area, pixel):
    on_glass = affinity.scale(area, pixel.x, pixel.y, origin=(0, 0))
    assert area_um2(area, pixel) == pytest.approx(on_glass.area)
    assert length_um(area, pixel) == pytest.approx(on_glass.length)


def test_how_sizes_read():
    assert length_text(12.34) == "12.3 µm"
    assert length_text(1234.5) == "1.234 mm"
    assert area_text(1234) == "1,234 µm²"
    assert area_text(2_500_000) == "2.5 mm²"
    assert size_text(LineString([(0, 0), (10, 0)]), SQUARE_PX) == "5.0 µm"
    assert size_text(box(0, 0, 10, 10), SQUARE_PX) == "25 µm², outline 20.0 µm"
    assert size_text(box(0, 0, 10, 10), None) == "100 px²"
    assert size_text(Point(0, 0), SQUARE_PX) == ""


# -- snapping --------------------------------------------------------------------------------------------


def test_points_within_reach_snap_and_others_do_not():
    snapper = Snapper(RING, SQUARE_PX)
    assert snapper.point((50, -8), 5) == (50, 0)
    assert snapper.point((50, -12), 5) == (50, -12)
    assert snapper.point((50, 43), 5) == pytest.approx((50, 40))
    assert Snapper(Polygon(), SQUARE_PX).point((1, 2), 5) == (1, 2)


def test_reach_is_that_on_the_glass():
    snapper = Snapper(box(0, 0, 100, 100), FLAT_PX)
    assert snapper.point((50, -19), 5) == (50, 0)
    assert snapper.point((-6, 50), 5) == (-6, 50)


def test_the_way_along_an_outline_is_the_shorter_one():
    snapper = Snapper(box(0, 0, 100, 100), PixelSize(1, 1))
    for first, last in (((10, 5), (5, 10)), ((5, 10), (10, 5)), ((90, 95), (95, 90)), ((95, 90), (90, 95))):
        way = LineString(snapper.way(first, last, 10))
        assert way.length == pytest.approx(20)
        assert box(0, 0, 100, 100).exterior.buffer(1e-9).covers(way)
    assert snapper.way((10, 0), (300, 300), 10) == [(10, 0), (300, 300)]


@few
@given(points, points)
def test_ways_lie_on_the_outline_and_lead_from_point_to_point(first, last):
    outline = Point(500, 500).buffer(300)
    snapper = Snapper(outline, SQUARE_PX)
    way = snapper.way(first, last, 1e6)
    assert way[0] == pytest.approx(snapper.point(first, 1e6), abs=1e-6)
    assert way[-1] == pytest.approx(snapper.point(last, 1e6), abs=1e-6)
    assert LineString(way).length <= outline.exterior.length / 2 + 1e-6


# -- masks and wands -------------------------------------------------------------------------------------


@few
@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_an_area_traced_exactly_has_the_elements_of_its_mask(rows, cols, seed):
    mask = np.random.default_rng(seed).random((rows, cols)) < 0.5
    area = area_of_mask(mask, (10, 20), (2, 3))
    assert shapely.is_valid(area)
    assert area.area == pytest.approx(6 * np.count_nonzero(mask))
    y, x = np.mgrid[:rows, :cols]
    assert np.array_equal(shapely.contains_xy(area, 20 + 3 * (x + 0.5), 10 + 2 * (y + 0.5)), mask)


def test_a_smooth_outline_is_round_and_keeps_place_and_holes():
    y, x = np.mgrid[:100, :100] + 0.5
    radius = np.hypot(y - 50, x - 50)
    area = area_of_mask((radius < 40) & (radius > 15), (0, 0), (1, 1), smooth=2)
    assert n_holes(area) == 1
    assert area.centroid.distance(Point(50, 50)) < 0.2
    assert area.area == pytest.approx(math.pi * (40**2 - 15**2), rel=0.02)
    at_rim = area_of_mask(np.ones((30, 30), bool), (0, 0), (1, 1), smooth=1)
    assert at_rim.area == pytest.approx(900, rel=0.02)


def test_an_empty_mask_is_an_empty_area():
    assert area_of_mask(np.zeros((3, 3), bool), (0, 0), (1, 1)).is_empty


def test_specks_go_and_the_largest_part_stays():
    specks = [box(9 * n, 0, 9 * n + 2, 2) for n in range(3)]
    area = united([box(0, 10, 30, 40), *specks, box(50, 50, 60, 60)])
    assert without_specks(area, 4).equals(united([box(0, 10, 30, 40), box(50, 50, 60, 60)]))
    assert without_specks(area, 1e6).equals(box(0, 10, 30, 40))
    assert without_specks(Polygon(), 4).is_empty


def test_rough_outlines_show_what_the_exact_ones_will():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    mask[20:24, 20:24] = False  # a nucleus
    mask[30:45, 30:45] = False  # another tissue
    mask[5, 5] = True  # noise
    lines = rough_outlines(mask, (100, 200), (2, 2), smooth=1.2, speck=64)
    assert len(lines) == 2
    assert len(rough_outlines(mask[:8], (100, 200), (2, 2), speck=64)) == 0  # a point has no outline
    small = rough_outlines(mask[15:22, 8:14], (0, 0), (1, 1), speck=64)
    assert len(small) == 1, "the largest part is shown though it is small"
    (left, top), (right, bottom) = lines[0].min(axis=0), lines[0].max(axis=0)
    assert (left, top, right, bottom) == pytest.approx((220, 120, 300, 200), abs=2)
    assert all(np.array_equal(line[0], line[-1]) for line in lines)
    assert len(rough_outlines(mask, (100, 200), (2, 2))) == 3
    assert rough_outlines(np.zeros((3, 3), bool), (0, 0), (1, 1)) == ()


def test_the_colour_wand_takes_what_is_connected_and_alike():
    picture = np.full((40, 60, 3), 240, np.uint8)
    picture[10:30, 5:20] = (180, 80, 140)
    picture[10:30, 40:55] = (180, 80, 140)
    picture[12:28, 20:25] = (178, 84, 143)
    mask = wand_by_color(picture, (15, 10), 10, blur=0)
    expected = np.zeros((40, 60), bool)
    expected[10:30, 5:20] = True
    expected[12:28, 20:25] = True
    assert np.array_equal(mask, expected)
    assert np.array_equal(wand_by_color(picture, (15, 10), 0.5, blur=0)[:, :20], expected[:, :20])
    assert not wand_by_color(picture, (15, 10), 0.5, blur=0)[20, 22]


@few
@given(st.integers(0, 2**32 - 1), st.floats(0, 60), st.floats(0, 60))
def test_a_wider_tolerance_takes_more(seed, one, other):
    picture = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)
    less, more = sorted((one, other))
    small, large = (wand_by_color(picture, (6, 6), tolerance) for tolerance in (less, more))
    assert small[6, 6]
    assert not (small & ~large).any()


def test_a_wand_off_the_picture_is_told():
    with pytest.raises(OutOfBoundsError):
        wand_by_color(np.zeros((4, 4, 3), np.uint8), (4, 0), 5)


def test_the_similarity_wand_follows_codes_and_not_gaps():
    rng = np.random.default_rng(0)
    codes = rng.normal(0, 0.05, (10, 12, 6)) + 1
    codes[2:8, 1:5] += (1, 0, 0, 0, 0, 0)
    codes[2:8, 8:11] += (1, 0, 0, 0, 0, 0)
    codes[2:8, 5:8] += (0, 1, 0, 0, 0, 0)
    encoded = np.zeros((10, 12), bool)
    encoded[2:8, 1:11] = True
    found = wand_by_similarity(codes[encoded], encoded, (4, 2), 0.7)
    expected = np.zeros((10, 12), bool)
    expected[2:8, 1:5] = True
    assert np.array_equal(found, expected)
    values = codes[encoded] - codes[encoded].mean(axis=0)
    mine = codes[4, 2] - codes[encoded].mean(axis=0)
    cosine = np.full(encoded.shape, -2.0)
    cosine[encoded] = values @ mine / np.linalg.norm(values, axis=1) / np.linalg.norm(mine)
    assert (cosine[found] >= 0.7).all()
    assert wand_by_similarity(codes[encoded], encoded, (4, 2), -1.001).sum() == encoded.sum()
    with pytest.raises(AnnotationError, match="not compressed"):
        wand_by_similarity(codes[encoded], encoded, (0, 0), 0.5)
