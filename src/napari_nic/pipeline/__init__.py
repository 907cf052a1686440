"""Slide + encoder -> compressed slide: the pipeline, as a generator of progress.

Public modules beside this list: ``plan``.
"""

from napari_nic.pipeline.dihedral import iter_compress_transformed
from napari_nic.pipeline.mask_files import MASK_SUFFIX, is_mask_picture, read_mask, write_mask
from napari_nic.pipeline.outlines import TissueOutlines, read_tissue
from napari_nic.pipeline.prepare import (
    MIN_TISSUE,
    GridOptions,
    iter_prepare_store,
    plan_coverage,
    plan_grid,
    precision_to_go_on,
    prepare_store,
)
from napari_nic.pipeline.progress import BlockCodes, BlocksDone
from napari_nic.pipeline.run import iter_compress, usable_cores
from napari_nic.pipeline.workers import encode_padded, step_back

__all__ = [
    "MASK_SUFFIX",
    "MIN_TISSUE",
    "BlockCodes",
    "BlocksDone",
    "GridOptions",
    "TissueOutlines",
    "encode_padded",
    "is_mask_picture",
    "iter_compress",
    "iter_compress_transformed",
    "iter_prepare_store",
    "plan_coverage",
    "plan_grid",
    "precision_to_go_on",
    "prepare_store",
    "read_mask",
    "read_tissue",
    "step_back",
    "usable_cores",
    "write_mask",
]
