"""Slide -> :class:`TissueMask`: where there is tissue, and where glass, dust or pen.

Public modules beside this list: ``unet``.
"""

from napari_nic.tissue.components import drop_small
from napari_nic.tissue.find import find_tissue, iter_find_tissue
from napari_nic.tissue.mask import TissueMask
from napari_nic.tissue.segment import TissueOptions, segment_tissue

__all__ = [
    "TissueMask",
    "TissueOptions",
    "drop_small",
    "find_tissue",
    "iter_find_tissue",
    "segment_tissue",
]
