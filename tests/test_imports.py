"""Importing the library, or any room of its core, is light: no napari, no Qt, no torch."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import napari_nic

HEAVY = {"napari", "qtpy", "PySide6", "PyQt6", "magicgui", "superqt", "vispy", "torch", "captum", "sklearn"}

ROOMS = sorted(
    f"napari_nic.{module.name}"
    for module in pkgutil.iter_modules(napari_nic.__path__)
    if module.name != "plugin"
) + [f"napari_nic_experiments.{room}" for room in ("commands", "digits", "recipes", "tissue")]


def modules_after(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603
    return {name.partition(".")[0] for name in json.loads(answer.stdout.splitlines()[-1])}


@pytest.mark.parametrize("room", ["napari_nic", *ROOMS])
def test_room_loads_nothing_heavy(room: str) -> None:
    assert modules_after(f"import {room}") & HEAVY == set()


def test_a_slide_is_opened_without_what_stores_and_features_need() -> None:
    """They take as long to load as the slide takes to be opened."""
    statement = (
        "from napari_nic.plugin.readers import get_reader; assert get_reader('slide.svs')\n"
        "import napari_nic.plugin.widgets.dialogs, napari_nic.plugin.widgets.first_look"
    )
    assert modules_after(statement) & {"anndata", "h5py", "orjson", "pyarrow", "shapely", "zarr"} == set()
