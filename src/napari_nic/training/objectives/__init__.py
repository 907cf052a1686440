"""The ways of training an encoder, by name; each is imported when it is used.

Public modules beside this list: ``base``, ``bigan``, ``contrastive``, ``distill``, ``supervised``,
``vae``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.registry import Registry

if TYPE_CHECKING:
    from napari_nic.training.objectives.base import Objective

OBJECTIVES: Registry[type[Objective]] = Registry("way of training")
_HERE = "napari_nic.training.objectives"
OBJECTIVES.register("vae", f"{_HERE}.vae:VaeObjective")
OBJECTIVES.register("contrastive", f"{_HERE}.contrastive:ContrastiveObjective")
OBJECTIVES.register("bigan", f"{_HERE}.bigan:BiganObjective")
OBJECTIVES.register("supervised", f"{_HERE}.supervised:SupervisedObjective")
OBJECTIVES.register("multitask", f"{_HERE}.supervised:MultitaskObjective")
OBJECTIVES.register("vicreg", f"{_HERE}.vicreg:VicregObjective")
OBJECTIVES.register("distill", f"{_HERE}.distill:DistillObjective")

WITH_TEACHERS = frozenset({"distill"})
"""Ways that learn from other encoders, which have to be named."""

__all__ = ["OBJECTIVES", "WITH_TEACHERS"]
