"""A table of codes back to a grid: checked, and written as a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import napari_nic
from napari_nic.disk import replacing_folder
from napari_nic.embeddings import layout
from napari_nic.embeddings.creating import check_replaceable
from napari_nic.embeddings.header import MOST_CELLS, StoreHeader
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints, slabs
from napari_nic.embeddings.layout import BLOCK
from napari_nic.embeddings.shards import block_cells
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import FEATURE_SUFFIXES, without_suffix
from napari_nic.wording import counted

ROUNDING_PX = 0.5 + 1e-6
"""Coordinates are whole level-0 pixels, so they may lie off the grid by their rounding."""

_FARTHEST_PX, _FINEST_PX = 1e8, 0.5

_OFF_GRID = (
    "the grid starts elsewhere than at the slide's corner, or its patches lie at another distance than the "
    "file states: cut them anew on one grid"
)


def build_store(
    found: ForeignCodes,
    source: Path,
    target: Path,
    hints: ImportHints,
    *,
    origin: Mapping[str, Any],
    overwrite: bool,
    token: CancellationToken,
) -> CompressedSlide:
    """Lay imported codes on a grid and write them as a store, whole or not at all.

    Parameters
    ----------
    found : ForeignCodes
    source, target : Path
    hints : ImportHints
    origin : mapping
        What the header says of the source, see :class:`~napari_nic.embeddings.StoreHeader`.
    overwrite : bool
    token : CancellationToken
        Asked at each slab of rows that is checked and each block that is written.

    Raises
    ------
    CancelledError
    StoreError
        If the patches form no regular grid that starts at the slide's corner, or two share a cell.
    """
    _check_table(found, source, token)
    header = replace(found.header or _make_header(found, source, hints), origin=dict(origin))
    if header.code_size != found.features.shape[1]:
        raise StoreError(
            "the codes are not those that the file describes",
            path=source,
            expected=f"code size {header.code_size}",
            found=f"{found.features.shape[1]}",
        )
    cells = _cells_of(found, header.grid, source)
    _check_on_slide(found, header.slide_shape, source)
    coverage = np.zeros(header.grid.shape, bool)
    coverage[tuple(cells.T)] = True
    check_replaceable(target, overwrite=overwrite)
    with replacing_folder(target) as temporary:
        layout.create_arrays(temporary, header, coverage, ~layout.blocks_with_cells(coverage))
        with CompressedSlide.open(temporary, mode="r+") as store:
            _write_codes(store, found.features, cells, token)
            store.finish()
    return CompressedSlide.open(target, mode="r+")


def _check_table(found: ForeignCodes, source: Path, token: CancellationToken) -> None:
    if len(found.features) == 0 and len(found.corners_px) == 0:
        raise StoreError("the file holds no patches: no tissue was found, or none was encoded", path=source)
    if len(found.features) != len(found.corners_px):
        raise StoreError(
            "features and coordinates do not fit together",
            path=source,
            found=f"{counted(len(found.features), 'feature')}, "
            f"{counted(len(found.corners_px), 'coordinate')}",
        )
    finite = np.empty(len(found.features), bool)
    for rows in checked(slabs(found.features), token):
        with np.errstate(over="ignore"):
            finite[rows] = np.isfinite(found.features[rows].astype(np.float16)).all(axis=1)
    if not finite.all():
        raise StoreError(
            "the codes hold numbers that float16 cannot",
            path=source,
            expected=f"finite numbers within +-{np.finfo(np.float16).max:g}",
            found=f"others in {counted(int((~finite).sum()), 'patch', 'patches')}",
        )
    if not np.isfinite(found.corners_px).all() or np.abs(found.corners_px).max() > _FARTHEST_PX:
        raise StoreError("coordinates that no slide has", path=source, found=f"{found.corners_px.max():g} px")
    if not (_FINEST_PX <= found.stride_px <= _FARTHEST_PX and _FINEST_PX <= found.patch_px <= _FARTHEST_PX):
        raise StoreError(
            "patches of a size that cannot be",
            path=source,
            found=f"{found.patch_px:g} px at a distance of {found.stride_px:g} px",
        )


def _write_codes(
    store: CompressedSlide, features: np.ndarray, cells: np.ndarray, token: CancellationToken
) -> None:
    """Write block by block, so that no array of the whole grid is needed."""
    block_cols = store.done.shape[1]
    blocks = cells[:, 0] // BLOCK * block_cols + cells[:, 1] // BLOCK
    order = np.argsort(blocks, kind="stable")
    edges = np.flatnonzero(np.diff(blocks[order])) + 1
    for chosen in checked(np.split(order, edges), token):
        row, col = (int(n) for n in divmod(int(blocks[chosen[0]]), block_cols))
        rows, cols = block_cells(row, col, store.grid.shape)
        part = np.zeros((rows.stop - rows.start, cols.stop - cols.start, store.code_size), features.dtype)
        inside = cells[chosen] - (rows.start, cols.start)
        part[tuple(inside.T)] = features[chosen]
        store.write_block(row, col, part)


def _cells_of(found: ForeignCodes, grid: PatchGrid, source: Path) -> np.ndarray:
    """Map corners to cells (N, 2) and make sure that they are where the grid has its patches."""
    corners_px, step = found.corners_px, grid.stride_px * np.array(grid.downsample)
    cells = np.rint(corners_px / step).astype(np.int64)
    offset = np.abs(corners_px - cells * step)
    if (offset > ROUNDING_PX).any():
        raise StoreError(
            "the patches do not lie on one regular grid",
            path=source,
            expected=f"corners at multiples of {step[1]:g} x {step[0]:g} level-0 pixels",
            found=f"{int((offset > ROUNDING_PX).any(axis=1).sum())} of {len(cells)} patches elsewhere",
            hint=found.off_grid or _OFF_GRID,
        )
    if (cells < 0).any() or (cells >= grid.shape).any():
        raise StoreError("patches lie outside of the slide", path=source, expected=f"{grid.shape} cells")
    if len(np.unique(cells, axis=0)) != len(cells):
        raise StoreError("two patches share a place", path=source)
    return cells


def _check_on_slide(found: ForeignCodes, shape: tuple[int, int], source: Path) -> None:
    """Refuse coordinates that are not of the slide whose size the file states: of another frame, say."""
    outside = int((found.corners_px >= np.array(shape)).any(axis=1).sum())
    if outside:
        raise StoreError(
            "patches lie outside of the slide",
            path=source,
            expected=f"corners within {shape[1]:,} x {shape[0]:,} px, the size that is stated",
            found=f"{outside:,} of {len(found.corners_px):,} patches elsewhere",
        )


def _make_header(found: ForeignCodes, source: Path, hints: ImportHints) -> StoreHeader:
    stride = max(1, round(found.stride_px))
    shape = hints.slide_shape or found.slide_shape
    last = np.rint(found.corners_px.max(axis=0) / stride).astype(int) + 1
    rows, cols = (int(n) for n in last)
    if shape is not None:
        rows, cols = max(rows, shape[0] // stride), max(cols, shape[1] // stride)
    if rows * cols > MOST_CELLS:
        raise StoreError(
            "the patches lie too far apart for a grid",
            path=source,
            found=f"{rows:,} x {cols:,} cells of {stride} px",
        )
    grid = PatchGrid(
        rows=rows,
        cols=cols,
        level=0,
        patch_px=max(1, round(found.patch_px)),
        stride_px=stride,
        patch_size=found.patch_size,
        downsample=(1.0, 1.0),
        pixel_size=found.pixel_size,
    )
    return StoreHeader(
        slide_name=hints.slide_name or found.slide_name or without_suffix(source.name, FEATURE_SUFFIXES),
        slide_fingerprint=hints.slide_fingerprint,
        slide_shape=shape or (rows * stride, cols * stride),
        reader="imported",
        color={"profile": None, "applied": False},
        grid=grid,
        encoder=_encoder(found, grid, hints),
        precision="unknown",
        batch_size=0,
        tissue={"method": f"imported from {source.name}"},
        software=f"napari-nic {napari_nic.__version__}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _encoder(found: ForeignCodes, grid: PatchGrid, hints: ImportHints) -> dict[str, Any]:
    code_size = int(found.features.shape[1])
    if hints.encoder is not None:
        if hints.encoder["code_size"] != code_size:
            raise StoreError(
                "the codes are not those of the encoder named",
                expected=f"code size {hints.encoder['code_size']}",
                found=f"{code_size}",
            )
        return dict(hints.encoder)
    return {
        "name": found.encoder_name,
        "architecture": "unknown",
        "code_size": code_size,
        "patch_size": found.patch_size,
        "mpp": grid.mpp,
        "input_size": found.patch_size,
        "weights_sha256": None,
    }
