"""Training of a tissue U-Net: pictures with masks, the paper's augmentation, Dice loss.

Public modules beside this list: ``objective``, ``train``; both load PyTorch.
"""

from napari_nic.training.tissue.recipe import UnetRecipe
from napari_nic.training.tissue.tiles import MaskedPicture, TissueTiles, split_pictures

__all__ = ["MaskedPicture", "TissueTiles", "UnetRecipe", "split_pictures"]
