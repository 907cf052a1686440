"""Bookmarks, the next slide, slides of a folder: decided without a window."""

from __future__ import annotations

import shutil

import pytest

from napari_nic.plugin.controllers.bookmarking import Bookmarks, bookmarks_of
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.slide_list import SlideList
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.opening import holds_slides, slides_in
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.settings import Settings


@pytest.fixture
def watch(viewer):
    made = SlideWatch(viewer)
    yield made
    made.close()


@pytest.fixture
def navigator(watch, runner, answers):
    made = Navigator(watch, runner, answers)
    yield made
    made.close()


@pytest.fixture
def bookmarks(navigator, settings, slide_file, add_slide):
    add_slide(navigator.watch.viewer, slide_file)
    made = Bookmarks(navigator, settings)
    yield made
    made.close()


class TestBookmarks:
    def test_a_place_is_found_again_as_near_as_it_was(self, bookmarks, navigator):
        navigator.magnify(40)
        navigator.look_at(300, 400)
        bookmarks.add("Mitosis")
        navigator.fit()
        bookmarks.go_to(0)
        assert navigator.center() == pytest.approx((300, 400))
        assert navigator.magnification == pytest.approx(40)

    def test_next_and_previous_go_round(self, bookmarks, navigator):
        for x in (100, 200, 300):
            navigator.look_at(50, x)
            bookmarks.add()
        assert [mark.name for mark in bookmarks.all] == ["Place 1", "Place 2", "Place 3"]
        seen = []
        for by in (1, 1, -1, -1):
            bookmarks.step(by)
            seen.append(round(navigator.center()[1]))
        assert seen == [100, 200, 100, 300]

    def test_names_and_removal(self, bookmarks):
        bookmarks.add()
        bookmarks.add()
        bookmarks.rename(0, "  Gland\n2 ")
        bookmarks.rename(1, "   ")
        assert [mark.name for mark in bookmarks.all] == ["Gland 2", "Place 2"]
        bookmarks.remove(0)
        bookmarks.add()
        assert [mark.name for mark in bookmarks.all] == ["Place 2", "Place 1"]
        bookmarks.remove(7)
        bookmarks.go_to(-1)

    def test_they_belong_to_the_slide_wherever_it_lies(
        self, bookmarks, navigator, slide_file, add_slide, tmp_path, make_tiff, make_tissue
    ):
        bookmarks.add("here")
        viewer = navigator.watch.viewer
        viewer.layers.clear()
        assert bookmarks.all == ()
        add_slide(viewer, make_tiff(tmp_path / "b.tif", make_tissue(300, 400), factors=(1,)))
        assert bookmarks.all == ()
        moved = shutil.move(slide_file, tmp_path / "moved.tif")
        add_slide(viewer, moved)
        assert [mark.name for mark in bookmarks.all] == ["here"]

    def test_what_is_damaged_in_the_settings_is_left_out(self, bookmarks, navigator):
        bookmarks.add("good")
        settings, fingerprint = Settings(), navigator.slide.fingerprint
        known = settings.get("bookmarks")
        settings.set("bookmarks", {fingerprint: [{"name": 3}, *known[fingerprint], "x"]})
        assert [mark.name for mark in bookmarks_of(fingerprint, Settings())] == ["good"]
        settings.set("bookmarks", [1])
        assert bookmarks_of(fingerprint, Settings()) == ()

    def test_a_slide_without_pixel_size_has_them_too(self, navigator, settings, unscaled_file, add_slide):
        add_slide(navigator.watch.viewer, unscaled_file)
        marks = Bookmarks(navigator, settings)
        navigator.set_downsample(2)
        marks.add()
        navigator.fit()
        marks.go_to(0)
        assert navigator.downsample == pytest.approx(2)
        marks.close()

    def test_without_a_slide_there_are_none(self, navigator, settings):
        marks = Bookmarks(navigator, settings)
        marks.add()
        marks.step(1)
        assert marks.all == ()
        assert marks.why_not() == "Open a slide first"
        marks.close()


