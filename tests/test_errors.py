"""Errors: one family, builtin kinds, and texts that say file, expected, found and what to do."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from napari_nic import errors
from napari_nic.errors import NicError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, NicError) and kind is not NicError
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_is_a_builtin_error_too(kind):
    builtin = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert len(builtin) > len(NicError.__mro__) - 1  # more than Exception, BaseException and object
    assert kind.__doc__


@pytest.mark.parametrize("kind", [NicError, *KINDS], ids=lambda kind: kind.__name__)
def test_text_has_all_parts_in_order(kind):
    error = kind("is odd", path="a/b.svs", expected="even", found="odd", hint="add one")
    assert str(error) == (f"{Path('a/b.svs')}: is odd\n  expected: even\n  found: odd\n  what to do: add one")
    assert error.file == Path("a/b.svs")
    assert (error.problem, error.expected, error.found, error.hint) == ("is odd", "even", "odd", "add one")


def test_text_without_parts_is_the_problem():
    assert str(NicError("is odd")) == "is odd"
    assert NicError("is odd").file is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_builtin_base_does_not_change_the_text(kind):
    """KeyError-like bases would quote it, OSError would look for an errno."""
    with pytest.raises(NicError) as caught:
        raise kind("is 'odd'", hint="add one")
    assert str(caught.value) == "is 'odd'\n  what to do: add one"
