"""``import napari_nic``: light, complete, and never hidden by a room of the same name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import napari_nic

PUBLIC = {
    "CancellationToken",
    "NicError",
    "__version__",
    "compress",
    "find_tissue",
    "load_encoder",
    "load_model",
    "open_compressed",
    "open_slide",
    "pca",
    "predict",
    "read_annotations",
    "saliency",
}
"""Changing this list is a decision: others' code breaks by it."""

ONLY_STANDARD = """
import sys
before = {name.partition(".")[0] for name in sys.modules}
import napari_nic
after = {name.partition(".")[0] for name in sys.modules} - before - set(sys.stdlib_module_names)
import json
print(json.dumps(sorted(after)))
"""

ALL_ROOMS = """
import importlib, json, pkgutil
import napari_nic
for module in pkgutil.walk_packages(napari_nic.__path__, "napari_nic."):
    if not module.name.startswith("napari_nic.plugin") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
kinds = {name: type(getattr(napari_nic, name)).__name__ for name in napari_nic.__all__}
print(json.dumps(kinds))
"""


def answer(program: str) -> Any:
    """Run a program in a fresh interpreter and read what it prints."""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_public_is_written_down() -> None:
    assert set(napari_nic.__all__) == PUBLIC
    assert set(dir(napari_nic)) >= PUBLIC


def test_importing_loads_nothing_but_the_standard_library() -> None:
    assert answer(ONLY_STANDARD) == ["napari_nic"]


def test_no_room_hides_a_call() -> None:
    kinds = answer(ALL_ROOMS)
    assert kinds.pop("__version__") == "str"
    assert kinds.pop("NicError") == kinds.pop("CancellationToken") == "type"
    assert set(kinds.values()) == {"function"}


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'compres'"):
        _ = napari_nic.compres


def test_the_readme_is_right(tmp_path: Path, slide_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(slide_path, tmp_path / "slide.svs")
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)  # noqa: S102 -- our own page
    assert names["array"].shape[2] == 128
    assert names["tissue"].any()
