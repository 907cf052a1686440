"""A run in the cohort browser: its lines change while it goes on, and a click opens a slide as ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from tests.plugin.test_cohort import Desk

from napari_nic.errors import StoreError
from napari_nic.plugin.controllers.cohort import CohortController
from napari_nic.plugin.controllers.cohort_run import RUN_COLUMNS, run_summary
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.runs import RunFolder, RunSettings, RunStatus, RunView, iter_run

SETTINGS = RunSettings(("tissue", "compress"), ("mean-rgb",), threads=1)


@pytest.fixture
def slides(slide_file: Path) -> list[Path]:
    """A good slide, one that is none, and one more good one."""
    bad = slide_file.with_name("bad.svs")
    bad.write_text("this is no slide")
    return [slide_file, bad, Path(shutil.copy(slide_file, slide_file.with_name("next.tif")))]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def go_on(slides: list[Path], folder: RunFolder) -> None:
    for _ in iter_run(slides, folder, SETTINGS):
        pass


@pytest.fixture
def desk(session, runner):
    made = Desk(session, runner)
    yield made
    made.close()


@pytest.fixture
def browser(desk, runner):
    made = CohortController(lambda: desk, runner)
    yield made
    made.close()


def lines(browser: CohortController) -> dict[str, tuple[str, ...]]:
    return {slide.name: browser.cells(slide) for slide in browser.listing.slides}


def test_a_run_is_listed_and_followed(browser, slides, folder) -> None:
    go_on(slides[:2], folder)
    browser.open(folder.root)
    assert browser.columns == RUN_COLUMNS
    assert browser.is_watching
    assert lines(browser)["made"][1] == "done"
    assert lines(browser)["made"][3] == "tissue, compress:mean-rgb"
    assert lines(browser)["bad"][1] == "failed"
    assert "bad.svs" in lines(browser)["bad"][3]
    assert browser.summary() == "2 slides: 1 done, 1 failed"
    heard = []
    browser.changed.connect(lambda: heard.append(browser.summary()))
    browser.look()
    assert not heard, "nothing changed"
    go_on(slides, folder)
    browser.look()
    assert heard == ["3 slides: 2 done, 1 failed"]
    states = sorted(browser.listing.slides, key=lambda slide: browser.sort_key(slide, 1))
    assert [slide.name for slide in states] == ["bad", "made", "next"], "what needs looking at comes first"
    assert [slide.name for slide in browser.listing.slides if browser.matches(slide, "failed")] == ["bad"]


def test_a_click_opens_the_slide_with_its_codes(browser, desk, slides, folder, answers) -> None:
    go_on(slides[:2], folder)
    browser.open(folder.root / "run.json")
    bad, made = browser.listing.slides
    browser.show(made)
    assert desk.slides() == ["made"]
    assert desk.session.store.path == folder.stores / "made.mean-rgb.nic.zarr"
    assert not answers.errors
    browser.show(bad)
    assert len(answers.errors) == 1
    assert desk.slides() == ["made"]


def test_a_look_at_a_run_ends_with_the_browser(desk, runner, slides, folder) -> None:
    go_on(slides[:1], folder)
    made = CohortController(lambda: desk, runner)
    made.open(folder.root)
    runner.hold = True
    made.look()
    ((job, _, _),) = runner.waiting
    made.close()
    assert job.token.cancelled
    runner.finish()


def test_a_run_that_is_gone_is_told_once(browser, slides, folder, answers) -> None:
    go_on(slides[:1], folder)
    browser.open(folder.root)
    shutil.rmtree(folder.root)
    browser.look()
    browser.look()
    assert len(answers.errors) == 1
    assert isinstance(answers.errors[0], StoreError)
    assert not browser.is_watching
    assert lines(browser)["made"][1] == "done", "what was known stays"


def test_another_list_ends_the_watch(browser, slides, folder) -> None:
    go_on(slides[:1], folder)
    browser.open(folder.root)
    table = folder.root.with_name("cohort.csv")
    table.write_text("slide,label\nmade.tif,lesion\n")
    browser.open(table)
    assert not browser.is_watching
    assert browser.columns != RUN_COLUMNS


def test_rate_and_time_left_are_said(slides, folder) -> None:
    go_on(slides[:1], folder)
    from napari_nic.runs import read_status

    done = read_status(folder).slides
    waiting = tuple(type(done[0])(slide.record, "waiting") for slide in done)
    view = RunView(RunStatus((), done + waiting), 60.0, 60.0)
    assert run_summary(view) == "2 slides: 1 done, 1 waiting; 60 slides/h, about 1:00 left"


def test_the_folder_of_a_run_is_ours_to_read(slides, folder) -> None:
    go_on(slides[:1], folder)
    assert get_reader(str(folder.root)) is not None
    (folder.root / "run.json").unlink()
    assert get_reader(str(folder.root)) is None


@pytest.mark.gui
def test_lines_change_before_the_eyes_and_what_is_selected_stays(
    window, slides, folder, qtbot, monkeypatch, collected
) -> None:
    viewer, nic = window
    monkeypatch.setattr(CohortDock, "open_desk", lambda _: nic)
    monkeypatch.setattr("napari_nic.plugin.widgets.cohort_dock.WATCH_MS", 20)
    go_on(slides[:2], folder)
    dock = CohortDock(viewer)
    viewer.window.add_dock_widget(dock, name="Cohort browser")
    assert not dock.watch.isActive()
    dock.cohort.open(folder.root)
    assert dock.watch.isActive()
    table = dock.table
    headings = [
        table.order.headerData(column, Qt.Orientation.Horizontal)
        for column in range(table.order.columnCount())
    ]
    assert tuple(headings) == RUN_COLUMNS
    table.selectRow(1)
    slides[1].unlink()
    shutil.copy(slides[0], slides[1])
    go_on(slides[:2], folder)
    qtbot.waitUntil(lambda: "2 done" in dock.summary.text(), timeout=60_000)
    assert table.currentIndex().row() == 1
    go_on(slides, folder)
    qtbot.waitUntil(lambda: table.order.rowCount() == 3, timeout=60_000)
    place = table.visualRect(table.order.index(1, 0)).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: nic.session.slide is not None and not nic.runner.jobs, timeout=60_000)
    assert nic.session.slide.name == "made"
    dock.shut_down()
    assert not dock.watch.isActive()
    nic.session.slide.close()
