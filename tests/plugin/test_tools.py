"""What tools draw, without napari: pointer events go in, steps of the document come out."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, Point, box

from napari_nic.annotations import Annotation
from napari_nic.editing import AnnotationObject, Document, DrawingClass, ObjectIndex
from napari_nic.editing.operations import Brush, Snapper
from napari_nic.errors import AnnotationError, NicError
from napari_nic.geometry import PixelSize
from napari_nic.plugin.tools.base import View
from napari_nic.plugin.tools.pointer import Pointer
from napari_nic.plugin.tools.toolbox import BY_NAME, TOOLS

PIXEL = PixelSize(0.5, 0.5)
STEP = 2.0
"""Level-0 pixels of a pixel on the screen."""


class FakeDesk:
    """A desk with a document and nothing around it."""

    def __init__(self) -> None:
        self.document = Document(
            classes=[DrawingClass("tumor", (200, 0, 0)), DrawingClass("stroma", (0, 200, 0))]
        )
        self.index = ObjectIndex(self.document)
        self.brush = Brush(20)
        self.tolerance, self.similarity = 10.0, 0.5
        self.pixel = self.known_pixel = PIXEL
        self.label = "tumor"
        self.chosen: tuple[str, ...] = ()
        self.told: list[str] = []
        self.errors: list[Exception] = []
        self.snaps_to: tuple[float, float] | None = None
        self.outline: Snapper | None = None
        self.view: View | None = None
        self.similar = None
        self.looked: list[View] = []

    @property
    def items(self):
        return [self.document[i] for i in self.chosen if i in self.document]

    def select(self, ids):
        self.chosen = tuple(ids)

    def at(self, xy, reach):
        return self.index.at(xy, reach)

    def touching(self, geometry):
        return self.index.touching(geometry)

    def is_locked(self, item):
        return self.document.is_locked(item.id)

    def carry_out(self, step):
        try:
            step.apply_to(self.document)
        except NicError as error:
            self.errors.append(error)
            return False
        return True

    def snapped(self, pointer):
        if self.outline is not None and not pointer.free:
            return self.outline.point(pointer.xy, 10 * STEP)
        near = self.snaps_to is not None and pointer.distance(self.snaps_to) < 10
        return self.snaps_to if near else pointer.xy

    def way(self, start, pointer, *, freehand=False):
        if self.outline is None or pointer.free:
            return [self.snapped(pointer)]
        return self.outline.onward(start, pointer.xy, 10 * STEP, longest=4.0 if freehand else np.inf)

    def view_around(self, pointer):
        return self.view

    def look_ahead(self, pointer, seen):
        self.looked.append(seen)

    def similar_cells(self, xy):
        if isinstance(self.similar, Exception):
            raise self.similar
        return self.similar

    def tell(self, text):
        self.told.append(text)

    def tell_error(self, error):
        self.errors.append(error)


@pytest.fixture
def desk():
    return FakeDesk()


def at(x, y, **modifiers):
    return Pointer((float(x), float(y)), STEP, **modifiers)


def click(tool, x, y, **modifiers):
    tool.press(at(x, y, **modifiers))
    tool.release(at(x, y, **modifiers))


def drag(tool, *places, **modifiers):
    first, *others = places
    tool.press(at(*first, **modifiers))
    for place in others:
        tool.drag(at(*place, **modifiers))
    tool.release(at(*places[-1], **modifiers))


def put(desk, shape, label="tumor", kind="polygon", **marks):
    item = AnnotationObject.new(Annotation(label, kind, shape), **marks)
    desk.document.put("draw", item)
    return item


def only(desk):
    (item,) = desk.document.objects()
    return item


def test_names_and_keys_are_their_own():
    assert len(BY_NAME) == len({tool.key for tool in TOOLS}) == len(TOOLS)


# -- outlines --------------------------------------------------------------------------------------------


def test_a_polygon_is_drawn_by_clicks_and_closed_by_a_double_click(desk):
    tool = BY_NAME["polygon"](desk)
    for corner in ((0, 0), (100, 0), (100, 100)):
        click(tool, *corner)
        tool.hover(at(50, 120))
    assert tool.sketch.text == "2,125 µm², outline 191.9 µm"
    assert len(tool.sketch.marks) == 3
    click(tool, 0, 100)
    tool.double_click(at(0, 100))
    assert only(desk).annotation.geometry.equals(box(0, 0, 100, 100))
    assert (only(desk).label, only(desk).annotation.kind) == ("tumor", "polygon")
    assert desk.chosen == (only(desk).id,)
    assert desk.document.undo_title == "draw polygon"
    assert not tool.is_drawing


def test_a_polygon_is_closed_by_its_first_corner_or_enter(desk):
    tool = BY_NAME["polygon"](desk)
    for corner in ((0, 0), (100, 0), (100, 100), (5, 5)):
        click(tool, *corner)
    assert only(desk).annotation.geometry.area == 5000
    for corner in ((200, 0), (300, 0), (300, 100)):
        click(tool, *corner)
    tool.enter()
    assert len(desk.document) == 2


def test_corners_are_taken_back_one_by_one_with_what_was_drawn_freehand(desk):
    tool = BY_NAME["polygon"](desk)
    click(tool, 0, 0)
    drag(tool, (100, 0), (110, 20), (120, 60), (130, 90))
    assert len(tool.sketch.lines[0]) > 5
    assert tool.back()
    assert tool.is_drawing
    assert tool.back()
    assert not tool.is_drawing
    assert not tool.back()
    assert len(desk.document) == 0


def test_two_corners_are_no_polygon(desk):
    tool = BY_NAME["polygon"](desk)
    click(tool, 0, 0)
    click(tool, 100, 0)
    tool.enter()
    assert len(desk.document) == 0
    assert "three corners" in desk.told[0]


def test_escape_drops_what_was_begun(desk):
    for name in BY_NAME:
        tool = BY_NAME[name](desk)
        if name not in ("points", "similar", "wand"):
            tool.press(at(0, 0))
            tool.drag(at(50, 60))
            assert tool.is_drawing, name
            assert tool.cancel(), name
            tool.release(at(50, 60))
        assert not tool.is_drawing
        assert not tool.cancel()
    assert len(desk.document) == 0


def test_freehand_is_thinned_below_a_screen_pixel_and_crossings_are_mended(desk):
    tool = BY_NAME["freehand"](desk)
    angles = np.linspace(0, 2 * np.pi, 2000)
    drag(tool, *zip(100 * np.cos(angles), 100 * np.sin(angles), strict=True))
    shape = only(desk).annotation.geometry
    assert len(shapely.get_coordinates(shape)) < 100
    assert shape.area == pytest.approx(np.pi * 100**2, rel=0.02)
    drag(tool, (300, 0), (400, 100), (400, 0), (300, 100))
    assert desk.document.objects()[1].annotation.geometry.is_valid
    click(tool, 0, 0)
    assert "hold the button" in desk.told[0]


@pytest.mark.parametrize(
    ("name", "kind", "area"), [("rectangle", "rectangle", 8000), ("ellipse", "ellipse", 6283)]
)
def test_boxes_are_drawn_from_any_corner(desk, name, kind, area):
    tool = BY_NAME[name](desk)
    drag(tool, (100, 80), (50, 40), (0, 0))
    item = only(desk)
    assert item.annotation.geometry.bounds == pytest.approx((0, 0, 100, 80))
    assert item.annotation.geometry.area == pytest.approx(area, rel=0.01)
    assert item.annotation.kind == kind
    click(tool, 5, 5)
    assert len(desk.document) == 1


def test_shift_adds_and_alt_takes_away(desk):
    tool = BY_NAME["rectangle"](desk)
    drag(tool, (0, 0), (100, 100))
    drag(tool, (50, 50), (150, 150), add=True)
    assert only(desk).annotation.geometry.area == 17_500
    assert only(desk).annotation.kind == "polygon"
    drag(tool, (0, 0), (50, 50), subtract=True)
    assert only(desk).annotation.geometry.area == 15_000
    drag(tool, (-10, -10), (200, 200), subtract=True)
    assert len(desk.document) == 0
    desk.document.undo()
    assert only(desk).annotation.geometry.area == 15_000


def test_corners_snap(desk):
    desk.snaps_to = (0.0, 0.0)
    drag(BY_NAME["rectangle"](desk), (7, 7), (100, 100))
    assert only(desk).annotation.geometry.bounds == (0, 0, 100, 100)


@pytest.fixture
def tissue(desk):
    """A disc of tissue that the desk's tools snap to."""
    disc = Point(1000, 1000).buffer(500, quad_segs=64)
    desk.outline = Snapper(disc, PixelSize(1, 1))
    return disc


