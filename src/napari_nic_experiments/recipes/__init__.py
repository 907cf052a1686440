"""Recipes for public data sets: their layouts and labels in, the papers' protocols and tables out.

Importing this room loads no torch; it comes when something is compressed or trained.
"""

from napari_nic_experiments.recipes.camelyon16 import read_camelyon16
from napari_nic_experiments.recipes.model import RecipeCohort, RecipeSlide
from napari_nic_experiments.recipes.protocol import RecipeDone, SlideRecipe, run_slide_recipe, write_recipe
from napari_nic_experiments.recipes.published import TABLES, PublishedTable
from napari_nic_experiments.recipes.tissue9 import TileRecipe, find_tissue9, run_tile_recipe
from napari_nic_experiments.recipes.tupac16 import read_tupac16

__all__ = [
    "TABLES",
    "PublishedTable",
    "RecipeCohort",
    "RecipeDone",
    "RecipeSlide",
    "SlideRecipe",
    "TileRecipe",
    "find_tissue9",
    "read_camelyon16",
    "read_tupac16",
    "run_slide_recipe",
    "run_tile_recipe",
    "write_recipe",
]
