"""Reading outlines and comparing them with an overlay, beside the window and not in its thread."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from shapely.geometry import box

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.plugin.controllers import comparing as module
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.comparing import COMPARING, Comparing
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController


@pytest.fixture
def grid() -> PatchGrid:
    return PatchGrid.plan([LevelGeometry(1100, 1500)], PixelSize(0.5, 0.5), patch_size=100, mpp=0.5)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def errors() -> list[Exception]:
    return []


@pytest.fixture
def comparing(runner, told, errors) -> Comparing:
    return Comparing(runner, lambda: told.append("changed"), errors.append)


@pytest.fixture
def annotating(session, runner):
    tissue = TissueController(session, runner)
    overlays = OverlayController(
        session, CompressController(session, runner, tissue), ModelController(session), runner
    )
    made = AnnotationController(session, overlays, runner)
    yield made
    made.close()
    overlays.close()


def overlay_on(grid: PatchGrid, name: str = "Map") -> SimpleNamespace:
    values = np.zeros(grid.shape, np.float32)
    values[:, :8] = 1
    return SimpleNamespace(name=name, data=values, mask=np.ones(grid.shape, bool))


def areas(right: float = 800) -> AnnotationSet:
    return AnnotationSet((Annotation("Tumour", "polygon", box(0, 0, right, 9999)),))


def test_outlines_are_laid_on_the_grid_by_a_job(comparing, runner, grid, told):
    runner.hold = True
    annotations, overlay = areas(), overlay_on(grid)
    assert comparing.text(annotations, "Tumour", grid, overlay).endswith(COMPARING)
    assert told == []
    runner.finish()
    assert told == ["changed"]
    assert comparing.text(annotations, "Tumour", grid, overlay).startswith(
        "Map, compared with Tumour:\nbest Jaccard 1.00"
    )
    assert len(runner.titles) == 1, "asked again, it is known"


def test_a_newer_question_cancels_the_one_before(comparing, runner, grid):
    runner.hold = True
    overlay, edited = overlay_on(grid), areas(400)
    comparing.text(areas(), "Tumour", grid, overlay)
    ((first, _, _),) = runner.waiting
    comparing.text(edited, "Tumour", grid, overlay)
    assert first.token.cancelled
    runner.finish()
    assert "best Jaccard 0.50" in comparing.text(edited, "Tumour", grid, overlay)


def test_another_overlay_needs_no_new_raster(comparing, grid, monkeypatch):
    made = []
    rasterise = module.rasterise
    monkeypatch.setattr(module, "rasterise", lambda *a, **k: made.append(1) or rasterise(*a, **k))
    annotations = areas()
    for name in ("Saliency", "Prediction"):
        text = comparing.text(annotations, "Tumour", grid, overlay_on(grid, name))
        assert text.startswith(f"{name}, compared with Tumour:\nbest Jaccard 1.00")
    assert made == [1]


def test_what_cannot_be_compared_is_told(comparing, grid, errors, monkeypatch):
    def broken(*_args, **_options):
        raise RuntimeError("broken")

    monkeypatch.setattr(module, "rasterise", broken)
    annotations, overlay = areas(), overlay_on(grid)
    assert comparing.text(annotations, "Tumour", grid, overlay).endswith("could not be compared")
    assert [str(error) for error in errors] == ["broken"]


def test_a_file_is_read_by_a_job(opened, annotating, runner, outlines_file):
    runner.hold = True
    annotating.open(outlines_file)
    assert annotating.opening == outlines_file.name
    assert annotating.layers() == []
    runner.finish()
    assert annotating.opening == ""
    assert annotating.summary() == "Tumour 1, Stroma 1, Mark 1"


def test_reading_says_how_far_it_is(opened, annotating, runner, outlines_file):
    runner.hold, told = True, []
    annotating.progressed.connect(told.append)
    annotating.open(outlines_file)
    while not told:
        runner.step()
    assert (told[0].stage, told[0].fraction) == ("Reading outlines", pytest.approx(1, abs=0.01))


def test_reading_can_be_cancelled(opened, annotating, runner, outlines_file, answers):
    runner.hold = True
    annotating.open(outlines_file)
    annotating.cancel_opening()
    runner.finish()
    assert annotating.opening == ""
    assert annotating.layers() == []
    assert answers.errors == []


def test_a_slide_that_was_closed_meanwhile_gets_no_annotations(
    opened, annotating, runner, outlines_file, answers
):
    runner.hold = True
    annotating.open(outlines_file)
    opened.viewer.layers.clear()
    runner.finish()
    assert list(opened.viewer.layers) == []
    assert answers.notices == ["outlines.geojson is not shown: its slide was closed meanwhile"]


def test_a_pixel_size_that_was_entered_meanwhile_is_taken(opened, annotating, runner, outlines_file):
    runner.hold = True
    annotating.open(outlines_file)
    opened.set_pixel_size(0.25)
    runner.finish()
    assert annotating.summary() == "Tumour 1, Stroma 1, Mark 1"
    assert tuple(annotating.layers()[0].scale) == (0.25, 0.25)


def test_a_file_that_cannot_be_read_is_told(opened, annotating, tmp_path, answers):
    path = tmp_path / "broken.geojson"
    path.write_text("{", "utf-8")
    annotating.open(path)
    assert len(answers.errors) == 1
    assert annotating.opening == ""
