"""The report: complete, self-contained, and made of any task."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.cohorts import (
    Cohort,
    CohortTraining,
    Evaluated,
    evaluate_bundle,
    evaluate_folder,
    read_cohort,
    train_cohort,
)
from napari_nic.cohorts.training import run_folder
from napari_nic.errors import InvalidParameterError, MissingDependencyError, StoreError
from napari_nic.slide_models import ModelBundle, TrainingSettings

FEW = TrainingSettings(epochs=2, steps=2, batch_size=6)


def run(cohort: Cohort, out: Path) -> Evaluated:
    training = CohortTraining(name="toy <one>", width=4, folds=3, settings=FEW)
    for _ in train_cohort(cohort, out, training, device="cpu"):
        pass
    *_, last = evaluate_folder(out, device="cpu")
    assert isinstance(last, Evaluated)
    return last


@pytest.fixture(scope="module")
def evaluated(two_classes: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    run(read_cohort(two_classes.table, "classification", stores=two_classes.stores), out)
    return out


def test_the_page_needs_no_other_file(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert page.count("data:image/png;base64,") >= 16
    assert "toy &lt;one&gt;" in page
    for words in (
        "saliency is",
        "balanced accuracy",
        "By size of the lesion",
        "Most wrong",
        "Most right",
        "Calibration",
    ):
        assert words in page


def test_results_and_plots_lie_beside_it(evaluated: Path) -> None:
    results = json.loads((evaluated / "results.json").read_text())
    assert results["slides"] == 40
    assert results["cases"] == 20
    names = {file.name for file in (evaluated / "plots").iterdir()}
    assert names == {
        "roc-curves.svg",
        "calibration.svg",
        "by-lesion-size.svg",
        "training.svg",
        "validation.svg",
    }
    for file in (evaluated / "plots").iterdir():
        assert ET.fromstring(file.read_text()).tag.endswith("svg")  # noqa: S314 - our own file


def test_what_was_left_out_stands_in_results_and_report(evaluated: Path, toys: Any, tmp_path: Path) -> None:
    nothing = json.loads((evaluated / "results.json").read_text())["left_out"]
    assert set(nothing) == {"no_label", "missing", "unsplit", "without_patient", "without_slide"}
    assert not any(nothing.values())
    made = toys.cohort(
        tmp_path,
        8,
        case=lambda i, _: f"p{i}",
        label=lambda _, share: "tumour" if share > 0.5 else "normal",
    )
    with made.table.open("a", encoding="utf-8") as table:
        table.write("gone.svs,p8,normal\nfar.svs,p9,tumour\ns000.svs,p10,\n")
    cohort = read_cohort(made.table, "classification", stores=made.stores)
    bundle = ModelBundle.load(run_folder(evaluated, 1, 0))
    for _ in evaluate_bundle(bundle, cohort, tmp_path / "out", device="cpu"):
        pass
    *_, last = evaluate_folder(tmp_path / "out", device="cpu")
    assert isinstance(last, Evaluated)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["left_out"] == {**nothing, "no_label": ["s000.svs"], "missing": ["gone.svs", "far.svs"]}
    assert "2: gone.svs, far.svs" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("task", ["regression", "survival"])
def test_other_tasks_are_reported_too(toys: Any, tmp_path: Path, task: Any) -> None:
    rng = np.random.default_rng(0)
    hazards = np.exp(rng.normal(0, 1, 12))
    made = toys.cohort(
        tmp_path,
        12,
        case=lambda i, _: f"p{i}",
        label=lambda _, share: round(share, 3),
        time=lambda i, _: round(1 / hazards[i], 4),
        event=lambda i, _: int(i % 3 > 0),
    )
    cohort = read_cohort(made.table, task, stores=made.stores)
    last = run(cohort, tmp_path / "out")
    assert last.report is not None
    page = last.report.read_text()
    assert ("Kaplan-Meier" if task == "survival" else "Predicted and true") in page
    assert last.results["metric"] == {"survival": "c_index", "regression": "spearman"}[task]


def test_a_finished_model_is_evaluated_on_another_cohort(
    evaluated: Path, two_classes: Any, toys: Any, tmp_path: Path
) -> None:
    bundle = ModelBundle.load(run_folder(evaluated, 1, 0))
    made = toys.cohort(
        tmp_path,
        8,
        seed=5,
        case=lambda i, _: f"p{i}",
        label=lambda _, share: "tumour" if share > 0.5 else "normal",
        split=lambda i, _: "train" if i < 2 else "test",
    )
    cohort = read_cohort(made.table, "classification", stores=made.stores)
    for _ in evaluate_bundle(bundle, cohort, tmp_path / "out", device="cpu"):
        pass
    *_, last = evaluate_folder(tmp_path / "out", device="cpu")
    assert isinstance(last, Evaluated)
    assert last.results["slides"] == 6
    assert str(bundle.folder) in (tmp_path / "out" / "report.html").read_text()
    swapped = read_cohort(made.table, "classification", stores=made.stores, classes=("tumour", "normal"))
    with pytest.raises(InvalidParameterError, match="another question"):
        list(evaluate_bundle(bundle, swapped, tmp_path / "other", device="cpu"))


def test_a_slide_that_is_gone_is_said_in_its_place(evaluated: Path, two_classes: Any, tmp_path: Path) -> None:
    for name in ("plan.json", "predictions.csv"):
        text = (evaluated / name).read_text()
        (tmp_path / name).write_text(text.replace(str(two_classes.stores), "/nowhere"))
    *_, last = evaluate_folder(tmp_path, device="cpu")
    assert isinstance(last, Evaluated)
    assert last.report is not None
    assert "data:image" not in last.report.read_text()


def test_a_folder_without_models_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="no models"):
        list(evaluate_folder(tmp_path))
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match="matplotlib"):
        list(evaluate_folder(tmp_path))
