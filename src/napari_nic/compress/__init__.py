"""Slide + encoder -> compressed slide: the pipeline, as a generator of progress."""

from napari_nic.compress.pipeline import compress, usable_cores
from napari_nic.compress.prepare import (
    MIN_TISSUE,
    GridOptions,
    plan_coverage,
    plan_grid,
    prepare_store,
    preparing_store,
)
from napari_nic.compress.progress import BlockCodes, BlocksDone
from napari_nic.compress.turns import compress_turns
from napari_nic.compress.workers import encode_padded

__all__ = [
    "MIN_TISSUE",
    "BlockCodes",
    "BlocksDone",
    "GridOptions",
    "compress",
    "compress_turns",
    "encode_padded",
    "plan_coverage",
    "plan_grid",
    "prepare_store",
    "preparing_store",
    "usable_cores",
]
