import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_nic.errors import CancelledError, InvalidParameterError, WeightsError
from napari_nic.jobs import CancellationToken
from napari_nic.training.checkpoint import read_record
from napari_nic.training.log import plot_log, read_log
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.objectives import OBJECTIVES

SMALL = {
    "vae": {"decoder_width": 16},
    "bigan": {"generator_width": 8, "critic_width": 8},
    "multitask": {"self_supervision": 0.1},
    "vicreg": {"width": 32},
    "distill": {"relations": 0.5, "local": 0.5, "vicreg": 0.1},
}
TEACHERS = {"distill": ("mean-rgb",)}


@pytest.fixture(params=OBJECTIVES.names())
def method(request):
    return request.param


def make(method, source, options):
    options = replace(options, settings=SMALL.get(method, {}), teachers=TEACHERS.get(method, ()))
    torch.manual_seed(options.seed)
    return OBJECTIVES.get(method)(options, [source]), options


def run(method, source, options, folder, **kwargs):
    objective, options = make(method, source, options)
    reports = list(run_training(objective, Sources([source], [source]), folder, options, **kwargs))
    return objective, reports


def test_every_objective_trains_validates_and_logs(method, source, quick, tmp_path):
    objective, reports = run(method, source, quick(), tmp_path)
    assert [report.done for report in reports] == list(range(1, 9))
    assert np.isfinite(reports[-1].loss)
    assert reports[-1].patches_per_second > 0
    assert 0 <= reports[-1].waiting < 1
    assert [row["step"] for row in read_log(tmp_path / "validation.csv")] == [4, 8]
    assert [row["step"] for row in read_log(tmp_path / "steps.csv")] == [1, 8]
    assert not objective.training
    codes = objective.encoder(torch.zeros(2, 3, 64, 64))
    assert codes.shape == (2, 12)


def test_stopped_and_resumed_is_the_same_run(method, source, quick, tmp_path, same_weights):
    whole, _ = run(method, source, quick(), tmp_path / "whole")
    objective, options = make(method, source, quick())
    stopped = run_training(objective, Sources([source], [source]), tmp_path / "parts", options)
    for _ in range(5):
        next(stopped)
    stopped.close()
    resumed, reports = run(method, source, quick(), tmp_path / "parts")
    assert [report.done for report in reports] == [6, 7, 8]
    assert same_weights(whole, resumed)
    kept = [read_log(tmp_path / part / "steps.csv") for part in ("whole", "parts")]
    assert [row["loss"] for row in kept[0]] == [row["loss"] for row in kept[1]]


def test_bfloat16_trains_too(source, quick, tmp_path):
    _, reports = run("vicreg", source, quick(steps=4), tmp_path, precision="bfloat16")
    assert np.isfinite(reports[-1].loss)


def test_a_run_goes_on_in_the_precision_that_it_began_in(source, quick, tmp_path, same_weights):
    """A processor is tried anew in each process: on a busy one the other precision may be the quicker."""
    whole, _ = run("vae", source, quick(), tmp_path / "whole", precision="bfloat16")
    plain, _ = run("vae", source, quick(), tmp_path / "plain")
    objective, options = make("vae", source, quick())
    sources, folder = Sources([source], [source]), tmp_path / "parts"
    stopped = run_training(objective, sources, folder, options, precision="bfloat16")
    for _ in range(5):
        next(stopped)
    stopped.close()
    resumed, _ = run("vae", source, quick(), folder, precision="float32")
    assert same_weights(whole, resumed)
    assert not same_weights(whole, plain)
    assert read_record(folder)["counters"]["precision"] == "bfloat16"


def test_another_seed_is_another_run(source, quick, tmp_path, same_weights):
    one, _ = run("vae", source, quick(steps=2), tmp_path / "one")
    other, _ = run("vae", source, quick(steps=2, seed=1), tmp_path / "other")
    assert not same_weights(one, other)


def test_other_options_do_not_go_on_from_a_checkpoint(source, quick, tmp_path):
    run("vae", source, quick(steps=1), tmp_path)
    with pytest.raises(WeightsError, match="batch_size=8"):
        run("vae", source, quick(steps=2, batch_size=4), tmp_path)
    with pytest.raises(WeightsError, match="objective=vae"):
        run("contrastive", source, quick(steps=2), tmp_path)


def test_more_steps_may_be_added(source, quick, tmp_path):
    run("contrastive", source, quick(steps=2), tmp_path)
    _, reports = run("contrastive", source, quick(steps=3), tmp_path)
    assert [report.done for report in reports] == [3]


def test_a_damaged_checkpoint_is_named(source, quick, tmp_path):
    run("vae", source, quick(steps=1), tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"gone")
    with pytest.raises(WeightsError, match=r"checkpoint\.safetensors"):
        run("vae", source, quick(steps=2), tmp_path)


def test_cancelling_keeps_a_checkpoint(source, quick, tmp_path):
    token = CancellationToken()
    objective, options = make("vae", source, quick())
    training = run_training(objective, Sources([source]), tmp_path, options, token=token)
    next(training)
    token.cancel()
    with pytest.raises(CancelledError):
        next(training)
    assert read_record(tmp_path)["counters"]["step"] == 1
    assert json.loads((tmp_path / "checkpoint.json").read_text())["objective"] == "vae"


def test_a_plateau_lowers_the_rate_and_ends_the_run(source, quick, tmp_path):
    options = quick(
        steps=400, validate_every=1, patience=1, schedule="plateau", learning_rate=1e-9, validation_patches=8
    )
    _, reports = run("contrastive", source, replace(options, final_learning_rate=1e-11), tmp_path)
    rates = [report.terms["learning_rate"] for report in reports]
    assert len(reports) < 400
    assert rates[0] == pytest.approx(1e-9)
    assert min(rates) < 2e-11


def test_the_best_weights_are_kept_not_the_last(source, quick, tmp_path, same_weights, monkeypatch):
    options = quick(steps=4, validate_every=1, schedule="constant", batch_size=4)
    objective, options = make("supervised", source, options)
    scripted = iter([3.0, 1.0, 2.0, 4.0])
    plain = objective.loss
    monkeypatch.setattr(
        objective, "loss", lambda *a: plain(*a) if objective.training else (torch.tensor(next(scripted)), {})
    )
    list(run_training(objective, Sources([source], [source]), tmp_path, options))
    best, _ = run("supervised", source, replace(options, steps=2, validate_every=0), tmp_path / "two")
    assert same_weights(objective, best)


def test_the_curve_is_drawn(source, quick, tmp_path):
    run("vae", source, quick(), tmp_path)
    assert plot_log(tmp_path).stat().st_size > 5000


def test_a_wrong_setting_lists_the_right_ones(source, quick):
    with pytest.raises(InvalidParameterError, match="gamma, decoder_width"):
        OBJECTIVES.get("vae")(quick(settings={"gama": 1.0}), [source])
