"""Rooms take of each other what the other's ``__init__`` lists, or says is a public module.

A room is a package below ``napari_nic``. What is public is its ``__all__``, and the modules that the
docstring of its ``__init__`` names after "Public modules": those that load PyTorch, and those that are a
subject of their own. All else is the room's own business and may change.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import napari_nic

SOURCE = Path(napari_nic.__file__).parents[1]
FILES = sorted([*(SOURCE / "napari_nic").rglob("*.py"), *(SOURCE / "napari_nic_experiments").rglob("*.py")])
ROOMS = sorted(file.parent.name for file in (SOURCE / "napari_nic").glob("*/__init__.py"))
FACES = {"cli", "plugin"}
"""Rooms on top: they are started, and have no list."""


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def init(package: str) -> Path:
    return SOURCE.joinpath(*package.split("."), "__init__.py")


@cache
def public_modules(package: str) -> frozenset[str]:
    """Names of the modules that the docstring of a package's ``__init__`` says are public."""
    text = ast.get_docstring(tree(init(package))) or ""
    _, said, rest = text.partition("Public modules")
    return frozenset(re.findall(r"``(\w+)``", rest.partition("\n\n")[0])) if said else frozenset()


@cache
def listed(package: str) -> frozenset[str]:
    """Names in ``__all__`` of a package; none of a module."""
    if not init(package).is_file():
        return frozenset()
    for node in tree(init(package)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def room_of(module: str) -> str:
    """The room of a module; files beside the rooms, and the experiments, are rooms of their own."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "napari_nic" else parts[0]


def is_public_module(module: str) -> bool:
    """Whether each package on the way to a module says that the next one is public; rooms themselves are."""
    parts = module.split(".")
    return all(parts[i] in public_modules(".".join(parts[:i])) for i in range(2, len(parts)))


def wrong(importer: str, module: str, names: list[str]) -> Iterator[str]:
    """What of an import is none of the importer's business."""
    room = room_of(module)
    if room not in ROOMS or room == room_of(importer):
        return
    for name in names:
        is_module = (SOURCE / Path(*module.split("."), name)).with_suffix(".py").is_file()
        if name in listed(module) and is_public_module(module):
            continue
        if name.startswith("_"):
            yield f"{importer} takes {name} of {module}, which begins with an underscore"
        elif is_module or init(f"{module}.{name}").is_file():
            if not is_public_module(f"{module}.{name}"):
                yield f"{importer} takes {module}.{name}, which is no public module"
        elif init(module).is_file() and name not in listed(module):
            yield f"{importer} takes {name} of {module}, which does not list it"
        elif not is_public_module(module):
            yield f"{importer} takes {name} of {module}, which is no public module"


def imports(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Modules of ours that a file imports from, and the names, inside functions and for type checkers too."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("napari_nic"):
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parent, _, name = alias.name.rpartition(".")
                if parent.startswith("napari_nic"):
                    yield parent, [name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_rooms_take_what_is_listed(file: Path) -> None:
    importer = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    found = [line for module, names in imports(file) for line in wrong(importer, module, names)]
    assert not found


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in FACES])
def test_what_is_listed_is_there(room: str) -> None:
    package = f"napari_nic.{room}"
    module = importlib.import_module(package)
    assert listed(package), "a room lists what is public"
    assert [name for name in listed(package) if not hasattr(module, name)] == []
    folder = init(package).parent
    missing = [
        name
        for name in public_modules(package)
        if not (folder / f"{name}.py").is_file() and not (folder / name / "__init__.py").is_file()
    ]
    assert not missing


def test_a_wrong_import_is_found() -> None:
    cases = {
        ("napari_nic.cli.info", "napari_nic.slides.opening", "open_slide"): "is no public module",
        ("napari_nic.cli.info", "napari_nic.slides", "_private"): "begins with an underscore",
        ("napari_nic.cli.info", "napari_nic.slides", "no_such_name"): "does not list it",
        ("napari_nic.cli.info", "napari_nic.slides", "opening"): "is no public module",
        ("napari_nic_experiments.x", "napari_nic.encoders.external.loading", "x"): "is no public module",
    }
    for (importer, module, name), said in cases.items():
        (found,) = wrong(importer, module, [name])
        assert said in found
    assert not list(wrong("napari_nic.slides.slide", "napari_nic.slides.opening", ["open_slide"]))
    assert not list(wrong("napari_nic.cli.info", "napari_nic.slides", ["open_slide"]))
    assert not list(wrong("napari_nic.cli.info", "napari_nic.encoders.external.trust", ["is_trusted"]))
