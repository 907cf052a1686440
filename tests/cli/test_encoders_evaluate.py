"""``napari-nic encoders evaluate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

COLORS = {"blue": (170, 90, 120), "pink": (200, 150, 225)}  # BGR


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Two classes of three slides each, a tile of 128 px a slide."""
    folder, rng = tmp_path / "tiles", np.random.default_rng(0)
    for name, color in COLORS.items():
        (folder / name).mkdir(parents=True)
        for slide in range(3):
            image = np.clip(rng.normal(color, 10, (128, 128, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{slide}.png"), image)
    return folder


def test_tables_report_and_pictures(cli: Callable, tiles: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("report.json", "table.md", "bars.svg", "codes.png")}
    outcome = cli(
        "encoders", "evaluate", "--encoders", "mean-rgb", "--set", f"stains={tiles}@0.5",
        "--classifiers", "knn", "linear", "--seeds", 1, "--out", files["report.json"],
        "--table", files["table.md"], "--plot", files["bars.svg"], "--picture", files["codes.png"],
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "balanced accuracy per tile" in outcome.out
    assert "mean-rgb" in outcome.out
    assert "6 patches of 6 groups" in outcome.err
    assert all(file.stat().st_size for file in files.values())
    report = json.loads(files["report.json"].read_text(encoding="utf-8"))
    assert [e["classifier"] for e in report["results"][0]["evaluations"]] == ["knn", "linear"]
    assert "| knn | mean-rgb | 3 |" in files["table.md"].read_text(encoding="utf-8")


def test_json_is_the_report(cli: Callable, tiles: Path, tmp_path: Path) -> None:
    file = tmp_path / "sets.json"
    described = [{"name": name, "folder": "tiles", "mpp": 0.5} for name in ("a", "b")]
    file.write_text(json.dumps({"sets": described}), encoding="utf-8")
    outcome = cli(
        "encoders", "evaluate", "--encoders", "mean-rgb", "--sets", file, "--only", "b",
        "--classifiers", "knn", "--seeds", 1, "--json",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert list(outcome.json["sets"]) == ["b"]


def test_set_that_does_not_fit_ends_with_an_error_code(cli: Callable, tiles: Path) -> None:
    outcome = cli("encoders", "evaluate", "--encoders", "mean-rgb", "--set", f"tiny={tiles}@0.01")
    assert outcome.code == 1
    assert "smaller than a patch" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--set", "no-folder"),
        ("--set", "a=b@0"),
        ("--set", "a=b@1", "--set", "a=c@1"),
        ("--set", "a=b@1", "--only", "c"),
        ("--set", "a=b@1", "--group", "("),
    ],
)
def test_wrong_usage(cli: Callable, arguments: tuple[str, ...]) -> None:
    outcome = cli("encoders", "evaluate", "--encoders", "mean-rgb", *arguments)
    assert outcome.code == 2
