"""Recipes that join the rooms: the sample slide, the demonstration model, and the tour without a screen."""

from napari_nic.demo.cohort import CohortSlide, cohort_specs, compress_cohort
from napari_nic.demo.sample import demo_slide, samples_folder

__all__ = [
    "CohortSlide",
    "cohort_specs",
    "compress_cohort",
    "demo_slide",
    "samples_folder",
]
