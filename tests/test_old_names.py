"""Imports of the version before go on working, say what is called how, and hide nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import napari_nic
from napari_nic import old_names

MOVED = {
    ("napari_nic.compress", "compress"): ("napari_nic.pipeline", "iter_compress"),
    ("napari_nic.compress", "GridOptions"): ("napari_nic.pipeline", "GridOptions"),
    ("napari_nic.compress.pipeline", "usable_cores"): ("napari_nic.pipeline.run", "usable_cores"),
    ("napari_nic.compress.turns", "compress_turns"): (
        "napari_nic.pipeline.dihedral",
        "iter_compress_transformed",
    ),
    ("napari_nic.compressed", "CompressedSlide"): ("napari_nic.embeddings", "CompressedSlide"),
    ("napari_nic.compressed.header", "StoreHeader"): ("napari_nic.embeddings.header", "StoreHeader"),
    ("napari_nic.compressed.turns", "turned"): ("napari_nic.embeddings.dihedral", "apply_dihedral"),
    ("napari_nic.compressed.interchange.npy_format", "EXPORTER"): (
        "napari_nic.embeddings.interchange.npy_format",
        "EXPORTER",
    ),
}

PROGRAM = """
import warnings
warnings.simplefilter("error")
import napari_nic as nic
warnings.simplefilter("ignore")
from napari_nic.compress import compress, prepare_store, GridOptions
from napari_nic.compressed import CompressedSlide
import inspect
assert inspect.isgeneratorfunction(compress)
try:
    nic.compress("there is no such slide.svs", "mean-rgb")
except nic.NicError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(("old", "new"), MOVED.items(), ids=lambda value: value[0])
def test_earlier_imports_give_what_is_there_now(old: tuple[str, str], new: tuple[str, str]) -> None:
    expected = getattr(importlib.import_module(new[0]), new[1], None)
    if expected is None:
        pytest.fail(f"{new} is gone: the table is out of date")
    with pytest.warns(DeprecationWarning, match=f"is called {new[0]} now"):
        found = getattr(importlib.import_module(old[0]), old[1])
    assert found is expected


def test_the_function_can_be_called_after_the_earlier_import() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)  # noqa: S603
    assert done.stdout == "SlideNotFoundError\n", done.stderr


@pytest.mark.parametrize("name", ["napari_nic.compressed.no_such", "napari_nic.nothing"])
def test_what_never_was_is_not_found(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


def test_other_names_are_attribute_errors() -> None:
    module = importlib.import_module("napari_nic.compressed")
    with pytest.raises(AttributeError):
        _ = module.no_such_thing
    assert old_names.today("napari_nic.slides") is None
    assert "compress" in dir(napari_nic)
