"""Recipes that join the rooms: the sample slide, the demonstration model, and the tour without a screen."""

from napari_nic.demo.cohort import CohortSlide, cohort_specs, compress_cohort
from napari_nic.demo.pictures import save_picture, slide_picture
from napari_nic.demo.sample import demo_slide, is_made, samples_folder
from napari_nic.demo.tour import DemoDone, run_demo
from napari_nic.demo.training import DEMO_BUNDLE, BundleTrained, DemoTraining, train_demo_bundle

__all__ = [
    "DEMO_BUNDLE",
    "BundleTrained",
    "CohortSlide",
    "DemoDone",
    "DemoTraining",
    "cohort_specs",
    "compress_cohort",
    "demo_slide",
    "is_made",
    "run_demo",
    "samples_folder",
    "save_picture",
    "slide_picture",
    "train_demo_bundle",
]
