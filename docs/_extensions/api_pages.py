"""Write one page of API reference for each room, from what its ``__init__`` lists as public.

Nothing here names a room: a package of `PACKAGE` with ``__all__`` gets a page under the name that it has, and
so does `PACKAGE` itself. Of the modules beside the rooms, those in `MODULES` are public, each with a page.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sphinx.pycode import ModuleAnalyzer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGE = "napari_nic"
MODULES = ("errors", "geometry", "grid", "jobs")
FOLDER = "api"

SHORT = 60
"""Longest value, as text, that is shown of a constant."""


def public_names(module: ModuleType) -> list[str]:
    """Names that a module lists, or defines itself without an underscore."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [name for name in listed if not name.startswith("_")]
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]


def documented_modules() -> list[ModuleType]:
    """Import the package and its rooms that have a public list, and the public modules beside them."""
    package = importlib.import_module(PACKAGE)
    found = [package] if hasattr(package, "__all__") else []
    for info in pkgutil.iter_modules(package.__path__):
        if not info.ispkg and info.name not in MODULES:
            continue
        module = importlib.import_module(f"{PACKAGE}.{info.name}")
        if public_names(module):
            found.append(module)
    return found


def page_name(module: ModuleType) -> str:
    """Return the name of a room's page; that of the package itself comes first."""
    return "_package" if module.__name__ == PACKAGE else module.__name__.removeprefix(f"{PACKAGE}.")


def page(module: ModuleType) -> str:
    """Return the page of a room: what it is, a table of its names, and each of them in full."""
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Values": []}
    for name in sorted(public_names(module), key=str.lower):
        thing = getattr(module, name)
        kind = "Classes" if inspect.isclass(thing) else "Functions" if inspect.isroutine(thing) else "Values"
        kinds[kind].append(name)
    text = [_title(module.__name__, "="), f".. automodule:: {module.__name__}\n   :no-members:\n"]
    text.append(f".. currentmodule:: {module.__name__}\n")
    for kind, names in kinds.items():
        if not names:
            continue
        text.append(_title(kind, "-"))
        if kind != "Values":
            table = "".join(f"   {name}\n" for name in names)
            text.append(f".. autosummary::\n   :nosignatures:\n\n{table}")
        text += [_entry(module, name, kind) for name in names]
    return "\n".join(text)


def _title(text: str, underline: str) -> str:
    return f"{text}\n{underline * len(text)}\n"


def _entry(module: ModuleType, name: str, kind: str) -> str:
    if kind == "Functions":
        return f".. autofunction:: {name}\n"
    if kind == "Classes":
        return f".. autoclass:: {name}\n   :members:\n"
    value = repr(getattr(module, name))
    tells = len(value) <= SHORT and not value.startswith("<")
    shown = f"   :value: {value}\n" if tells else ""
    doc = "".join(f"   {line}\n" for line in _doc_of_value(module.__name__, name))
    return f".. py:data:: {name}\n{shown}\n{doc}"


def _doc_of_value(module_name: str, name: str) -> list[str]:
    """Find what is said below an assignment, in the module that the value was imported from."""
    analyzer = ModuleAnalyzer.for_module(module_name)
    documented = analyzer.find_attr_docs()
    if ("", name) in documented:
        return documented["", name]
    for node in ast.walk(ast.parse(analyzer.code)):
        if isinstance(node, ast.ImportFrom) and any(each.name == name for each in node.names):
            return _doc_of_value(node.module or "", name)
    return []


def write_pages(app: Sphinx) -> None:
    """Write all pages anew into the folder `FOLDER` of the sources."""
    folder = Path(app.srcdir) / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for module in documented_modules():
        (folder / f"{page_name(module)}.rst").write_text(page(module), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
