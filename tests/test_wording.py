from __future__ import annotations

import pytest

from napari_nic.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "shape", "0 shapes"),
        (1, "shape", "1 shape"),
        (2, "tissue cell", "2 tissue cells"),
        (1_204, "cell", "1,204 cells"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "patch", "2 patches"),
        (2, "box", "2 boxes"),
        (2, "study", "2 studies"),
        (2, "day", "2 days"),
    ],
)
def test_one_or_many(number, noun, text):
    assert counted(number, noun) == text


def test_irregular_plurals_are_given():
    assert counted(2, "vertex", "vertices") == "2 vertices"
    assert counted(1, "vertex", "vertices") == "1 vertex"
