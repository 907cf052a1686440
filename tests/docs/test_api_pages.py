"""The API reference holds every public name of every room, whatever the rooms are called."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_extensions"


@pytest.fixture
def api_pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    yield importlib.import_module("api_pages")
    sys.modules.pop("api_pages")


def test_every_public_name_has_its_entry(api_pages: Any) -> None:
    modules = api_pages.documented_modules()
    assert len(modules) > 10
    for module in modules:
        lines = api_pages.page(module).splitlines()
        for name in api_pages.public_names(module):
            assert [line for line in lines if line.startswith(".. ") and line.endswith(f":: {name}")], name


def test_names_are_sorted_by_what_they_are(api_pages: Any) -> None:
    room = types.ModuleType("napari_nic.grid")  # a name that there is: sources of values are looked up
    room.__dict__.update(Thing=type("Thing", (), {}), call=lambda: None, TEXT="text", Alias=list[int])
    room.__all__ = ["Alias", "TEXT", "Thing", "call"]
    text = api_pages.page(room)
    entries = [line for line in text.splitlines() if line.startswith(".. a") and "summary" not in line]
    assert entries[1:] == [".. autofunction:: call", ".. autoclass:: Thing"]
    assert "   :value: 'text'" in text
    assert ".. py:data:: Alias" in text


def test_what_is_said_of_a_value_is_found_where_it_was_imported_from(api_pages: Any) -> None:
    module = importlib.import_module("napari_nic.annotations")
    assert "Label of a shape without a class" in api_pages.page(module)


def test_values_that_tell_nothing_are_not_shown(api_pages: Any) -> None:
    pages = "".join(api_pages.page(module) for module in api_pages.documented_modules())
    assert " at 0x" not in pages
