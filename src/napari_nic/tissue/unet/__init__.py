"""A small U-Net that tells tissue from glass: its description, its weights, and how a slide goes through it.

::

    slide --windows at about 4 um/px, lying over each other--> network --> share of tissue, blended --> mask

Public modules beside this list: ``net``, ``predict``; both load PyTorch.
"""

from napari_nic.tissue.unet.spec import PAPER_WIDTHS, UnetSpec, spec_text
from napari_nic.tissue.unet.store import (
    CARD_FILE,
    DEFAULT_UNET,
    SPEC_FILE,
    WEIGHTS_FILE,
    find_unet,
    list_unets,
    read_unet,
    user_unets_folder,
)

__all__ = [
    "CARD_FILE",
    "DEFAULT_UNET",
    "PAPER_WIDTHS",
    "SPEC_FILE",
    "WEIGHTS_FILE",
    "UnetSpec",
    "find_unet",
    "list_unets",
    "read_unet",
    "spec_text",
    "user_unets_folder",
]
