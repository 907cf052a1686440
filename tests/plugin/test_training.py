"""Training encoders: patches of slides, the job, and the controller; no Qt and no threads."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.store import SPEC_FILE, user_encoders_folder
from napari_nic.errors import DeviceError, InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.plugin import train_job
from napari_nic.plugin.controllers import training as module
from napari_nic.plugin.controllers.training import TrainController
from napari_nic.plugin.news import ENCODER_NEWS
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.train_job import Begun, Trained, TrainForm, named_sets
from napari_nic.plugin.training_patches import REGION_PX, SlidePatches, read_slides
from napari_nic.slides import open_slide
from napari_nic.training.options import TrainingProgress

TINY = {"name": "tiny", "code_size": 4, "steps": 6, "device": "cpu"}


def read(slides, **options) -> SlidePatches:
    *reports, patches = read_slides(slides, 1.0, token=CancellationToken(), **{"seed": 0} | options)
    assert all(isinstance(report, Progress) for report in reports)
    return patches


# -- patches of slides -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big_slide(tmp_path_factory, make_tiff, make_tissue):
    """2100 x 2700 px at 0.5 um/px: a dozen squares of tissue."""
    folder = tmp_path_factory.mktemp("big")
    return make_tiff(folder / "big.tif", make_tissue(2100, 2700), factors=(1, 4))


def test_squares_are_tissue_and_the_same_every_time(big_slide):
    with open_slide(big_slide) as slide:
        first, again, other = read([slide]), read([slide]), read([slide], seed=1)
    assert len(first.tiles) >= 4
    for tile, same in zip(first.tiles, again.tiles, strict=True):
        assert tile.image.shape == (REGION_PX, REGION_PX, 3)
        np.testing.assert_array_equal(tile.image, same.image)
        assert (tile.image.min(2) < 225).mean() > 0.4
    assert len(other.tiles) == len(first.tiles)


def test_squares_are_where_the_slide_has_them(big_slide):
    """The square of cell (r, c) is the 2 x 2 average of the level-0 pixels under it."""
    with open_slide(big_slide) as slide:
        patches = read([slide])
        image = slide.read_region(0, slide.levels[0].tile_region(0, 0).__class__(0, 0, 2100, 2700))
    small = image[:2100, :2700].reshape(1050, 2, 1350, 2, 3).mean((1, 3))
    found = 0
    for tile in patches.tiles:
        for top in range(0, 1050 - REGION_PX, REGION_PX):
            for left in range(0, 1350 - REGION_PX, REGION_PX):
                square = small[top : top + REGION_PX, left : left + REGION_PX]
                found += np.abs(square - tile.image).mean() < 1
    assert found == len(patches.tiles)


def test_held_out_squares_are_not_trained_on(big_slide):
    with open_slide(big_slide) as slide:
        patches = read([slide])
    kept, away = patches.split(seed=0)
    assert away
    assert len(kept) + len(away) == len(patches.tiles)
    assert not {tile.group for tile in kept} & {tile.group for tile in away}
    train, held_out = patches.sources(80, seed=0)
    assert train.draw(3, np.random.default_rng(0)).images.shape == (3, 80, 80, 3)
    assert held_out is not None
    assert patches.facts["held_out"] == "squares of the same slides"


def test_many_slides_are_held_out_whole(big_slide):
    with open_slide(big_slide) as slide:
        one = read([slide])
    names = tuple("abcde")
    tiles = tuple(type(tile)(tile.image, name) for tile in one.tiles[:2] for name in names)
    kept, away = SlidePatches(tiles, 1.0, names).split(seed=0)
    assert len({tile.group for tile in away}) == 1
    assert len({tile.group for tile in kept}) == 4


def test_slides_that_give_nothing_are_named(big_slide, tmp_path, make_tiff):
    glass = make_tiff(tmp_path / "glass.tif", np.full((900, 900, 3), 243, np.uint8), factors=(1,))
    with open_slide(big_slide) as slide, open_slide(glass) as empty:
        patches = read([empty, slide])
        assert patches.slides == ("big",)
        assert patches.skipped == (("glass", "no square of tissue"),)
        with pytest.raises(InvalidParameterError, match="glass: no square"):
            read([empty])


# -- the controller --------------------------------------------------------------------------------------


@pytest.fixture
def training(viewer, settings, answers, runner):
    made = TrainController(viewer, settings, answers, runner)
    yield made
    made.close()


@pytest.fixture
def with_big(training, big_slide, add_slide):
    """A controller with a slide of enough tissue open."""
    add_slide(training.viewer, big_slide)
    training.fill_in(**TINY)
    return training


def pretend(form: TrainForm, *, steps: int) -> None:
    """Leave a checkpoint as training does."""
    form.checkpoint.mkdir(parents=True, exist_ok=True)
    (form.checkpoint / module.STATE_FILE).write_text(json.dumps({"counters": {"step": steps}}))


@pytest.fixture
def fake_training(monkeypatch):
    """Training that learns nothing, step by step; returns the recipes it was given."""
    recipes = []

    def train_encoder(recipe, *, token):
        recipes.append(recipe)
        form = TrainForm(name=recipe.name)
        for step in range(1, recipe.options.steps + 1):
            token.checkpoint()
            pretend(form, steps=step)
            measured = {"loss": 0.5} if step >= 2 else {}
            yield TrainingProgress(
                step, recipe.options.steps, loss=1 / step, validation=measured, patches_per_second=64.0
            )
        folder = user_encoders_folder() / recipe.name
        folder.mkdir(exist_ok=True)
        spec = get_spec("mean-rgb").to_dict() | {"name": recipe.name}
        (folder / SPEC_FILE).write_text(json.dumps(spec))

    monkeypatch.setattr("napari_nic.training.train_encoder", train_encoder)
    monkeypatch.setattr(train_job, "throttled", lambda reports, _: reports)
    return recipes


def test_names_agree_with_the_training_room():
    from napari_nic.training.checkpoint import STATE_FILE
    from napari_nic.training.objectives import OBJECTIVES, WITH_TEACHERS
    from napari_nic.training.options import TrainOptions

    assert module.STATE_FILE == STATE_FILE
    assert TrainOptions().batch_size == module.BATCH
    assert set(module.METHODS) == set(OBJECTIVES.names()) - WITH_TEACHERS
    labelled = {name for name in OBJECTIVES if OBJECTIVES.get(name).labelled}
    assert labelled == set(train_job.LABELLED)


def test_without_a_slide(training, runner):
    assert "Open a slide" in training.why_not()
    assert training.describe_source() == "No slide is open"
    training.start()
    training.cancel()
    assert runner.titles == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": ""}, "Give the encoder a name"),
        ({"name": "a/b"}, "path"),
        ({"name": "nic-default"}, "choose another name"),
        ({"method": "supervised"}, "needs labels"),
        ({"source": "tiles"}, "Add a folder"),
        ({"source": "tiles", "paths": ("/nowhere/tiles",)}, "not there"),
    ],
)
def test_what_hinders_is_said(with_big, changes, reason):
    assert with_big.why_not() == ""
    with_big.fill_in(**changes)
    assert reason in with_big.why_not()


def test_slides_of_unknown_pixel_size_hinder(training, unscaled_file, add_slide):
    add_slide(training.viewer, unscaled_file)
    assert "not known" in training.why_not()


def test_progress_arrives_and_the_encoder_is_announced(with_big, runner, fake_training):
    heard = []
    ENCODER_NEWS.changed.connect(heard.append)
    runner.hold = True
    with_big.start()
    assert with_big.state.busy
    assert with_big.why_not() == "tiny is being trained"
    assert with_big.label() == "Training..."
    stages = set()
    while not isinstance(runner.step(), Trained):
        stages.add(with_big.state.stage)
    assert "reading big" in stages
    assert with_big.state.seconds_left == pytest.approx(5.0)
    runner.finish()
    ENCODER_NEWS.changed.disconnect(heard.append)
    assert heard == ["tiny"]
    assert [step for step, _ in with_big.curve] == [1, 2, 3, 4, 5, 6]
    assert with_big.validation == [(2, 0.5)]
    assert not with_big.state.busy
    assert "choose tiny" in with_big.state.stage
    assert fake_training[0].method == "vae"
    assert fake_training[0].options.code_size == 4


def test_cancelled_training_goes_on(with_big, runner, fake_training):
    runner.hold = True
    with_big.start()
    while with_big.state.done < 3:
        runner.step()
    with_big.cancel()
    assert with_big.state.phase == "stopping"
    runner.finish()
    assert "kept" in with_big.state.stage
    assert with_big.label() == "Go on from step 3"
    with_big.fill_in(name="other")
    assert with_big.label() == "Train encoder"
    with_big.fill_in(name="tiny")
    (with_big.form.checkpoint / "marker").touch()
    runner.hold = False
    with_big.start()
    assert (with_big.form.checkpoint / "marker").exists(), "the checkpoint was thrown away"
    assert with_big.label() == "Train anew"
    with_big.fill_in(steps=20)
    assert with_big.label() == "Go on from step 6"


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_training_leaves_the_window_a_core_and_gives_it_back(with_big, fake_training, monkeypatch):
    seen: list[int] = []
    before = threads_of_a_new_thread()
    monkeypatch.setattr(train_job, "usable_cores", lambda: 5)
    monkeypatch.setattr(
        train_job,
        "throttled",
        lambda reports, _: (seen.append(torch.get_num_threads()) or r for r in reports),
    )
    with_big.start()
    assert set(seen) == {4}
    assert threads_of_a_new_thread() == before


def test_replacing_a_trained_encoder_asks(with_big, fake_training, answers):
    with_big.start()
    with_big.start()
    assert "already" in answers.questions[-1]
    assert len(fake_training) == 1
    answers.agree = True
    with_big.start()
    assert len(fake_training) == 2


def test_other_slides_than_before_ask(with_big, runner, fake_training, answers, slide_file, add_slide):
    runner.hold = True
    with_big.start()
    while with_big.state.done < 3:
        runner.step()
    with_big.cancel()
    runner.finish()
    add_slide(with_big.viewer, slide_file)
    runner.hold = False
    with_big.start()
    assert "other patches" in answers.questions[-1]
    assert len(fake_training) == 1
    assert with_big.steps_done() == 3
    answers.agree = True
    with_big.start()
    assert len(fake_training) == 2
    assert with_big.curve[0][0] == 1


def test_errors_are_told(with_big, answers, monkeypatch):
    def fail(recipe, *, token):
        raise DeviceError("no GPU here")
        yield

    monkeypatch.setattr("napari_nic.training.train_encoder", fail)
    with_big.start()
    assert isinstance(answers.errors[0], DeviceError)
    assert not with_big.state.busy
    assert with_big.why_not() == ""


def test_form_is_remembered(with_big, viewer, answers, runner):
    with_big.fill_in(source="tiles", paths=("/a", "/b"), mpp=0.25, method="vicreg")
    again = TrainController(viewer, Settings(), answers, runner)
    assert again.form == with_big.form
    again.close()


def test_odd_remembered_values_are_left_out(viewer, settings, answers, runner):
    settings.set(module.FORM_SETTING, {"steps": "many", "source": "moon", "method": "magic", "code_size": 9})
    training = TrainController(viewer, settings, answers, runner)
    assert training.form == TrainForm(code_size=9)
    training.close()


def test_two_docks_share_the_settings(home):
    first, second = Settings(), Settings()
    first.set("a", 1)
    second.set("b", 2)
    first.set("c", 3)
    again = Settings()
    assert [again.get(name) for name in "abc"] == [1, 2, 3]


def test_sets_of_tiles_and_stores(tmp_path):
    paths = tuple(str(tmp_path / name) for name in ("a", "b", "c.patches.zarr"))
    plain = named_sets(TrainForm("tiles", paths, mpp=0.25))
    assert [type(one).__name__ for one in plain] == ["StoreSet", "TileFolders"]
    assert [(folder.mpp, folder.labelled) for folder in plain[1].folders] == [(0.25, False)] * 2
    tasks = named_sets(TrainForm("tiles", paths, method="multitask"))
    assert len(tasks) == 3
    assert tasks[1].folders[0].labelled


# -- the real thing, small -------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Measure on few patches: what is measured is tested elsewhere."""
    monkeypatch.setattr("napari_nic.training.publish.EVALUATION_PATCHES", 32)
    monkeypatch.setattr("napari_nic.training.objectives.metric.SENSITIVITY_PATCHES", 4)
    monkeypatch.setattr("napari_nic.training.options.TrainOptions.validation_patches", 16)


