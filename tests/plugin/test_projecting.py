"""What is open becomes a project and comes back: decided without a window."""

from __future__ import annotations

import shutil

import pytest

from napari_nic.annotations import read_annotations
from napari_nic.errors import ProjectError
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.controllers.bookmarking import BOOKMARKS_SETTING, Bookmarks
from napari_nic.plugin.controllers.displaying import show
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.projecting import ProjectController
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.projects import open_project
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.settings import Settings
from napari_nic.viewing import Display, Project, Tone


@pytest.fixture
def projecting(viewer, runner, answers, settings):
    watch = SlideWatch(viewer)
    viewer.canvas.size = (300, 500)
    navigator = Navigator(watch, runner, answers)
    bookmarks = Bookmarks(navigator, settings)
    kinds: list[str] = []
    made = ProjectController(navigator, bookmarks, settings, answers, show_overlays=kinds.extend)
    made.navigator, made.marks, made.kinds = navigator, bookmarks, kinds
    yield made
    bookmarks.close()
    navigator.close()
    watch.close()


@pytest.fixture
def saved(projecting, slide_file, outlines_file, add_slide, make_tiff, make_tissue):
    """A project of two slides, the first one with annotations, seen in another tone, and a bookmark."""
    viewer, navigator = projecting.navigator.watch.viewer, projecting.navigator
    second = make_tiff(slide_file.with_name("second.tif"), make_tissue(300, 400), factors=(1,))
    add_slide(viewer, second).visible = False
    layer = add_slide(viewer, slide_file)
    outlines = shutil.move(outlines_file, slide_file.with_name("outlines.geojson"))
    add(viewer, annotation_layers(read_annotations(outlines), tag_of(layer).slide, "Outlines", outlines))
    show(layer, Display(Tone(gamma=1.5)))
    navigator.set_downsample(2)
    navigator.look_at(400, 500)
    projecting.marks.add("Gland")
    path = slide_file.with_name("study.nicproj")
    projecting.save(path)
    return path


def add(viewer, layers) -> None:
    for data, options, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **options)


def reopen(projecting, path):
    opened = open_project(path)
    viewer = projecting.navigator.watch.viewer
    viewer.layers.clear()
    add(viewer, opened.layers)
    projecting.restore(opened)
    return opened


def test_everything_comes_back(saved, projecting, answers):
    Settings().set(BOOKMARKS_SETTING, {})
    projecting._settings._values.clear()
    opened = reopen(projecting, saved)
    navigator = projecting.navigator
    assert navigator.slide.path.name == "made.tif"
    assert (navigator.downsample, navigator.center()) == (pytest.approx(2), pytest.approx((400, 500)))
    assert tag_of(navigator.watch.layer).look.display == Display(Tone(gamma=1.5))
    assert [mark.name for mark in projecting.marks.all] == ["Gland"]
    shown = {layer.name: layer.visible for layer in navigator.watch.viewer.layers}
    assert shown["second"] is False
    assert shown["outlines"] is True
    assert len([name for name in shown if name.startswith("outlines")]) >= 1
    assert opened.error() is None
    assert answers.errors == []
    close(opened)


def close(opened) -> None:
    for _, options, _ in opened.layers:
        options["metadata"]["napari_nic"].slide.close()


def test_a_folder_that_was_moved_opens_all_the_same(saved, projecting, tmp_path):
    moved = shutil.move(saved.parent, tmp_path / "moved")
    opened = reopen(projecting, moved / saved.name)
    assert projecting.navigator.slide.path == moved / "made.tif"
    assert opened.problems == []
    close(opened)


def test_what_is_missing_is_named_and_the_others_open(saved, projecting, answers):
    saved.with_name("second.tif").unlink()
    saved.with_name("outlines.geojson").unlink()
    opened = reopen(projecting, saved)
    assert projecting.navigator.slide.path.name == "made.tif"
    assert "second.tif: the slide is not there" in str(answers.errors[0])
    assert "outlines.geojson" in str(answers.errors[0])
    close(opened)


def test_another_slide_of_that_name_is_not_taken_for_it(saved, make_tiff, make_tissue):
    make_tiff(saved.with_name("second.tif"), make_tissue(300, 400, seed=9), factors=(1,))
    opened = open_project(saved)
    assert opened.problems == ["second.tif: another slide lies under this name"]
    close(opened)


def test_a_project_of_which_nothing_is_left_says_so(saved, tmp_path):
    lonely = shutil.move(saved, tmp_path / "lonely.nicproj")
    with pytest.raises(ProjectError, match="not everything of this project"):
        open_project(lonely)


def test_what_was_never_saved_is_told(projecting, slide_file, add_slide, answers, tmp_path):
    viewer = projecting.navigator.watch.viewer
    assert projecting.why_not() == "Open a slide first"
    add_slide(viewer, slide_file)
    viewer.add_shapes(name="drawn")
    projecting.save(tmp_path / "study")
    assert answers.notices == ["study.nicproj is written; not in it, since they lie in no file: drawn"]


def test_overlays_that_were_seen_are_asked_for(saved, projecting):
    from dataclasses import replace

    project = Project.read(saved)
    seen = replace(project.slides[project.seen], overlays=("pca",))
    slides = [*project.slides]
    slides[project.seen] = seen
    replace(project, slides=tuple(slides)).write(saved)
    opened = reopen(projecting, saved)
    assert projecting.kinds == ["pca"]
    close(opened)


def test_the_users_um_per_pixel_comes_back(projecting, unscaled_file, add_slide, tmp_path):
    viewer = projecting.navigator.watch.viewer
    layer = add_slide(viewer, unscaled_file)
    tag_of(layer).slide = tag_of(layer).slide.with_pixel_size(0.3)
    layer.visible = False
    layer.visible = True
    projecting.save(tmp_path / "p.nicproj")
    opened = reopen(projecting, tmp_path / "p.nicproj")
    assert projecting.navigator.slide.pixel_size.mean == pytest.approx(0.3)
    close(opened)


def test_the_reader_takes_a_project(saved):
    assert get_reader(str(saved)) is not None
