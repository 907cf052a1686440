"""Benchmarks and scripts that tests do not run still find what they import, within functions too."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in ("benchmarks", "scripts") for path in (ROOT / folder).rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(module, name)`` of each import of the project; the name is empty for a module alone."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_all_that_is_imported_is_there(path: Path) -> None:
    missing = []
    for module, name in _imports(path):
        if module.partition(".")[0] not in ("napari_nic", "napari_nic_experiments"):
            continue
        owner = importlib.import_module(module)
        if name and not hasattr(owner, name) and f"{module}.{name}" not in sys.modules:
            try:
                importlib.import_module(f"{module}.{name}")
            except ModuleNotFoundError:
                missing.append(f"{module}: {name}")
    assert not missing
