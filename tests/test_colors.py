"""One palette: what is said in a colour is told by all eyes, and alike everywhere."""

from __future__ import annotations

import ast
from pathlib import Path

import napari_nic
from napari_nic.annotations import label_colors
from napari_nic.colors import CLASS_COLORS, FURTHER, PALETTE, class_colors, from_hex, to_hex


def test_classes_take_the_palette_in_their_order() -> None:
    assert sorted(CLASS_COLORS) == sorted(PALETTE)
    assert class_colors(9) == (*CLASS_COLORS, *CLASS_COLORS[:2])
    assert set(label_colors("abcdefg").values()) == set(PALETTE), "labels take the same colours"


def test_hex_and_back() -> None:
    assert [from_hex(to_hex(color)) for color in PALETTE] == list(PALETTE)
    assert from_hex("red") is None


def test_the_palette_is_written_once() -> None:
    root = Path(napari_nic.__file__).parent
    for file in root.rglob("*.py"):
        if file != root / "colors.py":
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Tuple):
                    color = tuple(part.value for part in node.elts if isinstance(part, ast.Constant))
                    assert color not in (*PALETTE, *FURTHER), f"{file}:{node.lineno}"
