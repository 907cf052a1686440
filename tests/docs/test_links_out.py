"""Links out of the documentation lead to the repository; those within it stay."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_extensions"
BASE = "https://example.org/blob/main/"


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("encoders", "../src/a/CARD.md", f"{BASE}src/a/CARD.md"),
        ("tutorials/annotate", "../../benchmarks/b.json", f"{BASE}benchmarks/b.json"),
        ("tutorials/annotate", "../screenshot.png", "../screenshot.png"),
        ("tutorials/annotate", "../formats.md#pixel-size", "../formats.md#pixel-size"),
        ("index", "tutorials/annotate.md", "tutorials/annotate.md"),
    ],
)
def test_links(page: str, link: str, led: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    links_out = importlib.import_module("links_out")
    assert links_out.led_to_repository(page, f"see [it]({link}).", BASE) == f"see [it]({led})."
