"""The registry: order, laziness, unknown names."""

from __future__ import annotations

import sys

import pytest

from napari_nic.errors import UnknownNameError
from napari_nic.registry import Registry


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that can be imported, and says when it is."""
    (tmp_path / "lazy_entry.py").write_text("value = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "lazy_entry"
    sys.modules.pop("lazy_entry", None)


def test_names_keep_their_order():
    registry = Registry("thing")
    for name in ("c", "a", "b"):
        registry.register(name, object())
    registry.register("a", object())
    assert registry.names() == tuple(registry) == ("c", "a", "b")
    assert "a" in registry
    assert "z" not in registry


def test_entries_given_directly():
    registry, thing = Registry("thing"), object()
    registry.register("one", thing)
    assert registry.get("one") is thing


def test_addresses_are_imported_at_first_use_only(module):
    registry = Registry("thing")
    registry.register("late", f"{module}:value")
    assert "late" in registry
    assert module not in sys.modules
    first = registry.get("late")
    assert first is sys.modules[module].value
    sys.modules.pop(module)
    assert registry.get("late") is first  # resolved once


def test_an_unknown_name_lists_the_known_ones():
    registry = Registry("thing")
    with pytest.raises(UnknownNameError, match=r"(?s)unknown thing 'x'.*one of none"):
        registry.get("x")
    registry.register("a", object())
    registry.register("b", object())
    with pytest.raises(LookupError, match="one of a, b"):
        registry.get("x")


@pytest.mark.parametrize("address", ["no_such_module_at_all:value", "json:no_such_attribute"])
def test_a_wrong_address_fails_when_used(address):
    registry = Registry("thing")
    registry.register("broken", address)
    with pytest.raises((ImportError, AttributeError)):
        registry.get("broken")
    assert "broken" in registry
