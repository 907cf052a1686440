"""Slides and patches of synthetic histology, made by code: for tests, the demonstration and training."""

from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.patches import PatchSet, synthetic_patch_set, synthetic_patches
from napari_nic.synthetic.slide import SyntheticSlide, lesion_annotations, make_test_slide, write_slide
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

__all__ = [
    "Lesion",
    "PatchSet",
    "Scene",
    "SyntheticSlide",
    "SyntheticSlideSpec",
    "lesion_annotations",
    "make_test_slide",
    "synthetic_patch_set",
    "synthetic_patches",
    "write_slide",
]
