"""Rows of codes back to a grid: checked, placed, and written as a store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_nic
from napari_nic.disk import replacing_folder
from napari_nic.embeddings import layout, plain_shards
from napari_nic.embeddings.creating import check_replaceable
from napari_nic.embeddings.header import MOST_CELLS, StoreHeader
from napari_nic.embeddings.interchange.agreement import check_resolution, check_slide
from napari_nic.embeddings.interchange.distinct import distinct_rows
from napari_nic.embeddings.interchange.finding import tissue_outlines_beside
from napari_nic.embeddings.interchange.naming import IMPORTED
from napari_nic.embeddings.interchange.placing import (
    MOST_LOST,
    ON_GRID,
    Laid,
    covered,
    parts,
)
from napari_nic.embeddings.interchange.planning import plan_grid
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints, needs_slide
from napari_nic.embeddings.interchange.writing import write_shards
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import FEATURE_SUFFIXES, without_suffix
from napari_nic.telling import Notices, tell
from napari_nic.wording import counted

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec

_FARTHEST = 1e8


@dataclass(frozen=True)
class Building:
    """How a store is made of what was found.

    Attributes
    ----------
    origin : mapping
        What the header says of the source, see :class:`~napari_nic.embeddings.StoreHeader`.
    sums : callable
        Names and checksums of the source's files; raises if one changed since it was opened. Asked when all
        codes are written, since it takes as long.
    overwrite : bool
        Replace an older store.
    token : CancellationToken
        Asked at each slab of rows that is read and each shard that is written.
    """

    origin: Mapping[str, Any]
    sums: Callable[[], Mapping[str, str]]
    overwrite: bool
    token: CancellationToken


def build_store(
    found: ForeignCodes, source: Path, target: Path, hints: ImportHints, how: Building
) -> CompressedSlide:
    """Lay imported codes on a grid and write them as a store, whole or not at all.

    Raises
    ------
    CancelledError
    StoreError
        If what is found cannot be codes of a slide's patches, or two of them contradict each other.
    StoreMismatchError
        If they are of another slide than the hints say.
    """
    plan = _plan(found, source, hints, how)
    check_replaceable(target, overwrite=how.overwrite)
    with replacing_folder(target) as temporary:
        _write(temporary, plan.header, plan.laid)
        rounded = write_shards(temporary, found.features, plan.rows, plan.laid.cells, source, how.token)
        made_from = {"files": dict(how.sums()), **plan.header.origin}
        layout.replace_header(temporary, replace(plan.header, origin=made_from))
    if notes := (*plan.notes, *rounded):
        tell(Notices(source.name, notes))
    return CompressedSlide.open(target, mode="r+")


@dataclass(frozen=True, eq=False)
class _Plan:
    """A store that is to be made.

    Attributes
    ----------
    header : StoreHeader
    laid : Laid
        The patches that it will hold.
    rows : ndarray of int64, (N,), optional
        Their features in the file, rising; None where that is all of them in their order.
    notes : tuple of str
        What is to be said of it.
    """

    header: StoreHeader
    laid: Laid
    rows: np.ndarray | None
    notes: tuple[str, ...]


def _plan(found: ForeignCodes, source: Path, hints: ImportHints, how: Building) -> _Plan:
    _check_table(found, source)
    check_slide(found, hints, source)
    distinct = distinct_rows(found.features, found.corners, source, how.token)
    if distinct is not None:
        repeated = _repeated(len(found.corners) - len(distinct))
        found = replace(found, corners=found.corners[distinct], notes=(*found.notes, *repeated))
    placed = _place(found, source, hints, how.token)
    doubt = check_resolution(found, hints, source)
    header = _header_of(found, placed, source, hints, how.origin)
    _check_size(header, found, source)
    side_px = header.grid.patch_px * max(header.grid.downsample)
    _check_on_slide(found, header.slide_shape, side_px, source)
    laid = placed.laid
    notes = (*found.notes, *placed.notes, *doubt)
    rows = distinct
    if laid.lost:
        rows = np.flatnonzero(laid.kept) if distinct is None else distinct[laid.kept]
    return _Plan(header, laid.without_lost(), rows, notes)


def _repeated(number: int) -> tuple[str, ...]:
    if not number:
        return ()
    return (f"{counted(number, 'row')} left out that repeat the place and the features of another row",)


def _write(root: Path, header: StoreHeader, laid: Laid) -> None:
    """Write all of a complete store but its codes."""
    grid = header.grid
    coverage = covered(grid.shape, laid.cells)
    done = np.ones(layout.block_shape(*grid.shape), bool)
    layout.create_arrays(root, header, coverage, done, codec=_codec(coverage))
    if laid.off_grid:
        layout.add_offsets(root, grid.shape, laid.cells, laid.shift() * grid.downsample)


def _codec(coverage: np.ndarray) -> BytesBytesCodec:
    """Choose how codes are packed: not at all, unless much of the blocks that hold them is empty."""
    room = int(layout.blocks_with_cells(coverage).sum()) * layout.BLOCK**2
    return layout.FAST_CODEC if coverage.sum() < _MOSTLY * room else plain_shards.CODEC


_MOSTLY = 0.5
"""Share of its cells that makes a block worth its place on the disk."""


@dataclass(frozen=True, eq=False)
class _Placed:
    """A grid, the patches on it, and what is to be said of it."""

    grid: PatchGrid
    laid: Laid
    notes: tuple[str, ...] = ()


def _place(found: ForeignCodes, source: Path, hints: ImportHints, token: CancellationToken) -> _Placed:
    if found.header is not None:
        return _on_our_grid(found, found.header.grid, source)
    pixel = hints.pixel_size or found.pixel_size
    if pixel is None:
        raise needs_slide(source, "the file does not state the um/px of its slide")
    grid, laid, notes = plan_grid(found, source, pixel, hints.slide_shape or found.slide_shape, token)
    if laid.off_grid:
        notes = (*notes, _told(laid, grid))
    if laid.lost > MOST_LOST * len(laid.kept):
        raise StoreError(
            "the patches form no grid: too many would share a cell",
            path=source,
            expected=f"patches every {grid.stride_px} px, in one or several pieces",
            found=f"{laid.lost:,} of {len(laid.kept):,} patches nearer than that to another",
            hint="cut them anew on a grid",
        )
    return _Placed(grid, laid, notes)


def _told(laid: Laid, grid: PatchGrid) -> str:
    largest = laid.largest_shift / grid.stride_px
    text = (
        f"{laid.off_grid:,} of {counted(len(laid.kept), 'patch', 'patches')} lie off the grid, by up to "
        f"{largest:.2f} of a patch's distance; each is shown in the nearest cell, and keeps its place for "
        "exports"
    )
    if not laid.lost:
        return text
    return f"{text}; {counted(laid.lost, 'patch', 'patches')} left out where another lies nearer to the cell"


def _on_our_grid(found: ForeignCodes, grid: PatchGrid, source: Path) -> _Placed:
    """Lay patches on the grid of a file that we wrote: they are where it says, or kept what was off it."""
    unit = found.unit_px[0] / grid.downsample[0], found.unit_px[1] / grid.downsample[1]
    laid = Laid.on(found.corners, grid.origin_px, grid.stride_px, unit=unit)
    cells = laid.cells
    if len(cells) and ((cells < 0).any() or (cells >= grid.shape).any()):
        raise StoreError("patches lie outside of the slide", path=source, expected=f"{grid.shape} cells")
    if laid.lost:
        raise StoreError("two patches share a place", path=source)
    if laid.off_grid and not (found.header and found.header.origin):
        raise StoreError(
            "the patches do not lie on the grid that the file describes",
            path=source,
            expected=f"patches every {grid.stride_px * grid.downsample[0]:g} level-0 pixels",
            found=f"{laid.off_grid} of {len(cells)} patches elsewhere",
            hint="export the slide again; the file was changed since",
        )
    return _Placed(grid, laid)


def _check_table(found: ForeignCodes, source: Path) -> None:
    if len(found.features.shape) != 2:
        raise StoreError("the features are no table", path=source, found=f"shape {found.features.shape}")
    if found.features.shape[1] < 1:
        raise StoreError("features without a number", path=source, found=f"shape {found.features.shape}")
    if found.features.shape[0] != len(found.corners):
        raise StoreError(
            "features and coordinates do not fit together",
            path=source,
            found=f"{counted(found.features.shape[0], 'feature')}, "
            f"{counted(len(found.corners), 'coordinate')}",
            hint="the writer was interrupted, or the two files are of two runs: make them again",
        )
    # A place that is no number makes both of them none, which no comparison finds small.
    farthest = max(float(found.corners.max(initial=0)), -float(found.corners.min(initial=0)))
    if not farthest <= _FARTHEST:
        raise StoreError("coordinates that no slide has", path=source, found=f"{farthest:g} px")


def _check_size(header: StoreHeader, found: ForeignCodes, source: Path) -> None:
    if header.code_size != found.features.shape[1]:
        raise StoreError(
            "the codes are not those that the file describes",
            path=source,
            expected=f"code size {header.code_size}",
            found=f"{found.features.shape[1]}",
        )
    if header.grid.rows * header.grid.cols > MOST_CELLS:
        raise StoreError(
            "the patches lie too far apart for a grid",
            path=source,
            found=f"{header.grid.rows:,} x {header.grid.cols:,} cells of {header.grid.stride_px} px",
        )


def _check_on_slide(found: ForeignCodes, shape: tuple[int, int], side_px: float, source: Path) -> None:
    """Refuse coordinates that are not of the slide whose size is known: of another frame, say."""
    outside = 0
    for part in parts(len(found.corners)):
        corners = found.corners[part] * found.unit_px
        is_beyond = (corners > np.array(shape) - 1 + ON_GRID) | (corners <= -side_px)
        outside += int(is_beyond.any(axis=1).sum())
    if outside:
        raise StoreError(
            "patches lie outside of the slide",
            path=source,
            expected=f"corners within {shape[1]:,} x {shape[0]:,} px, its size",
            found=f"{outside:,} of {len(found.corners):,} patches elsewhere",
        )


def _header_of(
    found: ForeignCodes, placed: _Placed, source: Path, hints: ImportHints, origin: Mapping[str, Any]
) -> StoreHeader:
    laid, grid = placed.laid, placed.grid
    made_from: dict[str, Any] = dict(origin)
    if laid.off_grid:
        made_from["placed"] = {
            "phases": laid.phases,
            "largest_shift_px": round(laid.largest_shift * grid.downsample[0], 3),
            "left_out": laid.lost,
        }
    if found.header is not None:
        # The slide may have been renamed since, and its older name may be a patient's.
        return replace(
            found.header,
            slide_name=hints.slide_name or found.header.slide_name,
            origin=made_from,
            slide_bounds=hints.slide_bounds or found.header.slide_bounds,
        )
    step = grid.stride_px * np.array(grid.downsample)
    shape = hints.slide_shape or found.slide_shape
    return StoreHeader(
        slide_name=hints.slide_name or found.slide_name or without_suffix(source.name, FEATURE_SUFFIXES),
        slide_fingerprint=hints.slide_fingerprint,
        slide_shape=shape or (round(grid.rows * step[0]), round(grid.cols * step[1])),
        reader="imported",
        color={"profile": None, "applied": False}
        | ({"choice": dict(hints.slide_choice)} if hints.slide_choice else {}),
        grid=grid,
        encoder=_encoder(found, hints),
        precision="unknown",
        batch_size=0,
        tissue=_tissue(source),
        software=f"napari-nic {napari_nic.__version__}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=made_from,
        slide_bounds=hints.slide_bounds,
    )


def _tissue(source: Path) -> dict[str, Any]:
    """Say where the other program found tissue, as far as it left that beside its features."""
    outlines = tissue_outlines_beside(source)
    method: dict[str, Any] = {"method": f"{IMPORTED}{source.name}"}
    if outlines is None:
        return method
    inside = source in outlines.parents
    name = outlines.relative_to(source if inside else outlines.parent.parent).as_posix()
    return method | {"outlines": name, "outlines_sha256": hashlib.sha256(outlines.read_bytes()).hexdigest()}


def _encoder(found: ForeignCodes, hints: ImportHints) -> dict[str, Any]:
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
        "mpp": found.mpp,
        "input_size": found.patch_size,
        "weights_sha256": None,
    }
