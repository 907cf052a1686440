"""Names of earlier versions: what files call otherwise, and imports that go on working for this version."""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PLAN_AUGMENTATION = {
    "turned patches, encoded anew": "transformed patches, encoded anew",
    "turned places of codes": "transformed places of codes",
}
"""Values of ``augmentation`` among the settings of a training's plan (``plan.json``)."""

ROOMS = {"napari_nic.compressed": "napari_nic.embeddings", "napari_nic.compress": "napari_nic.pipeline"}
FILES = {"napari_nic.embeddings.turns": "napari_nic.embeddings.dihedral"} | {
    f"napari_nic.pipeline.{old}": f"napari_nic.pipeline.{new}"
    for old, new in (("turns", "dihedral"), ("pipeline", "run"))
}
NAMES = {
    "compress": "iter_compress",
    "compress_turns": "iter_compress_transformed",
    "TURNS": "N_DIHEDRAL",
    "turned": "apply_dihedral",
    "turned_back": "undo_dihedral",
    "open_turns": "open_transformed",
    "turn_path": "transformed_path",
}


def today(module: str) -> str | None:
    """Return what a module of an earlier version is called now; None for any other."""
    for old, new in ROOMS.items():
        if module == old or module.startswith(f"{old}."):
            moved = new + module.removeprefix(old)
            return FILES.get(moved, moved)
    return None


class EarlierModule(ModuleType):
    """Stands for a module under its earlier name: hands on what the one of today holds, and says so.

    ``napari_nic.compress`` is a function now, and a room's earlier name: imported as that, it can still be
    called as this.
    """

    def __getattr__(self, name: str) -> Any:
        """Return what today's module calls so, or calls otherwise now."""
        new = today(self.__name__)
        if new is None or name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(new)
        value = getattr(module, NAMES.get(name, name), None)
        if value is None:
            value = getattr(module, name)
        warnings.warn(f"{self.__name__} is called {new} now", DeprecationWarning, stacklevel=2)
        return value

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Compress a slide; see :func:`napari_nic.compress`."""
        return importlib.import_module("napari_nic.calls").compress(*args, **options)


class EarlierNames:
    """Finds modules by the names that they had in earlier versions."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG004
        """Return how to make a stand-in; None for any other module."""
        new = today(name)
        if new is None:
            return None
        try:
            importlib.import_module(new)
        except ModuleNotFoundError:
            return None
        finder: Any = EarlierNames  # it has the methods of a loader that are called
        return ModuleSpec(name, finder, is_package=True)

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """Make the stand-in."""
        return EarlierModule(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """There is nothing to run: names are looked up when they are asked for."""


def install() -> None:
    """Let earlier names of modules be found, after all that are there."""
    finders: list[Any] = sys.meta_path
    if EarlierNames not in finders:
        finders.append(EarlierNames)
