"""Training of a tissue U-Net: pictures with masks, the paper's augmentation, Dice loss.

Public modules beside this list: ``objective``, ``train``; both load PyTorch.
"""

from napari_nic.training.tissue.pictures import pictures_of_slide, pictures_of_tiles
from napari_nic.training.tissue.recipe import UnetRecipe
from napari_nic.training.tissue.tiles import UNKNOWN, MaskedPicture, TissueTiles, split_pictures

__all__ = [
    "UNKNOWN",
    "MaskedPicture",
    "TissueTiles",
    "UnetRecipe",
    "pictures_of_slide",
    "pictures_of_tiles",
    "split_pictures",
]
