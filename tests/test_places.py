"""What documentation and file names promise is so: each question has a file, and it has what is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import napari_nic

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
SOURCE = Path(napari_nic.__file__).parent
ROW = re.compile(r"^\| (?P<question>[^|]+\?) \| `(?P<file>[^`]+)` \| `(?P<name>\w+)` \|$", re.MULTILINE)
LEAST = 10


def places() -> list[tuple[str, str, str]]:
    _, found, rest = PAGE.read_text("utf-8").partition("## Where is it?")
    assert found
    return [match.group("question", "file", "name") for match in ROW.finditer(rest.partition("\n## ")[0])]


def test_newcomers_questions_are_listed() -> None:
    assert len(places()) >= LEAST


@pytest.mark.parametrize(("question", "file", "name"), places())
def test_the_place_is_there(question: str, file: str, name: str) -> None:
    tree = ast.parse((SOURCE / file).read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert name in defined, question
