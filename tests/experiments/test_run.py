"""The whole experiment, tiny: from digits to tables and plots, and on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_nic.cli.main import main
from napari_nic.embeddings.dihedral import apply_dihedral
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.slide_models import ModelBundle
from napari_nic_experiments.digits import Experiment, get_preset, run_experiment
from napari_nic_experiments.digits.evaluating import accuracy, by_size
from napari_nic_experiments.digits.report import order_of_encoders, paper_lines, tables
from napari_nic_experiments.digits.run import read_json
from napari_nic_experiments.digits.saliency import explain_image


def run(experiment, parts):
    """Run parts and return what they told."""
    return list(run_experiment(experiment, parts))


def test_the_command_runs_all_parts_and_again_does_nothing(tmp_path, capsys) -> None:
    command = ["experiments", "digits", "--preset", "tiny", "-o", str(tmp_path), "--device", "cpu", "-q"]
    assert main(command) == 0
    told = capsys.readouterr().out
    for text in (
        "order of encoders",
        "accuracy by stride",
        "of supervised-c16-s9-n80-e3 (accuracy",
        "the paper: mean Jaccard index 0.612",
        "Grad-CAM",
    ):
        assert text in told
    assert {file.name for file in tmp_path.glob("*.png")} == {"sweeps.png", "saliency.png"}
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["cells"]) == 12
    assert all(0 <= cell["accuracy"] <= 1 for cell in results["cells"].values())
    assert results["cells"]["supervised-c16-s6-n40"]["images"] == 10
    assert results["saliency"]["Grad-CAM"]["images"] == 10

    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cells").iterdir()}
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == results
    assert before == {file: file.stat().st_mtime_ns for file in (tmp_path / "cells").iterdir()}

    assert main([*command, "--seed", "1"]) == 1
    assert "another experiment" in capsys.readouterr().err


def test_a_stopped_experiment_goes_on_to_the_same_result(tmp_path) -> None:
    preset = get_preset("tiny")
    whole = Experiment(preset, tmp_path / "whole", device="cpu")
    run(whole, ["saliency"])
    stopped = Experiment(preset, tmp_path / "stopped", device="cpu")
    reports = run_experiment(stopped, ["saliency"])
    while next(reports).unit != "epochs":
        pass
    reports.close()
    assert not stopped.cell_file(preset.explained).exists()
    run(Experiment(preset, tmp_path / "stopped", device="cpu"), ["saliency"])
    first, second = (read_json(one.cell_file(preset.explained)) for one in (whole, stopped))
    assert first == second
    assert (tmp_path / "whole/saliency.json").read_text() == (tmp_path / "stopped/saliency.json").read_text()

    bundle = ModelBundle.load(whole.model_folder(preset.explained))
    source = whole.codes(preset.explained, whole.test_images)
    on_its_side = Turned(source, 5)
    pairs = [
        [explain_image(bundle, one, index, device="cpu") for one in (source, on_its_side)]
        for index in range(preset.test_images)
    ]
    same = [pair for pair in pairs if pair[0].target == pair[1].target]
    assert same
    for upright, other in same:
        np.testing.assert_allclose(other.values, apply_dihedral(upright.values, 5), atol=1e-5)


class Turned:
    """Pictures that were transformed before anyone looked."""

    def __init__(self, source, transform) -> None:
        self._source, self._transform = source, transform
        self.images, self.mask = source.images, apply_dihedral(source.mask, transform)

    def codes(self, index):
        """Return the codes of a transformed picture."""
        return apply_dihedral(self._source.codes(index), self._transform)


def test_pictures_for_training_and_test_differ(tmp_path) -> None:
    experiment = Experiment(get_preset("tiny"), tmp_path)
    train, test = experiment.train_images, experiment.test_images
    assert train.glyphs.name != test.glyphs.name
    seeds = {train.seed, test.seed, experiment.encoder_data.images.seed}
    assert len(seeds) == 3
    assert experiment.encoder_data.images.seed + 1 not in seeds


def test_a_damaged_file_says_what_to_do(tmp_path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(StoreError, match="delete it"):
        read_json(tmp_path / "bad.json")


def test_another_preset_needs_another_folder(tmp_path) -> None:
    preset = get_preset("tiny")
    Experiment(preset, tmp_path).check_plan()
    Experiment(preset, tmp_path).check_plan()
    with pytest.raises(InvalidParameterError, match="another folder"):
        Experiment(replace(preset, test_images=30), tmp_path).check_plan()


def test_a_plan_of_an_earlier_version_is_the_same_plan(tmp_path) -> None:
    preset = get_preset("tiny")
    Experiment(preset, tmp_path).check_plan()
    file = tmp_path / "plan.json"
    text = file.read_text("utf-8")
    assert '"weight_decay": 2e-05' in text
    text = text.replace('"weight_decay": 2e-05', '"l2": 1e-05').replace(
        '"final_learning_rate"', '"least_rate"'
    )
    file.write_text(text.replace('"learning_rate": 0.01', '"rate": 0.01'), "utf-8")
    Experiment(preset, tmp_path).check_plan()


def test_accuracies_by_size_are_counted() -> None:
    right = np.array([True, False, True, True])
    found = by_size(right, np.array([0.01, 0.04, 0.05, 0.499]))
    assert [(b["low"], b["images"], b["accuracy"]) for b in found] == [
        (0.0, 2, 0.5),
        (0.05, 1, 1.0),
        (0.4, 1, 1.0),
    ]
    assert accuracy(right)["standard_error"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))


def test_tables_show_what_is_there_and_the_order_is_compared() -> None:
    preset = get_preset("tiny")
    known = {"accuracy": 0.5, "standard_error": 0.1, "by_size": []}
    values = {"supervised": 0.9, "contrastive": 0.5, "vae": 0.7}
    cells = {preset.cell(name).name: known | {"accuracy": value} for name, value in values.items()}
    results = {"cells": cells, "saliency": {}}
    assert [table.title.split()[2] for table in tables(results, preset)] == [
        "the",
        "code-size",
        "training-size",
    ]
    assert order_of_encoders(results, preset) == ("supervised", "vae", "contrastive")
    assert paper_lines(results, preset) == [
        "order of encoders: supervised > vae > contrastive (the paper: supervised > contrastive > vae)"
    ]
