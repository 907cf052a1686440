"""Slide + encoder -> compressed slide: the pipeline, as a generator of progress."""

from napari_nic.compress.pipeline import BlockCodes, BlocksDone, compress, encode_padded, usable_cores
from napari_nic.compress.prepare import MIN_TISSUE, GridOptions, plan_coverage, plan_grid, prepare_store

__all__ = [
    "MIN_TISSUE",
    "BlockCodes",
    "BlocksDone",
    "GridOptions",
    "compress",
    "encode_padded",
    "plan_coverage",
    "plan_grid",
    "prepare_store",
    "usable_cores",
]