def test_training_on_a_slide_makes_an_encoder_that_encodes(quick, with_big, monkeypatch):
    monkeypatch.setattr(train_job, "MEASURE_EVERY", 3)
    with_big.start()
    assert get_spec("tiny").code_size == 4
    batch = np.full((2, 64, 64, 3), 200, np.uint8)
    assert load_encoder("tiny", device="cpu").encode(batch).shape == (2, 4)
    assert with_big.picture is not None
    assert with_big.picture.shape[0] * 6 == with_big.picture.shape[1]
    assert math.isfinite(with_big.curve[-1][1])
    assert with_big.validation


def test_training_goes_on_with_its_curve(quick, with_big, runner, monkeypatch):
    monkeypatch.setattr(train_job, "throttled", lambda reports, _: reports)
    runner.hold = True
    with_big.start()
    while with_big.state.done < 3:
        runner.step()
    with_big.cancel()
    runner.finish()
    assert with_big.steps_done() == 3
    with_big.start()
    while not isinstance(report := runner.step(), Trained):
        assert not isinstance(report, Begun) or report.skipped == ()
    assert report.progress.done == 4
    runner.finish()
    assert with_big.state.done == TINY["steps"]


def test_other_options_than_before_ask(quick, with_big, runner, answers):
    runner.hold = True
    with_big.start()
    while with_big.state.done < 2:
        runner.step()
    with_big.cancel()
    runner.finish()
    with_big.fill_in(code_size=5)
    with_big.start()
    runner.finish()
    assert "code_size=4" in answers.questions[-1]
    answers.agree = True
    with_big.start()
    runner.finish()
    assert get_spec("tiny").code_size == 5


def test_labelled_tiles_train_a_supervised_encoder(quick, training, tile_folder):
    training.fill_in(**TINY, source="tiles", paths=(str(tile_folder),), mpp=1.0, method="supervised")
    assert training.describe_source() == tile_folder.name
    training.start()
    assert get_spec("tiny").code_size == 4
