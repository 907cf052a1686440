"""What an error advises can be done at the command line: options that exist, and no functions of Python."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_nic
from napari_nic.cli.main import build_parser

SOURCE = Path(napari_nic.__file__).parent
FOR_PROGRAMMERS = (
    "open it with mode='r+'",
    "open it again with open_slide",
    "leave them out by `valid`",
    "GridOptions(min_tissue=0) takes every cell, 0.05 those with little tissue",
)
"""Of errors that no command can cause: something was closed, or opened in another way."""

FILES_OF_OTHERS = re.compile(r"\bsplits_k(_bool)?\.csv\b|\btile_embeddings\b")
"""Names that other programs give to files and folders."""

OTHERS = {"--tile", "--pyramid", "--local-dir"}
"""Options of programs that are named beside them."""

_OF_PYTHON = re.compile(r"\w\(\w|\b[A-Z][a-z]+[A-Z]\w+\.|\b[a-z]+_[a-z]+\b|\w=['\"]")


def _hints() -> Iterator[tuple[str, str]]:
    """Yield where and what: the text of every hint, what is filled in left out."""
    for file in sorted(SOURCE.rglob("*.py")):
        if "plugin" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                texts = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
                text = " ".join(text for text in texts if isinstance(text, str))
                yield f"{file.relative_to(SOURCE)}:{node.value.lineno}", text


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _options(inner)


def test_hints_name_options_that_exist() -> None:
    known = {*_options(build_parser()), *OTHERS}
    unknown = [
        (where, option)
        for where, text in _hints()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
        if option not in known
    ]
    assert unknown == []


def test_hints_name_no_functions_of_python() -> None:
    odd = [
        (where, text)
        for where, text in _hints()
        if text not in FOR_PROGRAMMERS and _OF_PYTHON.search(FILES_OF_OTHERS.sub("", text))
    ]
    assert odd == []


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--crop", "4", "--architecture", "cnn-adaptive"), "--crop"),
        (("--architecture", "cnn", "--crop", "450"), "--architecture cnn-adaptive"),
        (("--folds", "2"), "--folds"),
        (("--folds", "40"), "--folds"),
    ],
)
def test_what_training_advises_is_an_option_of_it(cli, store, tmp_path, options, hint) -> None:
    table = tmp_path / "cohort.csv"
    lines = ["slide,label"]
    for number in range(4):
        twin = tmp_path / f"s{number}.nic.zarr"
        twin.symlink_to(store)
        lines.append(f"{twin},{'ab'[number % 2]}")
    table.write_text("\n".join(lines))
    outcome = cli("models", "train", table, "--out", tmp_path / "out", *options)
    assert outcome.code == 1
    assert hint in outcome.err.partition("what to do")[2]
