"""The session follows the viewer, finds stores, and asks for what a slide does not say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_nic.geometry import RegionPx
from napari_nic.plugin.controllers import session as module
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.opening import read_store
from napari_nic.plugin.readers import read_annotation_file


def test_nothing_is_open(session):
    assert session.slide is None
    assert session.describe_slide() == ""
    session.ask_pixel_size()
    session.find_store(any_encoder=True)
    assert session.store is None


def test_new_slide_is_chosen_and_described(opened):
    assert opened.slide.name == "made"
    assert opened.describe_slide().startswith("1,500 x 1,100 px, 0.5 \N{MICRO SIGN}m/px (")


def test_choice_follows_removal_and_activation(session, slide_file, add_slide):
    first = add_slide(session.viewer, slide_file)
    second = add_slide(session.viewer, slide_file)
    assert session.layer is second
    session.viewer.layers.selection.active = first
    assert session.layer is first
    session.viewer.layers.remove(first)
    assert session.layer is second
    session.viewer.layers.remove(second)
    assert session.slide is None


def test_the_slide_that_is_worked_on_is_the_one_that_is_seen(session, slide_file, add_slide, outlines_file):
    """All slides begin at one corner: another one would lie over it."""
    first = add_slide(session.viewer, slide_file)
    shapes, options, kind = read_annotation_file(outlines_file)[0]
    outlines = session.viewer._add_layer_from_data(shapes, options, kind)[0]
    points = session.viewer.add_points([[1, 2]])
    tag_of(outlines).slide = session.slide
    session.viewer.scene.camera.zoom = 20
    second = add_slide(session.viewer, slide_file)
    assert (first.visible, outlines.visible, second.visible, points.visible) == (False, False, True, True)
    assert session.viewer.scene.camera.zoom < 20
    session.look_at(first)
    assert session.layer is first
    assert (first.visible, outlines.visible, second.visible) == (True, True, False)
    session.viewer.scene.camera.zoom = 20
    first.visible = second.visible = True  # by their eyes, to compare them
    session.viewer.layers.selection.active = second
    assert (first.visible, second.visible, session.viewer.scene.camera.zoom) == (True, True, 20)


def test_a_copy_of_the_slides_layer_hides_nothing(opened):
    first = opened.layer
    data, options, kind = first.as_layer_data_tuple()
    opened.viewer._add_layer_from_data(data, options, kind)
    assert first.visible


def test_slides_that_were_open_before_the_dock(viewer, settings, answers, slide_file, add_slide):
    layer = add_slide(viewer, slide_file)
    session = Session(viewer, settings, answers)
    assert session.layer is layer
    session.close()


def test_other_layers_are_no_slides(opened):
    told = []
    opened.slides_changed.connect(lambda: told.append(1))
    opened.viewer.add_points([[1, 2]])
    assert not told
    assert opened.slide.name == "made"


def test_store_of_the_slide_is_found(session, slide_file, add_slide, compress_file):
    path = compress_file(slide_file).path
    add_slide(session.viewer, slide_file)
    assert session.store.path == path
    assert session.store.is_complete


def test_store_chooses_its_encoder(session, slide_file, add_slide, compress_file, monkeypatch):
    compress_file(slide_file)
    mean_rgb = session.spec
    other = type(mean_rgb)(**(mean_rgb.to_dict() | {"name": "other", "code_size": 7}))
    session.specs = (other, mean_rgb)
    session.spec = other
    add_slide(session.viewer, slide_file)
    assert session.spec is mean_rgb
    assert session.store is not None
    monkeypatch.setattr(module, "get_spec", lambda _: other)
    session.select_encoder("other")
    assert session.store is None
    assert session.new_store_path().name == "made.other.nic.zarr"


def test_store_of_another_slide_is_named_and_not_used(
    session, slide_file, add_slide, compress_file, make_tiff, make_tissue
):
    compress_file(slide_file)
    make_tiff(slide_file, make_tissue(500, 600, seed=5), factors=(1,))
    add_slide(session.viewer, slide_file)
    assert session.store is None
    assert "made.nic.zarr" in session.store_note
    assert "another slide" in session.store_note


def test_chosen_folder_is_used(opened, tmp_path, compress_file):
    assert opened.new_store_path().parent == opened.slide.path.parent
    opened.set_store_folder(tmp_path / "stores")
    assert opened.new_store_path() == tmp_path / "stores" / "made.nic.zarr"
    assert Session(opened.viewer, opened.settings, opened.asking).store_folder == tmp_path / "stores"
    compress_file(opened.slide.path)
    opened.find_store(any_encoder=True)
    assert opened.store is not None, "a store beside the slide is still found"


def test_unknown_pixel_size_is_asked_once_and_remembered(
    session, unscaled_file, add_slide, answers, outlines_file
):
    wanted = []
    session.pixel_size_wanted.connect(lambda: wanted.append(1))
    layer = add_slide(session.viewer, unscaled_file)
    (data, options, _), _ = read_annotation_file(outlines_file)
    shapes = session.viewer.add_shapes(data, **options)
    tag_of(shapes).slide = session.slide
    assert wanted == [1]
    assert session.describe_slide().endswith("not known")

    session.ask_pixel_size()
    session.ask_pixel_size()
    assert len(answers.questions) == 1
    assert "which cannot be" in answers.questions[0]
    assert session.slide.pixel_size is None

    answers.mpp = 0.25
    session.ask_pixel_size(again=True)
    assert session.slide.pixel_size.mean == 0.25
    assert tuple(layer.scale) == (0.25, 0.25)
    assert str(layer.units[0]) == "micrometer"
    assert tuple(shapes.scale) == (0.25, 0.25)
    assert tuple(shapes.translate) == (-0.125, -0.125)

    again = add_slide(session.viewer, unscaled_file)
    assert tuple(again.scale) == (0.25, 0.25)
    session.ask_pixel_size()
    assert len(answers.questions) == 2


def test_absurd_pixel_size_is_refused(session, unscaled_file, add_slide, answers):
    add_slide(session.viewer, unscaled_file)
    answers.mpp = 300.0
    session.ask_pixel_size()
    assert "out of range" in str(answers.errors[0])
    assert session.slide.pixel_size is None


def test_damaged_encoder_of_the_users_does_not_shut_the_dock(viewer, settings, answers, home):
    folder = home / "encoders" / "mine"
    folder.mkdir(parents=True)
    (folder / "encoder.json").write_text("{")
    session = Session(viewer, settings, answers)
    assert session.spec.name == "nic-default", "all others are there"
    assert len(answers.errors) == 1
    (folder / "encoder.json").unlink()
    session.reload_encoders()
    assert len(answers.errors) == 1
    session.close()


def test_partial_store_is_found_too(session, slide_file, add_slide, compress_file):
    compress_file(slide_file, first=RegionPx(0, 0, 10, 10))
    add_slide(session.viewer, slide_file)
    assert session.store is not None


@pytest.mark.parametrize("event", ["renamed"])
def test_renaming_is_told(opened, event):
    told = []
    opened.slides_changed.connect(lambda: told.append(1))
    opened.layer.name = "other"
    assert told


def test_colour_profile_can_be_left_out(session, profiled_file, add_slide, compress_file, outlines_file):
    layer = add_slide(session.viewer, profiled_file)
    store = compress_file(profiled_file)
    session.find_store(any_encoder=False)
    assert session.store.path == store.path
    assert store.header.color["applied"]
    converted = np.asarray(layer.data[0])
    told = []
    session.slide_changed.connect(lambda: told.append(session.slide.color.applied))

    session.set_color("raw")
    assert told == [False]
    assert session.layer is layer
    assert not np.array_equal(np.asarray(layer.data[0]), converted)
    assert session.store is None
    assert "made with the slide's colour profile" in session.store_note
    assert session.new_store_path() != store.path
    again = add_slide(session.viewer, profiled_file)
    assert not tag_of(again).slide.color.applied, "remembered"

    session.select(layer)
    session.set_color("srgb")
    assert np.array_equal(np.asarray(layer.data[0]), converted)
    assert session.store.path == store.path


def test_store_opens_with_the_colours_it_was_made_of(session, profiled_file, compress_file):
    store = compress_file(profiled_file)
    session.set_color("raw")
    (_, options, _), _ = read_store(store.path)
    with tag_of(SimpleNamespace(metadata=options["metadata"])).slide as slide:
        assert slide.color.applied


def test_what_a_reader_wants_known_is_told_once(opened, answers):
    slide, layer = opened.slide, opened.layer
    slide.notices = ("the header says RGB, the JPEG says YCbCr",)
    for _ in range(2):
        opened.select(None)
        opened.select(layer)
    assert answers.notices == [f"{slide.name}: the header says RGB, the JPEG says YCbCr"]


@pytest.mark.gui
def test_what_is_to_be_known_of_a_slide_stays_in_the_dock(with_slide):
    """A notice in the corner is gone after some seconds."""
    _, dock = with_slide
    section = dock.slide_section
    assert section.notices.isHidden()
    dock.session.slide.notices = ("the header contradicts the pixels", "plane 3 of 7 is shown")
    section.refresh()
    assert section.notices.text() == "The header contradicts the pixels\nPlane 3 of 7 is shown"
    assert not section.notices.isHidden()
    dock.session.select(None)
    assert section.notices.isHidden()
