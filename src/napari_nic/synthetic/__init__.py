"""Histology slides made by code, with lesions of known outline: for tests, the demo and training."""

from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.slide import SyntheticSlide, write_slide
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

__all__ = ["Lesion", "Scene", "SyntheticSlide", "SyntheticSlideSpec", "write_slide"]
