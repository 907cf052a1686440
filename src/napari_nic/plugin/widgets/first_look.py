"""What a slide without small levels needs before it is shown: all of its pixels, once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag
from napari_nic.plugin.widgets.waiting import Told, wait_for
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

LARGE_PIXELS = 2**27
"""A coarsest level of more pixels takes a second and more to be read: the window must live meanwhile."""


def is_ready(layer: LayerData, parent: QWidget | None) -> bool:
    """Make a slide's overview where napari would hold up the window to make it.

    Parameters
    ----------
    layer : LayerData
        That will be added to the viewer next; of any kind.
    parent : QWidget or None
        The window that waits.

    Returns
    -------
    bool
        False if the user cancelled: the layer is not to be added.
    """
    tag = layer[1].get("metadata", {}).get(METADATA_KEY)
    if not isinstance(tag, LayerTag) or tag.twin is None:
        return True
    return wait_for_overview(tag.twin, parent)


def wait_for_overview(slide: Slide, parent: QWidget | None) -> bool:
    """Make the overview of a slide whose coarsest level is large, behind a bar with Cancel.

    Parameters
    ----------
    slide : Slide
        As it will be shown.
    parent : QWidget or None
        The window that waits.

    Returns
    -------
    bool
        False if the user cancelled.
    """
    halvings = slide.halvings[-1]
    if not halvings.levels or math.prod(slide.levels[-1].shape) <= LARGE_PIXELS:
        return True

    def fill(told: Told) -> bool:
        for progress in halvings.iter_fill():
            told(progress)
        return True

    return bool(wait_for(f"Reading {slide.name}, which has no small levels", fill, parent))
