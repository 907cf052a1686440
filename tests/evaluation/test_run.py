"""Encoders times sets: reports, tables, plots and maps."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_nic import extras
from napari_nic.errors import InvalidParameterError, MissingDependencyError, UnknownNameError
from napari_nic.evaluation import EvaluationPlan, LabelledSet, Outcome, evaluate_encoders
from napari_nic.evaluation.pictures import choose, flatten, picture_codes
from napari_nic.evaluation.plots import colors, plot_bars
from napari_nic.evaluation.report import make_report, markdown, table_rows


@pytest.fixture(scope="module")
def plan(class_folder: Path) -> EvaluationPlan:
    """Two encoders on two sets, the second too coarse for a single patch."""
    fine = LabelledSet("stains", class_folder, 0.5, group=r"^(.\d)-", licence="CC0")
    sets = (fine, LabelledSet("small", class_folder, 0.1))
    return EvaluationPlan(("mean-rgb", "nic-default"), sets, ("knn",), seeds=2, device="cpu")


@pytest.fixture(scope="module")
def outcomes(plan: EvaluationPlan) -> list[Outcome]:
    return [report.outcome for report in evaluate_encoders(plan) if report.outcome is not None]


def test_every_pair_has_an_outcome_and_progress_counts_them(plan: EvaluationPlan) -> None:
    reports = list(evaluate_encoders(plan))
    assert [report.done for report in reports] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert {report.total for report in reports} == {4}


def test_encoders_that_see_the_same_share_patches(outcomes: list[Outcome]) -> None:
    first, second = outcomes[:2]
    assert first.encoded is not None
    assert second.encoded is not None
    assert first.encoded.patches is second.encoded.patches


def test_set_that_does_not_fit_says_why_and_the_others_go_on(outcomes: list[Outcome]) -> None:
    assert [bool(outcome.evaluations) for outcome in outcomes] == [True, True, False, False]
    assert "smaller than a patch" in outcomes[2].reason


def test_unknown_encoder_is_found_before_work_starts(plan: EvaluationPlan) -> None:
    with pytest.raises(UnknownNameError):
        next(evaluate_encoders(EvaluationPlan(("nobody",), plan.sets)))


def test_report_has_all_numbers_and_is_json(plan: EvaluationPlan, outcomes: list[Outcome]) -> None:
    report = json.loads(json.dumps(make_report(plan, outcomes, "the command")))
    assert report["command"] == "the command"
    assert {"napari-nic", "numpy", "torch", "scikit-learn"} <= set(report["software"])
    first = report["results"][0]["evaluations"][0]
    assert len(first["patch"]["balanced_accuracy"]["values"]) == 2
    assert set(first["patch"]["recall"]) == {"blue", "pink"}
    assert np.sum(first["patch"]["confusion"]) == 2 * 64
    assert "not_evaluated" in report["results"][2]
    assert report["sets"]["stains"]["patches"]["mean-rgb"]["classes"] == {"blue": 32, "pink": 32}


def test_table_has_a_row_per_encoder_and_the_mean_of_common_sets(
    plan: EvaluationPlan, outcomes: list[Outcome]
) -> None:
    rows = table_rows(plan, outcomes)
    assert rows[0] == ["classifier", "encoder", "C", "stains", "small", "mean"]
    assert rows[1] == ["knn", "mean-rgb", "3", "1.000 +- 0.000", "-", "1.000"]
    assert len(rows) == 3
    text = markdown(rows).splitlines()
    assert text[1] == "|---|---|---|---|---|---|"


def test_bars_and_maps_are_drawn(tmp_path: Path, outcomes: list[Outcome]) -> None:
    plot_bars(outcomes, tmp_path / "new" / "bars.png")
    picture_codes(outcomes[:2], tmp_path / "codes.png")
    bars, codes = (cv2.imread(str(tmp_path / name)) for name in ("new/bars.png", "codes.png"))
    assert bars.shape[1] > bars.shape[0]
    assert codes.shape[1] > codes.shape[0]  # two maps side by side
    frame = np.round(np.array(colors(2)[0]) * 255)[::-1]
    assert (np.abs(codes - frame).max(axis=2) < 3).sum() > 1000  # frames of the first class


@pytest.mark.parametrize("name", ["bars.docx", "file/bars.png"])
def test_plot_that_cannot_be_written_names_the_file(
    tmp_path: Path, outcomes: list[Outcome], name: str
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(InvalidParameterError, match="bars"):
        plot_bars(outcomes, tmp_path / name)


def test_nothing_to_draw_is_an_error(tmp_path: Path, outcomes: list[Outcome]) -> None:
    with pytest.raises(InvalidParameterError):
        plot_bars(outcomes[2:], tmp_path / "bars.png")
    with pytest.raises(InvalidParameterError):
        picture_codes(outcomes[2:], tmp_path / "codes.png")


def test_map_keeps_groups_of_codes_together() -> None:
    rng = np.random.default_rng(0)
    codes = np.concatenate([rng.normal(0, 1, (20, 8)), rng.normal(30, 1, (20, 8))])
    plane = flatten(codes, layout="tsne", seed=0)
    assert plane.min() == 0
    assert plane.max() == 1
    gap = np.linalg.norm(plane[:20].mean(0) - plane[20:].mean(0))
    assert gap > 2 * plane[:20].std()


def test_too_few_codes_make_no_map() -> None:
    with pytest.raises(InvalidParameterError, match="at least 5"):
        flatten(np.zeros((4, 2)), layout="tsne", seed=0)


def test_patches_on_a_map_are_chosen_evenly() -> None:
    labels = np.repeat([0, 1], [100, 5])
    assert np.bincount(labels[choose(labels, 20, 0)]).tolist() == [10, 5]


@pytest.mark.parametrize(("layout", "line"), [("umap", "umap-learn"), ("tsne", r"napari-nic\[train\]")])
def test_missing_library_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcomes: list[Outcome], layout: str, line: str
) -> None:
    missing = {"umap", "sklearn"}
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in missing else name)
    with pytest.raises(MissingDependencyError, match=line):
        picture_codes(outcomes[:1], tmp_path / "codes.png", layout=layout)
