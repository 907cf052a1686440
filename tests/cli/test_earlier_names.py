"""Earlier names of options work, say what to write now, and stand in no help."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import pytest

from napari_nic.cli import arguments
from napari_nic.cli.main import build_parser

NOW = {
    ("models", "train", "t.csv", "--out", "o"): {
        "--model": ("--architecture", "attention"),
        "--batch": ("--batch-size", "3"),
        "--rate": ("--learning-rate", "0.5"),
    },
    ("patches", "extract", "--out", "o"): {"--mpp": ("--target-mpp", "0.5")},
    ("patches", "sheet", "--out", "o"): {"--mpp": ("--target-mpp", "0.5")},
    ("encoders", "import", "x.onnx", "--out", "o"): {"--mpp": ("--target-mpp", "0.5")},
    ("encoders", "train", "vae", "--name", "o"): {"--task": ("--labelled-tiles", "folder=0.5")},
}


def cases() -> Iterator[Any]:
    for command, names in NOW.items():
        for earlier, (now, value) in names.items():
            yield pytest.param(command, earlier, now, value, id=f"{command[0]} {command[1]} {earlier}")


@pytest.mark.parametrize(("command", "earlier", "now", "value"), list(cases()))
def test_earlier_names_work_and_say_so(
    command: tuple[str, ...], earlier: str, now: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = build_parser()
    new = vars(parser.parse_args([*command, now, value]))
    assert capsys.readouterr().err == ""
    old = vars(parser.parse_args([*command, earlier, value]))
    assert old == new
    assert capsys.readouterr().err == f"note: {earlier} is called {now} now\n"


def test_the_penalty_is_half_of_the_weight_decay(capsys: pytest.CaptureFixture[str]) -> None:
    args = build_parser().parse_args(["models", "train", "t.csv", "--out", "o", "--l2", "0.01"])
    assert args.weight_decay == 0.02
    assert capsys.readouterr().err == "note: --l2 is called --weight-decay now, and is 0.02 by its measure\n"


def test_without_either_the_default_holds() -> None:
    parser = argparse.ArgumentParser()
    now = parser.add_argument("--new", type=int, default=3)
    arguments.add_earlier(parser, now, "--old")
    assert parser.parse_args([]).new == 3
    assert parser.parse_args(["--old", "4"]).new == 4
    assert "--old" not in parser.format_help()
