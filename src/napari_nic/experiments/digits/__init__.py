"""The synthetic experiment of Tellez et al. 2019 (section 4.2): rectangles of digits.

Importing this room loads no torch; it comes when something is trained.
"""

from napari_nic.experiments.digits.glyphs import Glyphs, load_glyphs, read_mnist, sklearn_glyphs
from napari_nic.experiments.digits.images import DigitImages
from napari_nic.experiments.digits.layout import Canvas, DigitImage, draw_image, render

__all__ = [
    "Canvas",
    "DigitImage",
    "DigitImages",
    "Glyphs",
    "draw_image",
    "load_glyphs",
    "read_mnist",
    "render",
    "sklearn_glyphs",
]
