"""No file imports another one that imports it, by whatever way round: one can be read before the other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import napari_nic

SOURCE = Path(napari_nic.__file__).parents[1]
FILES = {
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file
    for package in ("napari_nic", "napari_nic_experiments")
    for file in sorted((SOURCE / package).rglob("*.py"))
}


def imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All imports below a node, inside functions too; those for type checkers alone are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from imports(child)


def imported(text: str) -> set[str]:
    """Our own modules that a source imports."""
    found = set()
    for node in imports(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in FILES}


def graph() -> dict[str, set[str]]:
    """What each file imports. A package stands for its own ``__init__`` only where a name of it is taken."""
    edges = {}
    for name, file in FILES.items():
        found = imported(file.read_text("utf-8"))
        # ``from napari_nic.room import file`` names the file; the front door imports when it is asked.
        edges[name] = {other for other in found if not other.startswith(f"{name}.")} - {name, "napari_nic"}
    return edges


def test_no_circle_between_files() -> None:
    edges = graph()
    packages = {name for name, file in FILES.items() if file.name == "__init__.py"}
    # A file of a room that imports another one loads the room's __init__, which loads the file: that is how
    # packages work, and no circle as long as the file asks for files, not for the room.
    for name, others in edges.items():
        edges[name] = {o for o in others if not (o in packages and name.startswith(f"{o}."))}
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_search_finds_circles() -> None:
    text = "from napari_nic import wording\n\ndef f():\n    import napari_nic.errors\n"
    assert imported(text) == {"napari_nic", "napari_nic.wording", "napari_nic.errors"}
    assert imported("if TYPE_CHECKING:\n    import napari_nic.errors\n") == set()
