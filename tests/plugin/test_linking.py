"""The second view, linked and aligned: decided without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_nic.plugin.controllers.linking import LinkedView
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tag_of


class Screen:
    """A second view without a window."""

    def __init__(self) -> None:
        self.model = ViewerModel()
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def linking(viewer, answers):
    watch, screens = SlideWatch(viewer), []

    def make() -> Screen:
        screens.append(Screen())
        return screens[-1]

    made = LinkedView(watch, answers, make)
    made.watch, made.screens = watch, screens
    yield made
    made.close()
    watch.close()


@pytest.fixture
def opened(linking, viewer, slide_file, add_slide):
    """The made slide in both views."""
    layer = add_slide(viewer, slide_file)
    linking.open(tag_of(layer).slide)
    return linking


@pytest.fixture
def two(opened, viewer, make_tiff, make_tissue, add_slide, tmp_path):
    """Another slide in the second view; the first one still shows the made slide."""
    other = add_slide(viewer, make_tiff(tmp_path / "b.tif", make_tissue(900, 900), factors=(1,)))
    other.visible = False
    opened.open(tag_of(other).slide)
    return opened


def cameras(linking):
    return linking.watch.viewer.scene.camera, linking.screens[-1].model.scene.camera


def test_both_views_move_and_zoom_together(opened):
    first, second = cameras(opened)
    first.center, first.zoom = (0, 100, 200), 3
    assert (second.center, second.zoom) == (first.center, 3)
    second.center, second.zoom = (0, 50, 60), 0.5
    assert (first.center, first.zoom) == (second.center, 0.5)


def test_unlinked_each_moves_by_itself(opened):
    first, second = cameras(opened)
    opened.set_linked(False)
    before = second.center
    first.center = (0, 1, 2)
    assert second.center == before


def test_the_same_slide_is_linked_where_it_is(opened):
    first, second = cameras(opened)
    opened.set_linked(False)
    opened.set_linked(True)
    assert opened.alignment is None
    assert second.center == first.center


def test_linking_keeps_together_what_is_in_the_middle(two):
    first, second = cameras(two)
    two.set_linked(False)
    first.center, second.center = (0, 100, 100), (0, 40, 300)
    second.zoom = first.zoom = 2
    two.set_linked(True)
    assert two.alignment.kind == "translation"
    assert second.center == first.center
    assert np.allclose(two.layer.data_to_world((40 / 0.5, 300 / 0.5)), (100, 100))
    first.center = (0, 110, 100)
    assert np.allclose(second.center[-2:], (110, 100))


def add_places(two, pairs) -> None:
    first, second = cameras(two)
    two.set_linked(False)
    for here, there in pairs:
        first.center, second.center = (0, *here), (0, *there)
        two.add_landmark()


def test_three_places_lay_a_turned_section_on_the_first(two):
    """A quarter turn and a shift: (y, x) of the second becomes (x + 10, 400 - y)."""
    pairs = [((x + 10, 400 - y), (y, x)) for y, x in ((20, 30), (300, 50), (150, 280))]
    add_places(two, pairs)
    two.fit()
    assert two.linked
    assert two.alignment.residual_um == pytest.approx(0, abs=1e-6)
    for here, there in pairs:
        assert np.allclose(two.layer.data_to_world(np.array(there) / 0.5), here)
    assert "3 landmarks, turned by" in two.describe()
    assert "residual 0.0 µm" in two.describe()


def test_places_are_taken_where_the_section_lies_now(two):
    """After a first alignment more places may be added: they are those of the slide, not of the screen."""
    pairs = [((y + 50, x + 70), (y, x)) for y, x in ((20, 30), (300, 50))]
    add_places(two, pairs)
    two.fit()
    two.set_linked(False)
    first, second = cameras(two)
    first.center = second.center = (0, 150 + 50, 280 + 70)
    two.add_landmark()
    assert two.landmarks[-1] == (pytest.approx((200, 350)), pytest.approx((150, 280)))


def test_a_residual_is_told_and_too_few_places_too(two, answers):
    two.fit()
    assert "too few landmarks" in str(answers.errors[0])
    add_places(two, [((0, 0), (0, 0)), ((100, 0), (100, 0)), ((0, 106), (0, 100))])
    two.fit()
    assert two.alignment.residual_um > 1
    assert "residual" in two.describe()
    two.kind = "affine"
    two.fit()
    assert "how well they agree is not known" in two.describe()
    two.remove_landmark()
    assert len(two.landmarks) == 2


def test_closing_leaves_nothing(opened):
    screen = opened.screens[-1]
    opened.close_view()
    assert screen.closed
    assert not screen.model.layers
    assert not opened.is_open
    opened.watch.viewer.scene.camera.zoom = 7
    assert screen.model.scene.camera.zoom != 7


def test_a_slide_that_goes_takes_its_second_view_with_it(opened, viewer):
    viewer.layers.clear()
    assert not opened.is_open
    assert opened.choices() == []


def test_the_slide_that_is_seen_comes_first(two):
    assert [slide.name for slide in two.choices()] == ["made", "b"]
    assert two.slide.name == "b"
