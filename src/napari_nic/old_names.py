"""Names of earlier versions: what files call otherwise, and imports that go on working for this version."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PLAN_AUGMENTATION = {
    "turned patches, encoded anew": "transformed patches, encoded anew",
    "turned places of codes": "transformed places of codes",
}
"""Values of ``augmentation`` among the settings of a training's plan (``plan.json``)."""
TRAINING_SETTINGS = {"rate": "learning_rate", "least_rate": "final_learning_rate"}
"""Of a slide model's training, in plans, checkpoints and model cards; ``l2`` is half of ``weight_decay``."""

ROOMS = {
    "napari_nic.compressed": "napari_nic.embeddings",
    "napari_nic.compress": "napari_nic.pipeline",
    "napari_nic.experiments": "napari_nic_experiments",
}
FILES = {"napari_nic.embeddings.turns": "napari_nic.embeddings.dihedral"} | {
    f"napari_nic.pipeline.{old}": f"napari_nic.pipeline.{new}"
    for old, new in (("turns", "dihedral"), ("pipeline", "run"))
}
FILES |= {
    f"napari_nic_experiments.tissue.{old}": f"napari_nic.synthetic.cohorts.{new}"
    for old, new in (
        ("cohort", "writing"),
        *((name, name) for name in ("mosaic", "parts", "plan", "regions", "stock")),
    )
}
MOVED = {
    "napari_nic.encoders.device": "napari_nic.device",
    "napari_nic.slide_models.metrics": "napari_nic.metrics",
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

MEMBERS = {
    "napari_nic.cohorts": {"judge_bundle": "napari_nic.cohorts.evaluate_bundle"},
    "napari_nic.cohorts.evaluation": {"judge_bundle": "napari_nic.cohorts.evaluate_bundle"},
    "napari_nic.embeddings.header": {"IDENTITY_KEYS": "napari_nic.identity.KEYS"},
    "napari_nic.slide_models": {"BundleCard": "napari_nic.slide_models.ModelCard"},
    "napari_nic.slide_models.card": {"BundleCard": "napari_nic.slide_models.ModelCard"},
    "napari_nic.slide_models.inference": {"Judge": "napari_nic.slide_models.inference.Predictor"},
    "napari_nic.slide_models.inputs": {
        "judging_corners": "napari_nic.slide_models.inputs.prediction_corners"
    },
    "napari_nic.training.recipe": {"train_encoder": "napari_nic.training.train.train_encoder"},
}
"""What modules that are still there held by other names, or held at all; they ask :func:`members_of`."""


def training_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a slide model's training, as a file states them, by their names of today."""
    named = {TRAINING_SETTINGS.get(name, name): value for name, value in settings.items()}
    if isinstance(named.get("l2"), int | float):
        # The penalty was l2 * w**2, whose gradient is 2 * l2 * w; Adam's weight decay is what is added to it.
        named["weight_decay"] = 2 * named.pop("l2")
    return named


def training_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint of a slide model's training records, by the names of today.

    Raises
    ------
    AttributeError, LookupError, TypeError
        If it is no such record.
    """
    identity = record["identity"]
    return {
        **training_settings(record),
        "identity": {**identity, "settings": training_settings(identity["settings"])},
        "history": [training_settings(done) for done in record["history"]],
    }


def members_of(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module some of whose names are called otherwise now."""

    def look_up(name: str) -> Any:
        new = MEMBERS[module].get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is called {new} now", DeprecationWarning, stacklevel=2)
        return _found(new)

    return look_up


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def today(module: str) -> str | None:
    """Return what a module of an earlier version is called now; None for any other."""
    if module in MOVED:
        return MOVED[module]
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
        if name in MEMBERS.get(new, {}):
            value = _found(MEMBERS[new][name])
        else:
            value = getattr(module, NAMES[name] if hasattr(module, NAMES.get(name, "")) else name)
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
    """Let earlier names of modules be found.

    Before all others: what an update leaves of a folder that is no longer there (``__pycache__``) would be
    taken for a package without contents.
    """
    finders: list[Any] = sys.meta_path
    if EarlierNames not in finders:
        finders.insert(0, EarlierNames)
