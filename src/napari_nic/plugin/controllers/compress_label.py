"""What the Compress button says: how many cells a click encodes, as far as that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_nic.pipeline import plan_coverage, plan_grid
from napari_nic.pipeline.plan import blocks_within
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.geometry import RegionPx
    from napari_nic.grid import PatchGrid
    from napari_nic.plugin.compress_options import CompressOptions
    from napari_nic.plugin.controllers.session import Session
    from napari_nic.tissue import TissueMask

NOTHING_FOUND = "No tissue found"
ALL_DONE = "Slide compressed"


def label_of_store(store: CompressedSlide, visible: RegionPx | None) -> str:
    """Say what going on in a store would do.

    Parameters
    ----------
    store : CompressedSlide
    visible : RegionPx or None
        Where a click stops, if it does not go on to the end.
    """
    encoded = store.encoded()
    missing = store.coverage & ~encoded
    left, total = int(missing.sum()), int(store.coverage.sum())
    if left == 0:
        return ALL_DONE if total else NOTHING_FOUND
    here = 0 if visible is None else _within(store.grid, missing, visible)
    if 0 < here < left:
        return f"C&ontinue here: {here:,} of {left:,} left"
    return f"C&ontinue: {left:,} of {total:,} left" if left < total else f"C&ompress {counted(left, 'cell')}"


def label_of_new(planned: int | None, *, anew: bool, whole: bool) -> str:
    """Say what making a store, or (if `anew`) making it once more, would do; None stands for not known."""
    if anew:
        return "C&ompress anew" if planned is None else f"C&ompress anew: {counted(planned, 'cell')}"
    if planned is not None:
        return f"C&ompress {counted(planned, 'cell')}"
    return "C&ompress slide" if whole else "C&ompress visible part"


def planned_cells(
    session: Session, tissue: TissueMask | None, options: CompressOptions, visible: RegionPx | None
) -> int | None:
    """Count the cells that a new store would have encoded; None while the tissue is not known."""
    slide, spec = session.slide, session.spec
    if slide is None or slide.pixel_size is None or tissue is None:
        return None
    how = options.completed(session.store).grid(spec.patch_size)
    grid = plan_grid(slide, spec, how)
    wanted, _ = plan_coverage(slide, grid, how, tissue=tissue)
    return int(wanted.sum()) if visible is None else _within(grid, wanted, visible)


def _within(grid: PatchGrid, cells: np.ndarray, region: RegionPx) -> int:
    """Count the cells of a mask (rows, cols) in the blocks that a region touches: these are encoded whole."""
    inside = np.zeros_like(cells)
    for block in blocks_within(grid, region):
        inside[block.cells(grid)] = True
    return int((cells & inside).sum())
