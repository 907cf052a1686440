"""Slide -> :class:`TissueMask`: where there is tissue, and where glass, dust or pen."""

from napari_nic.tissue.find import find_tissue, iter_find_tissue
from napari_nic.tissue.mask import TissueMask
from napari_nic.tissue.segment import TissueOptions, segment_tissue

__all__ = ["TissueMask", "TissueOptions", "find_tissue", "iter_find_tissue", "segment_tissue"]