def test_between_two_corners_on_the_tissue_a_polygon_follows_it(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    click(tool, 1510, 1000)
    click(tool, 1000, 1515)
    click(tool, 1000, 1000)
    tool.enter()
    quarter = tissue.intersection(box(1000, 1000, 2000, 2000))
    assert only(desk).annotation.geometry.symmetric_difference(quarter).area < quarter.length * STEP


def test_the_side_that_closes_a_polygon_follows_the_tissue_too(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    for x, y in ((1000, 1510), (1000, 1000), (1505, 1000)):
        click(tool, x, y)
    tool.hover(at(1505, 1000))
    shown = shapely.Polygon(tool.sketch.lines[0])
    tool.double_click(at(1505, 1000))
    quarter = tissue.intersection(box(1000, 1000, 2000, 2000))
    drawn = only(desk).annotation.geometry
    assert drawn.symmetric_difference(quarter).area < quarter.length * STEP
    assert shown.symmetric_difference(quarter).area < quarter.length * STEP


def test_the_side_that_closes_a_polygon_does_not_go_back_along_the_way_that_was_drawn(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    click(tool, 1510, 1000)
    click(tool, 1000, 1515)
    tool.enter()
    segment = tissue.intersection(shapely.Polygon([(1500, 1000), (2000, 2000), (1000, 1500)]))
    assert only(desk).annotation.geometry.symmetric_difference(segment).area < segment.length * STEP


def test_backspace_takes_a_corner_back_with_the_way_along_the_tissue(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    for x, y in ((1000, 1000), (1505, 1000), (1000, 1510)):
        click(tool, x, y)
    tool.back()
    click(tool, 1300, 1300, free=True)
    tool.enter()
    assert len(only(desk).annotation.geometry.exterior.coords) == 4


def test_with_control_nothing_snaps_and_no_side_follows(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    for x, y in ((1510, 1000), (1000, 1515), (1000, 1000)):
        click(tool, x, y, free=True)
    tool.enter()
    assert only(desk).annotation.geometry.equals(shapely.Polygon([(1510, 1000), (1000, 1515), (1000, 1000)]))


def test_two_corners_alone_are_no_polygon_beside_tissue_either(desk, tissue):
    tool = BY_NAME["polygon"](desk)
    click(tool, 1000, 1000)
    click(tool, 1100, 1000)
    tool.enter()
    assert len(desk.document) == 0
    assert "three corners" in desk.told[0]


def test_freehand_follows_the_tissue_and_runs_round_no_lobe(desk):
    # Two lobes with a slit between them, narrower than the reach: one outline, a long way round each.
    lobes = box(0, 0, 1000, 1000).difference(box(498, 100, 502, 1000))
    desk.outline = Snapper(lobes, PixelSize(1, 1))
    drag(BY_NAME["freehand"](desk), (480, 990), (497, 700), (503, 650), (520, 980), (800, 800), (300, 900))
    drawn = only(desk).annotation.geometry
    assert drawn.length < 3000, "it ran round the slit"
    other = BY_NAME["freehand"](desk)
    drag(other, (1, 300), (2, 400), (-3, 500), (200, 400), free=False)
    left = desk.items[0].annotation.geometry
    assert left.boundary.intersection(lobes.boundary).length > 150


# -- lines and points ------------------------------------------------------------------------------------


def test_a_line_is_one_drag_or_many_clicks(desk):
    tool = BY_NAME["line"](desk)
    drag(tool, (0, 0), (30, 40))
    assert only(desk).annotation.geometry.equals(LineString([(0, 0), (30, 40)]))
    for place in ((0, 0), (100, 0), (100, 100)):
        click(tool, *place)
        tool.hover(at(120, 120))
    tool.double_click(at(100, 100))
    assert desk.document.objects()[1].annotation.geometry.length == 200
    click(tool, 0, 0)
    tool.enter()
    assert len(desk.document) == 2


def test_a_ruler_says_its_length_and_keeps_it(desk):
    tool = BY_NAME["measure"](desk)
    tool.press(at(0, 0))
    tool.drag(at(30, 40))
    assert tool.sketch.text == "25.0 µm"
    tool.release(at(30, 40))
    assert (only(desk).annotation.kind, only(desk).annotation.name) == ("measurement", "25.0 µm")


def test_an_arrow_has_its_head_where_the_drag_ends(desk):
    tool = BY_NAME["arrow"](desk)
    tool.press(at(0, 0))
    tool.drag(at(200, 0))
    _, head = tool.sketch.lines
    assert head[1] == pytest.approx((200, 0))
    assert (head[[0, 2], 0] < 200).all()
    tool.release(at(200, 0))
    drawn = only(desk).annotation
    assert drawn.kind == "arrow"
    assert list(drawn.geometry.coords) == [(0, 0), (200, 0)]


def test_each_click_is_a_point(desk):
    tool = BY_NAME["points"](desk)
    click(tool, 1, 2)
    click(tool, 3, 4)
    assert [item.annotation.geometry for item in desk.document.objects()] == [Point(1, 2), Point(3, 4)]


# -- painting --------------------------------------------------------------------------------------------


def test_a_stroke_is_one_step_and_goes_on_with_the_object_it_began_on(desk):
    tool = BY_NAME["brush"](desk)
    drag(tool, (0, 0), (100, 0), (200, 0))
    first = only(desk)
    assert first.annotation.geometry.area == pytest.approx(200 * 40 + np.pi * 400, rel=0.02)
    drag(tool, (200, 0), (200, 100))
    assert only(desk).id == first.id
    assert desk.document.undo_title == "add with brush"
    drag(tool, (0, 500), (50, 500))
    assert len(desk.document) == 2
    drag(tool, (200, 100), (200, 120))  # begun on an object that is not selected
    assert len(desk.document) == 2
    desk.document.undo()
    desk.select([first.id])
    drag(tool, (0, 300), (50, 300), add=True)
    assert len(desk.document) == 2
    assert shapely.get_num_geometries(desk.document[first.id].annotation.geometry) == 2
    for _ in range(4):
        desk.document.undo()
    assert len(desk.document) == 0


def test_a_stroke_of_another_class_is_another_object(desk):
    tool = BY_NAME["brush"](desk)
    drag(tool, (0, 0), (100, 0))
    desk.label = "stroma"
    desk.select([])
    drag(tool, (50, 0), (50, 100))
    assert [item.label for item in desk.document.objects()] == ["tumor", "stroma"]


def test_alt_and_the_eraser_take_away(desk):
    item = put(desk, box(0, 0, 100, 100))
    other = put(desk, box(100, 0, 200, 100), "stroma")
    drag(BY_NAME["brush"](desk), (50, 50), (50, 51), subtract=True)
    assert desk.document[item.id].annotation.geometry.area < 10_000
    assert shapely.get_num_interior_rings(desk.document[item.id].annotation.geometry) == 1
    eraser = BY_NAME["eraser"](desk)
    desk.select([item.id])
    drag(eraser, (50, 50), (150, 50))
    assert desk.document[other.id] == other
    desk.select([])
    drag(eraser, (150, 50), (160, 50))
    assert desk.document[other.id].annotation.geometry.area < 10_000
    desk.brush = Brush(500)
    drag(eraser, (100, 50), (101, 50))
    assert len(desk.document) == 0
    assert desk.document.undo_title == "erase"


def test_locked_objects_are_left_alone_and_that_is_told(desk):
    locked = put(desk, box(0, 0, 100, 100), locked=True)
    free = put(desk, box(50, 0, 150, 100), "stroma")
    drag(BY_NAME["eraser"](desk), (60, 50), (140, 50))
    assert desk.document[locked.id] == locked
    assert desk.document[free.id].annotation.geometry.area < 10_000
    assert desk.told == ["1 locked object was left alone"]
    desk.select([locked.id])
    drag(BY_NAME["rectangle"](desk), (0, 0), (10, 300), add=True)
    assert len(desk.errors) == 1
    assert desk.document[locked.id] == locked


def test_the_wand_takes_a_region_of_one_colour_at_the_level_shown(desk):
    picture = np.full((60, 80, 3), 240, np.uint8)
    picture[20:40, 10:50] = (180, 80, 150)
    desk.view = View(picture, (100.0, 200.0), (4.0, 4.0))
    tool = BY_NAME["wand"](desk)
    click(tool, 200 + 4 * 30, 100 + 4 * 30)
    shape = only(desk).annotation.geometry
    expected = box(240, 180, 400, 260)
    assert expected.buffer(4).covers(shape)  # a pixel of the picture is 4 px
    assert shape.covers(expected.buffer(-8))
    assert desk.document.undo_title == "draw with wand (colour)"


def test_the_wand_says_where_it_goes(desk):
    desk.view = View(np.full((60, 80, 3), 240, np.uint8), (100.0, 200.0), (4.0, 4.0))
    tool = BY_NAME["wand"](desk)
    drag(tool, (210, 110), (300, 200), (310, 210))
    assert desk.looked == [desk.view] * 2


def test_the_embedding_wand_takes_cells_and_tells_where_there_are_none(desk):
    tool = BY_NAME["similar"](desk)
    desk.similar = box(0, 0, 64, 64)
    click(tool, 10, 10)
    assert only(desk).annotation.geometry.equals(box(0, 0, 64, 64))
    desk.similar = None
    click(tool, 500, 500)
    desk.similar = AnnotationError("not compressed")
    click(tool, 500, 500)
    assert len(desk.document) == 1
    assert len(desk.errors) == 1


# -- cutting and selecting -------------------------------------------------------------------------------


def test_a_cut_divides_the_selected_objects_or_all_that_it_crosses(desk):
    one, other = put(desk, box(0, 0, 100, 100)), put(desk, box(200, 0, 300, 100), "stroma")
    tool = BY_NAME["split"](desk)
    desk.select([one.id])
    drag(tool, (-10, 50), (310, 50))
    assert len(desk.document) == 3
    assert len(desk.chosen) == 2
    desk.select([])
    drag(tool, (-10, 60), (310, 60))
    assert sum(item.label == "stroma" for item in desk.document.objects()) == 2
    assert sum(item.annotation.geometry.area for item in desk.document.objects()) == 20_000
    desk.select([other.id])
    drag(tool, (250, 110), (260, 120))
    assert "does not cut" in str(desk.errors[0]) or "cuts through no object" in str(desk.errors[0])


def test_a_click_selects_the_smallest_object_and_a_box_all_that_it_touches(desk):
    large, small = put(desk, box(0, 0, 100, 100)), put(desk, box(40, 40, 60, 60), "stroma")
    line = put(desk, LineString([(0, 200), (100, 200)]), kind="line")
    tool = BY_NAME["select"](desk)
    click(tool, 50, 50)
    assert desk.chosen == (small.id,)
    click(tool, 10, 10, add=True)
    assert desk.chosen == (small.id, large.id)
    click(tool, 50, 50, subtract=True)
    assert desk.chosen == (large.id,)
    click(tool, 50, 208)
    assert desk.chosen == (line.id,)
    click(tool, 500, 500)
    assert desk.chosen == ()
    drag(tool, (-10, -10), (20, 220))
    assert set(desk.chosen) == {large.id, line.id}


def test_hidden_classes_are_not_selected(desk):
    put(desk, box(0, 0, 100, 100))
    desk.document.set_classes("hide", [DrawingClass("tumor", (200, 0, 0), visible=False)])
    click(BY_NAME["select"](desk), 50, 50)
    assert desk.chosen == ()


def test_a_corner_of_the_selected_object_is_moved(desk):
    item = put(desk, box(0, 0, 100, 100), kind="rectangle")
    tool = BY_NAME["select"](desk)
    click(tool, 50, 50)
    drag(tool, (99, 99), (150, 150), (200, 200))
    moved = desk.document[item.id].annotation
    assert moved.geometry.equals(shapely.Polygon([(0, 0), (100, 0), (200, 200), (0, 100)]))
    assert moved.kind == "polygon"
    drag(tool, (0, 0), (300, 100))
    assert desk.document[item.id].annotation.geometry.is_valid


def test_the_index_follows_the_document(desk):
    items = [put(desk, box(20 * n, 0, 20 * n + 10, 10)) for n in range(1200)]
    index = ObjectIndex(desk.document)
    assert index.at((205, 5), 1)[0].id == items[10].id
    desk.document.remove("delete", *(item.id for item in items[10:700]))
    assert index.at((205, 5), 1) == []
    desk.document.undo()
    assert index.at((205, 5), 1)[0].id == items[10].id
    late = put(desk, box(200, 0, 209, 9))
    assert [item.id for item in index.touching(Point(205, 5))] == [late.id, items[10].id]
