"""Whether the saliency that is shown should be believed: measured after it is shown, stopped, forgotten."""

from __future__ import annotations

import shutil

import pytest

from napari_nic.explain import MARKS
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.reliability import ReliabilityController
from napari_nic.plugin.controllers.tissue import TissueController

TITLE = "Reliability of Saliency: lesion"


class Desk:
    """The controllers of a dock, with the slide compressed and a model added."""

    def __init__(self, session, runner, bundle_folder) -> None:
        self.runner = runner
        compressing = CompressController(session, runner, TissueController(session, runner))
        compressing.region = "whole"
        self.models = ModelController(session)
        self.overlays = OverlayController(session, compressing, self.models, runner)
        self.reliability = ReliabilityController(session, self.overlays, self.models, runner)
        compressing.start()
        self.models.add(bundle_folder)

    def close(self) -> None:
        self.reliability.close()
        self.overlays.close()
        self.models.close()


@pytest.fixture
def desk(opened, runner, bundle_folder):
    made = Desk(opened, runner, bundle_folder)
    yield made
    made.close()


def step_until_shown(desk: Desk) -> None:
    """Drive jobs until the map is on the screen, and no further."""
    desk.runner.hold = True
    desk.overlays.show("saliency", True)
    while not desk.overlays.stack.shown("saliency"):
        desk.runner.step()


def test_the_map_is_shown_first_and_measured_then(desk):
    step_until_shown(desk)
    assert desk.overlays.overlay("saliency") is not None
    assert desk.runner.titles[-1] == TITLE
    assert (desk.reliability.busy, desk.reliability.found) == (True, None)
    desk.runner.finish()
    assert not desk.reliability.busy
    found = desk.reliability.found
    assert found.target == "lesion"
    assert found.line.startswith(MARKS[found.verdict])


def test_nothing_is_measured_without_saliency(desk):
    desk.overlays.show("prediction", True)
    assert desk.reliability.found is None
    assert not desk.reliability.is_shown
    assert TITLE not in desk.runner.titles


def test_another_target_is_measured_anew(desk):
    desk.overlays.show("saliency", True)
    first = desk.reliability.found
    desk.models.set_target(0)
    assert (first.target, desk.reliability.found.target) == ("lesion", "normal")


def test_hiding_the_map_keeps_what_was_found(desk):
    desk.overlays.show("saliency", True)
    found = desk.reliability.found
    desk.overlays.show("saliency", False)
    assert not desk.reliability.is_shown
    desk.overlays.show("saliency", True)
    assert desk.reliability.found is found
    assert desk.runner.titles.count(TITLE) == 1


def test_it_can_be_stopped_and_asked_for_again(desk):
    step_until_shown(desk)
    desk.runner.step()
    assert desk.reliability.progress is not None
    desk.reliability.cancel()
    desk.runner.finish()
    assert (desk.reliability.busy, desk.reliability.found) == (False, None)
    assert desk.overlays.stack.shown("saliency"), "the map stays"
    desk.reliability.again()
    desk.runner.finish()
    assert desk.reliability.found is not None


def test_a_result_that_was_overtaken_is_not_shown(desk):
    step_until_shown(desk)
    late = desk.runner.waiting[-1][0]
    desk.models.set_target(0)
    assert late.token.cancelled
    desk.runner.finish()
    assert desk.reliability.found.target == "normal"


def test_models_beside_the_chosen_one_are_its_folds(desk, bundle_folder, tmp_path):
    assert desk.models.folds() == ()
    training = tmp_path / "training"
    for name in ("fold1-seed0", "fold2-seed0"):
        shutil.copytree(bundle_folder, training / name)
    desk.models.add(training)
    assert [bundle.folder.name for bundle in desk.models.folds()] == ["fold2-seed0"]
    desk.overlays.show("saliency", True)
    assert desk.reliability.found.folds == pytest.approx(1), "both are the same model"
