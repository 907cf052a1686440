"""Results of scores whose quality is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_nic.cohorts.predictions import ScoredSlide, read_scores, write_scores
from napari_nic.cohorts.results import Table, averaged, by_case, evaluate, high_risk, wrongness

GOOD = ScoredSlide("s", "c", 1, 0, 1.0, True, math.nan, 80, (0.3, 0.7), (0.1, 0.1))


def slides_of(labels: np.ndarray, scores: np.ndarray, **known: object) -> list[ScoredSlide]:
    """Rows of one model, two folds, one case each."""
    rows = []
    for i, (label, score) in enumerate(zip(labels, scores, strict=True)):
        both = (1 - float(score), float(score))
        rows.append(
            replace(GOOD, slide=f"s{i}", case=f"c{i}", fold=1 + i % 2, label=float(label), scores=both)
        )
    return [replace(row, **{k: v[i] for k, v in known.items()}) for i, row in enumerate(rows)]


@pytest.fixture
def classes() -> list[ScoredSlide]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    return slides_of(labels, 1 / (1 + np.exp(-(rng.normal(0, 1, 80) + 2 * labels - 1))))


def test_a_table_of_scores_comes_back(classes: list[ScoredSlide], tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    write_scores(file, classes, ("normal", "tumour"))
    again = read_scores(file)
    assert [replace(row, size=0) for row in again] == [replace(row, size=0) for row in classes]
    assert all(math.isnan(row.size) for row in again)
    assert file.read_text().splitlines()[0].endswith("score_normal,score_tumour,std_normal,std_tumour")


def test_classes(classes: list[ScoredSlide]) -> None:
    result = evaluate("classification", ("normal", "tumour"), classes)
    expected = roc_auc_score([row.label for row in classes], [row.scores[1] for row in classes])
    auc = result["overall"]["auc"]
    assert auc["value"] == pytest.approx(expected)
    assert auc["low"] < expected < auc["high"]
    assert result["models"] == 2
    assert [run["fold"] for run in result["runs"]] == [1, 2]
    assert result["seeds"]["mean"] == pytest.approx(expected)
    assert sum(map(sum, result["overall"]["confusion"])) == 80
    assert result["overall"]["calibration"]["error"] < 0.2
    json.dumps(result, allow_nan=False)


def test_seeds_are_told_apart_and_averaged(classes: list[ScoredSlide]) -> None:
    luckless = [replace(row, seed=1, scores=row.scores[::-1]) for row in classes]
    result = evaluate("classification", ("normal", "tumour"), classes + luckless)
    first, second = result["seeds"]["auc"]
    assert first == pytest.approx(1 - second)
    assert result["seeds"]["mean"] == pytest.approx(0.5)
    assert result["overall"]["auc"]["value"] == 0.5
    assert result["slides"] == 80
    assert len(averaged(classes + luckless)) == 80


def test_three_classes_have_no_calibration() -> None:
    rows = [
        replace(GOOD, slide=f"s{i}", case=f"c{i}", label=float(i % 3), scores=tuple(np.eye(3)[i % 3]))
        for i in range(9)
    ]
    overall = evaluate("classification", ("a", "b", "c"), rows)["overall"]
    assert overall["auc"]["value"] == 1
    assert "calibration" not in overall


def test_values() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 2, 50)
    rows = slides_of(truth, truth)
    rows = [replace(row, scores=(row.label + float(rng.normal(0, 0.2)),)) for row in rows]
    overall = evaluate("regression", ("grade",), rows)["overall"]
    assert overall["spearman"]["value"] > 0.95
    assert overall["mean_absolute_error"]["value"] < 0.3 < overall["mean_absolute_error_of_the_mean"]
    table = Table.of(rows)
    assert wrongness("regression", table)[3] == pytest.approx(abs(rows[3].scores[0] - rows[3].label))


def survival_rows(scale: float = 1.0) -> list[ScoredSlide]:
    """Hazards known exactly; risks of fold 2 on another scale."""
    rng = np.random.default_rng(1)
    risk = rng.normal(0, 1.5, 120)
    time = rng.exponential(1, 120) / np.exp(risk)
    rows = slides_of(time, risk, event=(rng.random(120) < 0.8).tolist())
    return [
        replace(
            row, scores=(float(risk[i]) * (scale if i % 2 else 1) + (100 if i % 2 and scale != 1 else 0),)
        )
        for i, row in enumerate(rows)
    ]


def test_survival() -> None:
    overall = evaluate("survival", ("risk",), survival_rows())["overall"]
    assert overall["c_index"]["value"] > 0.75
    assert overall["log_rank_p"] < 1e-4
    curves = overall["kaplan_meier"]
    assert curves["high"]["cases"] == curves["low"]["cases"] == 60
    assert np.interp(0.5, curves["high"]["times"], curves["high"]["shares"]) < np.interp(
        0.5, curves["low"]["times"], curves["low"]["shares"]
    )


def test_risks_of_two_models_are_never_compared() -> None:
    same, other = (evaluate("survival", ("risk",), survival_rows(scale))["overall"] for scale in (1, 0.01))
    assert other["c_index"]["value"] == pytest.approx(same["c_index"]["value"])
    assert other["log_rank_p"] == pytest.approx(same["log_rank_p"])


def test_a_patient_counts_once() -> None:
    rows = survival_rows()
    twice = rows + [replace(row, slide=row.slide + "b") for row in rows]
    assert len(by_case(twice)) == len(rows)
    overall = evaluate("survival", ("risk",), twice)["overall"]
    assert overall["cases"] == 120
    assert overall["c_index"]["value"] == evaluate("survival", ("risk",), rows)["overall"]["c_index"]["value"]
    assert high_risk(Table.of(rows)).sum() == 60


def test_how_wrong_a_slide_is(classes: list[ScoredSlide]) -> None:
    table = Table.of(classes)
    wrong = wrongness("classification", table)
    assert wrong[0] == pytest.approx(1 - classes[0].scores[int(classes[0].label)])
    times = np.array([1.0, 2, 3, 4])
    rows = slides_of(times, times, event=[True, True, True, False])
    rows = [replace(row, fold=1, scores=(s,)) for row, s in zip(rows, (3.0, 1.0, 2.0, 0.0), strict=True)]
    np.testing.assert_allclose(wrongness("survival", Table.of(rows)), [0, 1 / 3, 1 / 3, 0])
    alone = Table.of([replace(rows[0], event=False)])
    assert np.isnan(wrongness("survival", alone)[0])
