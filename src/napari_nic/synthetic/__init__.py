"""Slides and patches of synthetic histology, made by code: for tests, the demonstration and training.

Public modules beside this list: ``cohorts``.
"""

from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.live import open_painting
from napari_nic.synthetic.overviews import VARIANTS, OverviewSpec, PaintedOverview, paint_overview
from napari_nic.synthetic.patches import PatchSet, synthetic_patch_set, synthetic_patches
from napari_nic.synthetic.pyramid import Painting, write_pyramid
from napari_nic.synthetic.slide import SyntheticSlide, lesion_annotations, make_test_slide, write_slide
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

__all__ = [
    "VARIANTS",
    "Lesion",
    "OverviewSpec",
    "PaintedOverview",
    "Painting",
    "PatchSet",
    "Scene",
    "SyntheticSlide",
    "SyntheticSlideSpec",
    "lesion_annotations",
    "make_test_slide",
    "open_painting",
    "paint_overview",
    "synthetic_patch_set",
    "synthetic_patches",
    "write_pyramid",
    "write_slide",
]
