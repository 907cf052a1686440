"""The synthetic experiment of Tellez et al. 2019 (section 4.2): rectangles of digits.

Importing this room loads no torch; it comes when something is trained.
"""

from napari_nic_experiments.digits.glyphs import Glyphs, load_glyphs, read_mnist, sklearn_glyphs
from napari_nic_experiments.digits.images import DigitImages
from napari_nic_experiments.digits.layout import Canvas, DigitImage, draw_image, render
from napari_nic_experiments.digits.plan import PRESETS, Cell, Preset, get_preset
from napari_nic_experiments.digits.run import Experiment, ExperimentDone, run_experiment

__all__ = [
    "PRESETS",
    "Canvas",
    "Cell",
    "DigitImage",
    "DigitImages",
    "Experiment",
    "ExperimentDone",
    "Glyphs",
    "Preset",
    "draw_image",
    "get_preset",
    "load_glyphs",
    "read_mnist",
    "render",
    "run_experiment",
    "sklearn_glyphs",
]
