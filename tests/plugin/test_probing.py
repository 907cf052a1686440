"""Learning while drawing, without a window: strokes come and go, and the map follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_nic.annotations import read_annotations
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions
from napari_nic.plugin import probe_job
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.probe_files import ProbeFiles
from napari_nic.plugin.controllers.probing import NO_STORE, ProbeController
from napari_nic.plugin.controllers.stroke_tools import take_up
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.layers import to_slide_um
from napari_nic.plugin.probe_texts import accuracy_text, class_lines, opened_text, recall_lines, warning_lines
from napari_nic.probe import Learner, load_probe

EVERY_CELL = GridOptions(min_tissue=0, stride=32)


@pytest.fixture
def desk(session, runner) -> Iterator[SimpleNamespace]:
    tissue = TissueController(session, runner)
    compressing = CompressController(session, runner, tissue)
    overlays = OverlayController(session, compressing, ModelController(session), runner)
    annotating = AnnotationController(session, overlays, runner)
    yield SimpleNamespace(session=session, annotating=annotating, overlays=overlays, compressing=compressing)
    annotating.close()
    overlays.close()


@pytest.fixture
def compressed(desk, slide_file, compress_file, add_slide) -> SimpleNamespace:
    """The slide, all of it compressed, glass too."""
    compress_file(slide_file, options=EVERY_CELL)
    add_slide(desk.session.viewer, slide_file)
    return desk


@pytest.fixture
def learning(runner):
    """A runner of the dock's own, as the window has it."""
    made = type(runner)()
    yield made
    made.shutdown()


@pytest.fixture
def probing(desk, learning) -> Iterator[ProbeController]:
    """One that learns at once, as the dock has it learn when the mouse rests."""
    made = ProbeController(desk, learning)
    made.drawn.connect(made.learn)
    yield made
    made.close()


def tissue_cells(desk: SimpleNamespace) -> np.ndarray:
    """Cells that are clearly darker than glass, (n, 2)."""
    codes = desk.session.store.read().astype(float)
    return codes.mean(axis=2) < codes.mean(axis=2).max() - 0.15


def stroke(desk: SimpleNamespace, label: str, cell: tuple[int, int], length: int = 3) -> None:
    """Draw a line over some cells of a row."""
    layer = take_up("line", label, desk.session, desk.annotating)
    row, col = cell
    ends = [(row + 0.5, col + 0.1), (row + 0.5, col + length - 0.1)]
    layer.add_paths(np.array([in_px(desk, *end) for end in ends]))


def in_px(desk: SimpleNamespace, row: float, col: float) -> tuple[float, float]:
    """Level-0 pixels of a place in cells."""
    y, x = desk.session.store.grid.placement.corner_um(row, col)
    return y / 0.5, x / 0.5


def region(desk: SimpleNamespace, row: int, col: int, rows: int, cols: int) -> RegionPx:
    """Some whole cells."""
    (top, left), (bottom, right) = in_px(desk, row, col), in_px(desk, row + rows, col + cols)
    return RegionPx(int(top), int(left), int(bottom - top), int(right - left))


