"""Augmentation of batches of patches: geometry, stains, colours, sharpness and noise, each patch by itself.

Options and presets need no PyTorch; :class:`Augmenter` and :func:`contact_sheet` are imported with it when
they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_nic.training.augmentation.options import PRESETS, AugmentOptions

if TYPE_CHECKING:
    from napari_nic.training.augmentation.augmenter import Augmenter
    from napari_nic.training.augmentation.sheet import contact_sheet

__all__ = ["PRESETS", "AugmentOptions", "Augmenter", "contact_sheet"]

_WITH_TORCH = {"Augmenter": "augmenter", "contact_sheet": "sheet"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