@pytest.fixture
def folder(slide_file):
    """Four slides, a picture of codes, a store and a text in a folder; two more in the folders below it."""
    place = slide_file.parent
    for name in ("slide 10.tif", "slide 2.tif", ".hidden.tif"):
        shutil.copy(slide_file, place / name)
    (place / "notes.txt").write_text("x")
    (place / "made.nic.zarr").mkdir()
    for inner in ("case", "case/deeper"):
        (place / inner).mkdir()
        shutil.copy(slide_file, place / inner / "inner.tif")
    return place


@pytest.fixture
def slides(watch, settings, answers, add_slide):
    chosen = []
    made = SlideList(
        watch,
        settings,
        answers,
        open_slide=lambda path: add_slide(watch.viewer, path) if path.exists() else None,
        choose=lambda _, paths: [paths[number] for number in chosen],
    )
    made.chosen_numbers = chosen
    yield made
    made.close()


class TestSlides:
    def test_a_folder_lists_its_slides_as_people_count(self, folder):
        names = [path.relative_to(folder).as_posix() for path in slides_in(folder)]
        assert names == ["made.tif", "slide 2.tif", "slide 10.tif", "case/inner.tif"]
        assert holds_slides(folder)
        assert holds_slides(folder / "case" / "deeper")
        assert not holds_slides(folder / "made.nic.zarr")

    def test_next_and_previous_in_the_folder_of_the_slide(self, slides, folder, answers):
        slides.open(folder / "made.tif")
        assert slides.describe() == "1 of 3: made.tif"
        slides.step(1)
        assert slides.path.name == "slide 2.tif"
        slides.step(1)
        assert slides.describe() == "3 of 3: slide 10.tif"
        slides.step(1)
        assert answers.notices == ["This is the last slide"]
        slides.step(-1)
        assert slides.path.name == "slide 2.tif"

    def test_what_was_only_stepped_over_is_closed_and_what_was_opened_stays(self, slides, folder, watch):
        slides.open(folder / "made.tif")
        slides.step(1)
        slides.step(1)
        assert [layer.name for layer in watch.slide_layers] == ["made", "slide 10"]

    def test_what_was_drawn_on_stays(self, slides, folder, watch):
        slides.open(folder / "made.tif")
        slides.step(1)
        drawn = watch.viewer.add_shapes(name="drawn")
        drawn.metadata["napari_nic"] = type(tag_of(watch.layer))("annotations", watch.slide)
        slides.step(1)
        assert "slide 2" in [layer.name for layer in watch.slide_layers]

    def test_a_folder_is_chosen_from_and_stepped_through(self, slides, folder, watch):
        slides.chosen_numbers[:] = [1, 3]
        slides.open_folder(folder)
        assert len(watch.slide_layers) == 2
        assert slides.describe() == "2 of 4: slide 2.tif"
        slides.step(1)
        slides.step(1)
        assert slides.path.name == "inner.tif"

    def test_a_folder_without_slides_says_so(self, slides, tmp_path, answers):
        slides.open_folder(tmp_path)
        assert "no slides" in answers.notices[0]

    def test_a_slide_that_cannot_be_opened_leaves_all_as_it_was(self, slides, folder, watch):
        slides.open(folder / "made.tif")
        slides.open(folder / "gone.tif")
        assert slides.path.name == "made.tif"
        assert len(watch.slide_layers) == 1

    def test_recent_slides_the_last_one_first(self, slides, folder):
        for name in ("made.tif", "slide 2.tif", "made.tif"):
            slides.open(folder / name)
        assert [path.name for path in slides.recent] == ["made.tif", "slide 2.tif"]
        Settings().set("recent_slides", "rubbish")

    def test_alone_in_its_folder(self, slides, slide_file):
        assert slides.why_not(1) == "Open a slide first"
        slides.open(slide_file)
        assert slides.why_not(1) == "No other slide lies in this folder"


def test_the_reader_takes_a_folder_of_slides_and_no_other(folder, tmp_path):
    assert get_reader(str(folder)) is not None
    assert get_reader(str(folder / "case" / "deeper")) is not None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert get_reader(str(empty)) is None
