"""Training of patch encoders: patches, augmentation, losses and loops.

What is listed is imported when it is first asked for, so that ``napari-nic --help`` answers at once.

Public modules beside this list: ``augmentation``, ``checkpoint``, ``log``, ``loop``, ``objectives``,
``pictures``, ``publish``, ``sets``, ``teachers``, ``tissue``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_nic.training.options import TrainingProgress, TrainOptions
    from napari_nic.training.recipe import MARGIN, TrainRecipe
    from napari_nic.training.sets import GivenSources, StoreSet, TileFolders, TrainingSet
    from napari_nic.training.train import train_encoder

__all__ = [
    "MARGIN",
    "GivenSources",
    "StoreSet",
    "TileFolders",
    "TrainOptions",
    "TrainRecipe",
    "TrainingProgress",
    "TrainingSet",
    "train_encoder",
]

_HOME = {
    "MARGIN": "recipe",
    "GivenSources": "sets",
    "StoreSet": "sets",
    "TileFolders": "sets",
    "TrainOptions": "options",
    "TrainRecipe": "recipe",
    "TrainingProgress": "options",
    "TrainingSet": "sets",
    "train_encoder": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
