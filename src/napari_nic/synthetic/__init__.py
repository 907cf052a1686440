"""Histology slides made by code, with lesions of known outline: for tests, the demo and training."""

from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.patches import Patches, synthetic_patches
from napari_nic.synthetic.slide import SyntheticSlide, write_slide
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

__all__ = [
    "Lesion",
    "Patches",
    "Scene",
    "SyntheticSlide",
    "SyntheticSlideSpec",
    "synthetic_patches",
    "write_slide",
]
