"""Slide -> :class:`TissueMask`: where there is tissue, and where glass, dust or pen."""

from napari_nic.tissue.find import TissueOptions, find_tissue, segment_tissue
from napari_nic.tissue.mask import TissueMask

__all__ = ["TissueMask", "TissueOptions", "find_tissue", "segment_tissue"]
