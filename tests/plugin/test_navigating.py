"""Where one is on a slide, and how near: decided without a window."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.key_bindings import coerce_keybinding

from napari_nic.plugin.controllers.associated import AssociatedImages
from napari_nic.plugin.controllers.keys import Key, KeyMap
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tag_of


@pytest.fixture
def watch(viewer):
    made = SlideWatch(viewer)
    yield made
    made.close()


@pytest.fixture
def navigator(watch, runner, answers):
    watch.viewer.canvas.size = (400, 600)
    made = Navigator(watch, runner, answers)
    yield made
    made.close()


@pytest.fixture
def on_slide(navigator, slide_file, add_slide):
    """A navigator over the made slide, 1100 x 1500 px at 0.5 um/px."""
    add_slide(navigator.watch.viewer, slide_file)
    return navigator


def test_without_a_slide_nothing_is_known(navigator):
    assert navigator.magnification is None
    assert navigator.native is None
    assert navigator.field_of_view() is None
    assert navigator.center() is None
    navigator.magnify(20)
    navigator.look_at(5, 5)
    navigator.fit()


def test_magnification_is_set_and_told(on_slide):
    assert on_slide.native == 20
    for value in (1, 40, 2.5):
        on_slide.magnify(value)
        assert on_slide.magnification == pytest.approx(value)
    assert on_slide.watch.viewer.scene.camera.zoom == pytest.approx(1 / 4)  # 2.5x is 4 um on a pixel
    on_slide.show_native()
    assert on_slide.magnification == pytest.approx(20)


def test_the_field_of_view_is_what_the_canvas_shows(on_slide):
    on_slide.magnify(20)
    on_slide.look_at(550, 700)
    corners = on_slide.field_of_view()
    assert np.allclose(corners, [(350, 400), (350, 1000), (750, 1000), (750, 400)])
    assert on_slide.center() == pytest.approx((550, 700))
    on_slide.magnify(10)
    assert on_slide.center() == pytest.approx((550, 700)), "the middle stays"
    assert np.ptp(on_slide.field_of_view(), axis=0) == pytest.approx([800, 1200])


def test_places_are_corner_based(on_slide):
    on_slide.look_at(0, 0)
    assert on_slide.watch.viewer.scene.camera.center[-2:] == pytest.approx((-0.25, -0.25))


def test_keys_move_by_a_quarter_and_zoom_in_steps(on_slide):
    on_slide.magnify(20)
    on_slide.look_at(500, 500)
    on_slide.pan(1, -2)
    assert on_slide.center() == pytest.approx((600, 200))
    on_slide.zoom_by(2)
    assert on_slide.magnification == pytest.approx(20 * 1.25**2)


def test_the_thumbnail_follows_the_slide(on_slide, make_tiff, make_tissue, add_slide, tmp_path):
    first = on_slide.thumbnail.shape
    assert first[1] / first[0] == pytest.approx(1500 / 1100, rel=0.02)
    other = add_slide(
        on_slide.watch.viewer, make_tiff(tmp_path / "b.tif", make_tissue(300, 900), factors=(1,))
    )
    assert on_slide.thumbnail.shape == (200, 600, 3)
    other.visible = False
    first = on_slide.thumbnail.shape
    assert first[1] / first[0] == pytest.approx(1500 / 1100, rel=0.02)
    on_slide.watch.viewer.layers.clear()
    assert on_slide.thumbnail is None


def test_a_thumbnail_that_comes_too_late_is_dropped(
    navigator, runner, slide_file, add_slide, make_tiff, make_tissue, tmp_path
):
    viewer = navigator.watch.viewer
    runner.hold = True
    add_slide(viewer, slide_file)
    add_slide(viewer, make_tiff(tmp_path / "b.tif", make_tissue(300, 900), factors=(1,)))
    runner.finish()
    assert navigator.thumbnail.shape == (200, 600, 3)


def test_a_slide_of_unknown_size_has_no_magnification(navigator, unscaled_file, add_slide):
    add_slide(navigator.watch.viewer, unscaled_file)
    assert navigator.magnification is None
    zoom = navigator.watch.viewer.scene.camera.zoom
    navigator.magnify(20)
    assert navigator.watch.viewer.scene.camera.zoom == zoom
    navigator.show_native()
    assert navigator.watch.viewer.scene.camera.zoom == 1
    assert navigator.thumbnail is not None


def test_another_um_per_pixel_is_heard(session, unscaled_file, add_slide):
    watch, heard = SlideWatch(session.viewer), []
    add_slide(session.viewer, unscaled_file)
    watch.changed.connect(lambda: heard.append(watch.slide.pixel_size))
    session.set_pixel_size(0.25)
    assert heard
    assert heard[-1].mean == 0.25
    watch.close()


def test_a_slide_that_was_moved_is_followed(on_slide):
    on_slide.magnify(20)
    on_slide.watch.layer.translate = (1000, 0)
    on_slide.look_at(100, 100)
    assert on_slide.center() == pytest.approx((100, 100))
    assert on_slide.watch.viewer.scene.camera.center[-2] > 1000


def test_the_uppermost_visible_slide_is_the_one(watch, slide_file, unscaled_file, add_slide):
    one, two = (add_slide(watch.viewer, path) for path in (slide_file, unscaled_file))
    assert watch.layer is two
    two.visible = False
    assert watch.layer is one
    one.visible = False
    assert watch.slide is None
    one.visible = two.visible = True
    watch.viewer.layers.move(1, 0)
    assert watch.layer is one


class Labelled:
    """A slide with a label, as far as it is asked for one."""

    def __init__(self, *names: str) -> None:
        self.associated_images = names
        self.read: list[str] = []

    def read_associated(self, name: str) -> np.ndarray:
        self.read.append(name)
        return np.full((4, 6, 3), 9, np.uint8)


def test_a_label_is_read_when_asked_for_and_hidden_with_the_next_slide(
    watch, slide_file, add_slide, runner, answers
):
    layer = add_slide(watch.viewer, slide_file)
    patient = Labelled("label", "macro")
    tag_of(layer).slide, real = patient, tag_of(layer).slide
    layer.visible = False
    layer.visible = True
    images = AssociatedImages(watch, runner, answers)
    assert images.names == ("label", "macro")
    assert (images.picture, patient.read) == (None, [])
    images.show("label")
    assert images.picture.shape == (4, 6, 3)
    images.show("")
    assert images.picture is None
    images.show("macro")
    tag_of(layer).slide = real
    layer.visible = False
    layer.visible = True
    assert (images.shown, images.picture) == ("", None)
    images.close()


def test_a_label_that_cannot_be_read_is_told(watch, slide_file, add_slide, runner, answers):
    add_slide(watch.viewer, slide_file)
    images = AssociatedImages(watch, runner, answers)
    images.show("label")
    assert "no associated image" in str(answers.errors[0])
    assert images.shown == ""
    images.close()


class TestKeys:
    def test_keys_are_bound_and_given_back(self, viewer):
        pressed = []
        keys = KeyMap(viewer, [Key("Alt-1", "one", lambda: pressed.append(1))])
        assert [key.name for key in keys.bound] == ["Alt+1"]
        (action,) = viewer.keymap.values()
        action(viewer)
        assert pressed == [1]
        keys.close()
        assert viewer.keymap == {}

    def test_what_has_a_use_keeps_it(self, viewer, monkeypatch):
        viewer.bind_key("Alt-1", lambda _: None)
        monkeypatch.setitem(type(viewer).class_keymap, coerce_keybinding("Alt-2"), print)
        keys = KeyMap(viewer, [Key("Alt-1", "the user's", print), Key("Alt-2", "napari's own", print)])
        assert keys.bound == ()
        keys.close()
        assert len(viewer.keymap) == 1
