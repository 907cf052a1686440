"""The cohort browser: the list, the slide that a click opens, and which model speaks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from napari_nic.cohorts import Absent, Cohort, CohortSlide, Fold, Plan
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, write_scores
from napari_nic.cohorts.training import run_folder
from napari_nic.plugin.controllers.cohort import COLUMNS, CohortController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.slide_models import ModelBundle

NAMES = ("made", "other", "gone")
FOLDS = (Fold(1, (1,), (2,), (0,)), Fold(2, (0,), (2,), (1,)))
PREDICTION = COLUMNS.index("Prediction")


@pytest.fixture
def trained(tmp_path: Path, slide_file: Path, make_tiff, make_tissue, compress_file, bundle_folder) -> Path:
    """A training: two slides, each predicted by the model that the other taught, and one that is gone."""
    files = [slide_file, slide_file.with_name("other.tif"), slide_file.with_name("gone.tif")]
    make_tiff(files[1], make_tissue(400, 500, seed=2), factors=(1,))
    stores = [compress_file(file).path for file in files[:2]] + [slide_file.with_name("gone.nic.zarr")]
    slides = tuple(
        CohortSlide(name, store, f"case {name}", float(name != "other"), picture=file)
        for name, store, file in zip(NAMES, stores, files, strict=True)
    )
    cohort = Cohort("classification", ("normal", "lesion"), slides)
    out = tmp_path / "models"
    Plan(cohort, FOLDS, {"name": "m"}).save(out)
    rows = [
        ScoredSlide(s.name, s.case, fold, 0, s.label, True, s.size, 8, scores, (0.1, 0.1))
        for s, fold, scores in ((slides[0], 1, (0.2, 0.8)), (slides[1], 2, (0.4, 0.6)))
    ]
    write_scores(out / PREDICTIONS_FILE, rows, cohort.class_names)
    bundle = ModelBundle.load(bundle_folder)
    for fold in FOLDS:
        card = replace(bundle.card, name=f"m-fold{fold.number}")
        replace(bundle, card=card).save(run_folder(out, fold.number, 0))
    return out


class Desk:
    """The parts of the NIC dock that the browser works with."""

    def __init__(self, session, runner) -> None:
        self.session = session
        compressing = CompressController(session, runner, TissueController(session, runner))
        self.models = ModelController(session)
        self.overlays = OverlayController(session, compressing, self.models, runner)

    def slides(self) -> list[str]:
        return [layer.name for layer in self.session.slide_layers]

    def visible(self) -> list[str]:
        return [layer.name for layer in self.session.viewer.layers if layer.visible]

    def close(self) -> None:
        self.overlays.close()
        self.models.close()
        for layer in self.session.slide_layers:
            tag_of(layer).slide.close()


@pytest.fixture
def desk(session, runner):
    made = Desk(session, runner)
    yield made
    made.close()


@pytest.fixture
def cohort(desk, trained, runner):
    made = CohortController(lambda: desk, runner)
    made.open(trained)
    yield made
    made.close()


def test_lines_of_the_list(cohort):
    slides = cohort.listing.slides
    assert cohort.cells(slides[0]) == ("made", "1", "lesion", "lesion 0.80", "0.10")
    assert cohort.cells(slides[1])[PREDICTION].startswith("\N{NOT EQUAL TO} lesion 0.60")
    assert cohort.cells(slides[2]) == ("gone", "validation", "lesion", "", "")
    assert cohort.summary() == (
        "3 slides, 2 predicted by models that did not see them, 1 wrongly (\N{NOT EQUAL TO})"
    )


def test_order_and_search(cohort):
    slides = cohort.listing.slides
    order = sorted(slides, key=lambda slide: cohort.sort_key(slide, PREDICTION))
    assert [slide.name for slide in order] == ["gone", "other", "made"]
    folds = sorted(slides, key=lambda slide: cohort.sort_key(slide, COLUMNS.index("Fold")))
    assert [slide.part for slide in folds] == ["1", "2", "validation"]
    found = [slide.name for slide in slides if cohort.matches(slide, "LESION case")]
    assert found == ["made", "other", "gone"]
    assert [slide.name for slide in slides if cohort.matches(slide, "normal")] == ["other"]


def test_slide_opens_with_the_model_that_did_not_see_it(cohort, desk):
    first, second, _ = cohort.listing.slides
    cohort.show(first)
    assert desk.slides() == ["made"]
    assert desk.models.bundle.name == "m-fold1"
    assert desk.overlays.state("saliency").shown
    assert desk.models.score()
    cohort.show(second)
    assert desk.models.bundle.name == "m-fold2"
    assert desk.visible() == ["other", "Saliency: lesion (other)"]
    layers = [layer.name for layer in desk.session.viewer.layers]
    assert not [name for name in layers if name.endswith("(made)")], "overlays of the slide before are gone"
    prediction = desk.overlays.stack.layer("prediction")
    assert prediction is not None, "one click away"
    assert not prediction.visible
    cohort.show(first)
    cohort.show(first)
    assert desk.slides() == ["made", "other"], "opened once"
    assert desk.models.bundle.name == "m-fold1"
    assert desk.visible() == ["made", "Saliency: lesion (made)"]
    assert desk.session.settings.get("model") is None, "a fold's model is nobody's choice"


def test_slides_are_opened_beside_the_window_and_the_last_one_asked_for_is_shown(cohort, desk, runner):
    first, second, _ = cohort.listing.slides
    runner.hold = True
    cohort.show(first)
    assert desk.slides() == []
    assert cohort.summary() == "Opening made..."
    cohort.show(second)
    assert cohort.summary() == "Opening other..."
    runner.finish()
    assert desk.slides() == ["other"]
    assert cohort.opened is second
    assert cohort.opening == ""
    cohort.show(first)
    cohort.close()
    runner.finish()
    assert desk.slides() == ["other"], "what is opened for a browser that was closed is not shown"
    MODEL_NEWS.cohort_opened.connect(cohort.open)  # for the fixture to let go


def test_a_slide_that_was_opened_otherwise_meanwhile_is_not_shown_twice(
    cohort, desk, runner, add_slide, slide_file
):
    runner.hold = True
    cohort.show(cohort.listing.slides[0])
    runner.step()
    add_slide(desk.session.viewer, slide_file)
    runner.finish()
    assert desk.slides() == ["made"]
    assert cohort.opened is cohort.listing.slides[0]


def test_who_looks_at_predictions_sees_those_of_the_next_slide(cohort, desk):
    first, second, _ = cohort.listing.slides
    cohort.show(first)
    desk.overlays.show("saliency", False)
    desk.overlays.show("prediction", True)
    cohort.show(second)
    assert desk.visible() == ["other", "Prediction (other)"]


def test_missing_slide_is_told(cohort, desk, answers):
    cohort.show(cohort.listing.slides[2])
    (error,) = answers.errors
    assert "'gone' is not there" in error.problem
    assert error.file.name == "gone.tif"
    assert desk.slides() == []
    assert cohort.opened is None


def test_codes_without_their_slide_are_shown_as_colours(cohort, desk, answers, slide_file):
    slide_file.unlink()
    cohort.show(cohort.listing.slides[0])
    cohort.show(cohort.listing.slides[1])
    cohort.show(cohort.listing.slides[0])
    assert [layer.name for layer in desk.session.viewer.layers].count("PCA (made)") == 1
    assert desk.visible() == ["PCA (made)"]
    assert "itself is not there" in answers.notices[0]
    assert "lesion 0.80" in answers.notices[0]
    assert not answers.errors


@pytest.mark.parametrize("is_there", [True, False])
def test_a_slide_opened_after_another_is_seen_whole_and_centred(cohort, desk, slide_file, is_there):
    if not is_there:
        slide_file.with_name("other.tif").unlink()
    viewer = desk.session.viewer
    cohort.show(cohort.listing.slides[0])
    viewer.scene.camera.center = (0.0, -4000.0, -4000.0)
    cohort.show(cohort.listing.slides[1])
    layer = next(layer for layer in viewer.layers if layer.name == ("other" if is_there else "PCA (other)"))
    assert viewer.scene.camera.center[-2:] == pytest.approx(layer.extent.world.mean(axis=0)[-2:], abs=1.0)


def test_slide_that_all_models_learned_from_shows_its_codes_only(cohort, desk, answers, slide_file):
    shutil.copy(slide_file, slide_file.with_name("gone.tif"))
    cohort.show(cohort.listing.slides[2])
    assert "learned from it" in answers.notices[0]
    assert desk.overlays.stack.layer("saliency") is None


def test_store_that_lies_elsewhere(desk, trained, tmp_path, runner):
    plan = Plan.load(trained)
    away = tmp_path / "away"
    shutil.move(plan.cohort.slides[0].store, away / "made.nic.zarr")
    slides = (replace(plan.cohort.slides[0], store=away / "made.nic.zarr"), *plan.cohort.slides[1:])
    (trained / "plan.json").unlink()
    Plan(replace(plan.cohort, slides=slides), plan.folds, plan.settings).save(trained)
    cohort = CohortController(lambda: desk, runner)
    cohort.open(trained)
    cohort.show(cohort.listing.slides[0])
    assert desk.session.store.path == away / "made.nic.zarr"
    assert desk.overlays.state("saliency").shown
    cohort.close()


def test_table_opens_slides_without_a_model(desk, slide_file, answers, runner):
    table = slide_file.with_name("cohort.csv")
    table.write_text("slide,label\nmade.tif,lesion\n")
    cohort = CohortController(lambda: desk, runner)
    MODEL_NEWS.cohort_opened.emit(table)
    cohort.show(cohort.listing.slides[0])
    assert desk.slides() == ["made"]
    assert not answers.notices
    cohort.close()


def test_a_slide_that_is_not_waited_for_is_not_shown(desk, slide_file, answers, runner):
    table = slide_file.parent / "cohort.csv"
    table.write_text(f"slide,label\n{slide_file.name},x\n")
    browser = CohortController(lambda: desk, runner)
    browser.open(table)
    answers.patient = False
    browser.show(browser.listing.slides[0])
    assert len(answers.waited_for) == 1
    assert not desk.session.slide_layers
    assert not answers.errors


def test_what_is_no_cohort_is_told(desk, answers, tmp_path, runner):
    cohort = CohortController(lambda: desk, runner)
    cohort.open(tmp_path)
    assert "no trained models" in answers.errors[0].problem
    assert cohort.listing is None
    cohort.close()


def test_what_was_understood_of_a_table_is_said(desk, slide_file, answers, runner):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for line in (
        ["Patient", "file_name", "target", "partition"],
        ["p1", "made.tif", "none", "train"],
        ["p1", "made2.tif", "<b>", "test"],
        ["p2", "gone.tif", None, None],
    ):
        book.active.append(line)
    file = slide_file.with_name("cohort.xlsx")
    book.save(file)
    cohort = CohortController(lambda: desk, runner)
    cohort.open(file)
    assert cohort.understood().splitlines() == [
        "columns: slide = file_name, case = Patient, label = target, split = partition",
        "slides: 3 of 2 cases, 0 compressed",
        "parts: train 1, test 1, none 1",
        "no label: 1 slide",
        "classes: <b> (1), none (1)",
        "'none' may mean that there is no label",
    ]
    assert not answers.errors
    cohort.close()


def test_what_a_training_left_out_is_said(desk, trained, runner):
    plan = Plan.load(trained)
    (trained / "plan.json").unlink()
    absent = Absent(missing=("far.svs",), without_slide=("p7", "p8"))
    Plan(replace(plan.cohort, left_out=("x",), absent=absent), plan.folds, plan.settings).save(trained)
    cohort = CohortController(lambda: desk, runner)
    assert cohort.understood() == ""
    cohort.open(trained)
    assert cohort.understood().splitlines() == [
        "left out, no label: 1: x",
        "left out, no compressed slide found: 1: far.svs",
        "patients without a slide: 2: p7, p8",
    ]
    cohort.close()


@pytest.mark.gui
def test_click_in_the_table_opens_the_slide(window, trained, qtbot, monkeypatch, collected):
    viewer, nic = window
    monkeypatch.setattr(CohortDock, "open_desk", lambda _: nic)
    dock = CohortDock(viewer)
    viewer.window.add_dock_widget(dock, name="Cohort browser")
    assert "No cohort" in dock.empty.text()
    assert dock.table.isHidden()
    assert dock.understood.isHidden()
    listed = trained.parent / "list.csv"
    listed.write_text("filename,label\nmade.tif,<i>x</i>\n")
    dock.cohort.open(listed)
    assert not dock.understood.isHidden()
    assert "columns: slide = filename, label" in dock.understood.text()
    assert dock.understood.textFormat() == Qt.TextFormat.PlainText
    dock.cohort.open(trained)
    assert dock.understood.isHidden()
    table = dock.table
    assert not table.isHidden()
    table.sortByColumn(PREDICTION, Qt.SortOrder.DescendingOrder)
    assert [table.slide_at(row).name for row in range(3)] == ["made", "other", "gone"]
    qtbot.keyClicks(dock.search, "normal")
    assert table.order.rowCount() == 1
    place = table.visualRect(table.order.index(0, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: bool(nic.models.score()) and not nic.runner.jobs, timeout=60_000)
    assert nic.session.slide.name == "other"
    assert nic.models.bundle.name == "m-fold2"
    assert nic.overlay_section.rows["saliency"].toggle.isChecked()
    dock.search.setText("nothing like this")
    assert "matches" in dock.empty.text()
    dock.shut_down()
    nic.session.slide.close()