def places(desk: SimpleNamespace) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Three places of tissue and three of glass, where three cells in a row are alike."""
    tissue = tissue_cells(desk)
    alike = [
        list(map(tuple, np.argwhere(mask[:, :-2] & mask[:, 1:-1] & mask[:, 2:])))
        for mask in (tissue, ~tissue)
    ]
    chosen = [[cells[int(share * (len(cells) - 1))] for share in (0.1, 0.5, 0.9)] for cells in alike]
    return chosen[0], chosen[1]


def draw_all(desk: SimpleNamespace) -> None:
    for tissue, glass in zip(*places(desk), strict=True):
        stroke(desk, "tissue", tissue)
        stroke(desk, "glass", glass)


def test_three_strokes_of_each_class_paint_the_whole_slide(compressed, probing):
    draw_all(compressed)
    found = probing.learned.found
    labels = np.array(found.probe.class_names)[found.raster()]
    tissue = tissue_cells(compressed)
    assert (labels[tissue] == "tissue").mean() > 0.8
    assert (labels[~tissue] == "glass").mean() > 0.8
    layer = probing.stack.layer("probe")
    assert layer.visible
    assert np.asarray(layer.data).shape == found.raster().shape
    assert not np.isnan(layer.data).any(), "every cell has a class"
    assert [line for line, _ in class_lines(probing.learned)] == [
        "glass: 3 strokes, 9 cells",
        "tissue: 3 strokes, 9 cells",
    ]


def test_one_class_says_what_is_missing(compressed, probing):
    assert probing.why_not() == "Draw a few strokes of each class"
    stroke(compressed, "tissue", places(compressed)[0][0])
    assert probing.why_not() == "Draw strokes of two classes or more; so far: tissue"
    assert probing.stack.layer("probe") is None


def test_without_codes_it_says_so(desk, probing, slide_file, add_slide):
    assert probing.why_not() == "Open a slide first"
    add_slide(desk.session.viewer, slide_file)
    assert probing.why_not() == NO_STORE


def test_a_stroke_that_is_taken_back_is_forgotten(compressed, probing):
    tissue, glass = places(compressed)
    stroke(compressed, "tissue", tissue[0])
    stroke(compressed, "glass", glass[0])
    before = probing.learned
    stroke(compressed, "tissue", glass[1])
    assert probing.learned is not before
    layer = compressed.annotating.layers()[0]
    layer.selected_data = {2}
    layer.remove_selected()
    np.testing.assert_allclose(
        probing.learned.trained.probe.weights, before.trained.probe.weights, rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(probing.learned.found.classes, before.found.classes)


def test_another_class_for_a_shape_is_learned(compressed, probing):
    tissue, glass = places(compressed)
    stroke(compressed, "tissue", tissue[0])
    stroke(compressed, "tissue", glass[0])
    assert probing.learned.why_not
    layer = compressed.annotating.layers()[0]
    layer.selected_data = {1}
    compressed.annotating.set_class("glass")
    assert probing.learned.why_not == ""
    assert set(probing.learned.counts) == {"glass", "tissue"}


def test_cells_in_view_are_painted_first(compressed, probing, learning, monkeypatch):
    draw_all(compressed)
    seen = region(compressed, 4, 6, 5, 7)
    monkeypatch.setattr(probing, "_visible", lambda: seen)
    probing.learned = None
    learning.hold = True
    stroke(compressed, "tissue", places(compressed)[0][1], length=1)
    report = learning.step()
    known = report.found.raster() != 255
    assert known.sum() == 35
    assert known[4:9, 6:13].all()
    learning.finish()
    assert (probing.learned.found.raster() != 255).all()


def test_a_newer_stroke_overtakes_what_runs(compressed, probing, learning, monkeypatch):
    draw_all(compressed)
    seen = region(compressed, 4, 6, 1, 1)
    monkeypatch.setattr(probing, "_visible", lambda: seen)
    learning.hold = True
    tissue, glass = places(compressed)
    stroke(compressed, "tissue", tissue[1], length=1)
    learning.step()
    stroke(compressed, "glass", glass[1], length=1)
    assert len(learning.waiting) == 1, "one job at a time"
    assert learning.waiting[0][0].token.cancelled
    learning.finish()
    assert probing.learned.counts["glass"][0] == 4
    assert not probing.is_busy


def test_what_is_learned_is_what_a_learner_of_the_same_strokes_learns(compressed, probing):
    draw_all(compressed)
    learned = probing.learned
    slide, _ = probing.pupil.look_at(compressed.session.store, None)
    again = Learner()
    again.set_strokes(slide, learned.strokes)
    trained = again.train(learned.colors)
    np.testing.assert_allclose(learned.trained.probe.weights, trained.probe.weights, rtol=1e-4, atol=1e-4)
    assert learned.trained.check.accuracy == trained.check.accuracy


def test_accuracy_and_warnings_are_told(compressed, probing):
    draw_all(compressed)
    check = probing.learned.trained.check
    assert accuracy_text(probing.learned) == (
        f"Accuracy {check.accuracy:.0%}, each of 6 strokes left out in turn. "
        f"Nearest class mean (SimpleShot): {check.floor:.0%}."
    )
    assert check.accuracy > 0.8
    assert f"glass: {check.recall['glass']:.0%} of its cells" in recall_lines(probing.learned)
    assert any("one slide" in line for line in warning_lines(probing.learned))
    assert accuracy_text(None) == recall_lines(None) == ""
    assert warning_lines(None) == class_lines(None) == ()


def test_map_or_uncertainty_with_its_legend(compressed, probing):
    draw_all(compressed)
    assert [name for name, _ in probing.legend().swatches] == ["glass", "tissue"]
    probing.set_shown("uncertainty")
    assert probing.legend().bar.high_means == "no idea"
    layer = probing.stack.layer("probe")
    assert np.nanmax(layer.data) <= 1
    probing.set_opacity(0.3)
    assert layer.opacity == pytest.approx(0.3)
    probing.show(False)
    assert not layer.visible
    assert probing.legend() is None
    probing.show(True)
    assert layer.visible


def test_overlays_give_way_to_each_other(compressed, probing):
    draw_all(compressed)
    compressed.overlays.show("pca", True)
    assert not probing.is_shown
    assert not probing.wanted
    probing.show(True)
    assert probing.is_shown
    assert not compressed.overlays.state("pca").shown


def test_the_least_certain_place_comes_into_view_another_one_each_time(compressed, probing):
    draw_all(compressed)
    first = probing.go_to_least_certain()
    camera = compressed.session.viewer.scene.camera
    y, x = to_slide_um(camera.center, compressed.session.slide)
    placement = compressed.session.store.grid.placement
    assert placement.index_at(y, x) == pytest.approx((first[0] + 0.5, first[1] + 0.5))
    second = probing.go_to_least_certain()
    assert np.hypot(*np.subtract(first, second)) > 3
    labelled = np.concatenate([s.cells for s in probing.learned.strokes])
    assert min(np.hypot(*(labelled - first).T)) > 3


def test_glass_that_is_not_compressed_cannot_be_learned_from_and_it_says_so(
    desk, probing, slide_file, compress_file, add_slide
):
    compress_file(slide_file)
    add_slide(desk.session.viewer, slide_file)
    encoded = desk.session.store.encoded()
    row, col = np.argwhere(~encoded)[0]
    stroke(desk, "glass", (row, col), length=1)
    assert any("not compressed" in line and "glass 1" in line for line in warning_lines(probing.learned))


def test_when_told_not_to_it_learns_nothing(compressed, probing):
    probing.set_live(False)
    draw_all(compressed)
    assert probing.learned is None
    probing.set_live(True)
    assert probing.learned.found is not None


def test_slides_are_learned_from_together(
    compressed, probing, tmp_path, compress_file, add_slide, make_tiff, make_tissue
):
    draw_all(compressed)
    (tmp_path / "other").mkdir()
    other = make_tiff(tmp_path / "other" / "other.tif", make_tissue(700, 900, seed=3), factors=(1,))
    compress_file(other, options=EVERY_CELL)
    add_slide(compressed.session.viewer, other)
    assert probing.learned.slides == ("made",)
    assert probing.other_slides() == ("made",)
    assert probing.learned.found is not None, "what was learned on the first slide is shown on this one"
    stroke(compressed, "tissue", places(compressed)[0][0])
    assert probing.learned.slides == ("made", "other")
    assert not any("one slide" in line for line in warning_lines(probing.learned))
    probing.forget_others()
    assert probing.other_slides() == ()
    assert probing.learned.slides == ("other",)


def test_strokes_of_another_encoder_are_refused_until_they_are_forgotten(compressed, probing):
    draw_all(compressed)
    learner, (slide, _) = probing.pupil.learner, probing.pupil.look_at(compressed.session.store, None)
    strokes = learner.strokes_on(slide.key)
    learner.forget_slide(slide.key)
    other = {**slide.encoder, "weights_sha256": "f" * 64}
    learner.set_strokes(replace(slide, name="older", key="sha256:older", encoder=other), strokes)
    stroke(compressed, "tissue", places(compressed)[0][1], length=1)
    assert "slides of two encoders cannot be learned from together" in probing.why_not()
    assert probing.stack.layer("probe") is None, "nothing is shown that was not learned"
    assert probing.can_forget_others()
    probing.forget_others()
    assert probing.why_not() == ""
    assert probing.learned.slides == ("made",)


def test_a_probe_is_saved_and_read_again(compressed, probing, answers, runner, tmp_path):
    draw_all(compressed)
    files = ProbeFiles(answers, runner)
    probe = probing.learned.trained.probe
    assert files.save(probe, tmp_path / "mine")
    np.testing.assert_array_equal(load_probe(tmp_path / "mine").weights, probe.weights)
    assert not files.save(probe, tmp_path / "mine"), "the user would not replace it"
    answers.agree = True
    assert files.save(probe, tmp_path / "mine")


def test_a_probe_that_was_saved_is_opened_and_strokes_wait(compressed, probing, answers, runner, tmp_path):
    draw_all(compressed)
    probing.learn()
    probe, before = probing.learned.trained.probe, probing.learned.found.raster()
    files = ProbeFiles(answers, runner)
    files.save(probe, tmp_path / "mine")
    assert files.open(tmp_path) is None
    assert "holds no probe" in str(answers.errors[-1])
    for item in compressed.annotating.documents.document.objects():
        compressed.annotating.documents.document.remove("delete", item.id)
    probing.learn()
    assert probing.learned.found is None
    probing.open_probe(files.open(tmp_path / "mine"))
    assert (probing.learned.found.raster() == before).all()
    assert probing.is_shown
    assert probing.why_not() == ""
    assert [name for name, _ in class_lines(probing.learned)] == list(probe.class_names)
    assert probing.learned.trained is None, "it was not learned here"
    assert "each left out in turn" in opened_text(probing.opened)
    draw_all(compressed)
    probing.learn()
    assert probing.learned.counts == {}, "strokes teach nothing meanwhile"
    probing.open_probe(None)
    assert set(probing.learned.counts) == set(probe.class_names)
    assert opened_text(probing.opened) == ""


def test_a_probe_of_another_encoder_says_so(compressed, probing, answers, runner, tmp_path):
    draw_all(compressed)
    probing.learn()
    probe = probing.learned.trained.probe
    encoder = {**probe.card.encoder, "weights_sha256": "f" * 64}
    other = replace(probe, card=replace(probe.card, encoder=encoder))
    probing.open_probe(other)
    assert "another encoder" in probing.why_not()
    assert not probing.is_shown
    probing.open_probe(None)
    assert probing.is_shown


def test_outlines_are_written_without_specks(compressed, probing, answers, runner, tmp_path):
    draw_all(compressed)
    files = ProbeFiles(answers, runner)
    files.least_mm2 = 0.002
    files.export(probing.learned.found, tmp_path / "a.geojson")
    assert answers.errors == []
    assert answers.notices[-1].startswith("Saved a.geojson: glass 0.")
    written = read_annotations(tmp_path / "a.geojson")
    assert set(written.labels()) == {"glass", "tissue"}
    assert min(shape.geometry.area for shape in written.annotations) * 0.25 / 1e6 >= 0.002
    assert json.loads((tmp_path / "a.geojson").read_text("utf-8"))["type"] == "FeatureCollection"


def test_with_many_cells_the_picture_does_not_wait_for_the_test(compressed, probing, learning, monkeypatch):
    draw_all(compressed)
    tested = probing.learned.trained
    monkeypatch.setattr(probe_job, "SOON_TESTED", 5)
    learning.hold = True
    stroke(compressed, "tissue", places(compressed)[0][1], length=1)
    report = learning.step()
    assert report.found is not None
    assert report.trained is tested, "accuracy stays that of the strokes before until it is known"
    soon = report.found.classes.copy()
    learning.finish()
    assert probing.learned.trained is not tested
    np.testing.assert_array_equal(probing.learned.found.classes, soon)
