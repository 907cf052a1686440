"""Codes as a table of patches, which is how other programs keep them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from napari_nic.embeddings.checks import SlideLike
from napari_nic.embeddings.header import UNKNOWN_SLIDE, StoreHeader
from napari_nic.embeddings.interchange.workers import one_ahead
from napari_nic.embeddings.layout import BLOCK, SHARD
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

SLAB_BYTES = 8 * 2**20
"""Tables are read, written and converted in slabs of rows of this size, with a checkpoint before each."""

HEADER_ATTRIBUTE = "napari_nic"
"""Our whole header travels under this name where a format has room for it, so that nothing is guessed."""

BAND_BYTES = 16 * 2**20
"""Codes of a band of the grid in memory, on their way to a table: a row of shards, or of blocks, or, of grids
wider than that, a part of one, whose blocks are then read more than once. While one is written the next is
read, so there are two."""

UM_PER_PX_AT_1X = 10.0
"""Usual meaning of a magnification: 10x is 1 um/px, 20x is 0.5, 40x is 0.25."""


class Rows(Protocol):
    """Rows of features (N, C) that are read slab by slab: an array, or a dataset of a file that is open."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the features."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return rows without a step, (n, C)."""


@dataclass(frozen=True, eq=False)
class CodeTable:
    """The encoded cells of a store, row by row of the grid; made by :meth:`of`.

    Attributes
    ----------
    store : CompressedSlide
    encoded : ndarray of bool, (rows, cols)
        Cells that are in the table.
    """

    store: CompressedSlide
    encoded: np.ndarray

    @classmethod
    def of(cls, store: CompressedSlide) -> Self:
        """Take the encoded cells of a store; no codes are read yet."""
        return cls(store, store.encoded())

    def __len__(self) -> int:
        return int(self._begins[-1])

    @cached_property
    def _begins(self) -> np.ndarray:
        """Row of the table at which each row of the grid begins, and the end: int64, (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(np.count_nonzero(self.encoded, axis=1))])

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return len(self), self.store.code_size

    @cached_property
    def cells(self) -> np.ndarray:
        """(row, col) of all: ndarray of int64, (N, 2); for formats that need them in one piece."""
        return np.argwhere(self.encoded)

    @property
    def corners_px(self) -> np.ndarray:
        """(y, x) of each patch's top left corner in level-0 pixels: ndarray of float64, (N, 2).

        The exact one, also where another program cut the patches off the grid.
        """
        return self.corners_of(self.cells)

    @property
    def coords_xy(self) -> np.ndarray:
        """Corners as other programs keep them: ndarray of int64, (N, 2), **(x, y)**, level-0 pixels."""
        return self.coords_of(self.cells)

    def corners_of(self, cells: np.ndarray) -> np.ndarray:
        """Return what :attr:`corners_px` is of some cells (n, 2)."""
        return corners_of(self.store.grid, cells) + self.store.offsets(cells)

    def coords_of(self, cells: np.ndarray) -> np.ndarray:
        """Return what :attr:`coords_xy` is of some cells (n, 2)."""
        return np.rint(self.corners_of(cells)[:, ::-1]).astype(np.int64)

    def places(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ``(rows of the table, cells (n, 2) of int64)`` in order, a few rows of the grid at a time."""
        for rows, part in self._bands(max(1, _PLACES // max(1, self.store.grid.cols))):
            cells = np.argwhere(self.encoded[rows])
            cells[:, 0] += rows.start
            yield part, cells

    def slabs(self, token: CancellationToken) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield ``(rows of the table, codes (n, C) float16)`` in order, a band of the grid at a time.

        The codes are good until the next ones are asked for: memory that was used is faster than new memory.
        The next band is read by a thread meanwhile.
        """
        cols, code_size = self.store.grid.cols, self.store.code_size
        height = _band_height(cols * code_size * 2)
        rooms = [np.empty((height * cols, code_size), np.float16) for _ in range(2)]

        def read(number: int) -> np.ndarray:
            return self._read_band(bands[number][0], rooms[number % 2], token)

        bands = list(self._bands(height))
        with closing(one_ahead(read, range(len(bands)))) as codes:
            for (_, part), found in zip(checked(bands, token), codes, strict=True):
                yield part, found

    def _bands(self, height: int) -> Iterator[tuple[slice, slice]]:
        """Yield rows of the grid, so many at a time, and those of the table in them, where there are any."""
        grid = self.store.grid
        for start in range(0, grid.rows, height):
            rows = slice(start, min(grid.rows, start + height))
            part = slice(int(self._begins[rows.start]), int(self._begins[rows.stop]))
            if part.start < part.stop:
                yield rows, part

    def _read_band(self, rows: slice, room: np.ndarray, token: CancellationToken) -> np.ndarray:
        """Read the codes of the table's cells among rows of the grid into memory that is there."""
        cols = self.store.grid.cols
        room = room[: (rows.stop - rows.start) * cols]
        self.store.read_cells(rows, slice(None), into=room.reshape(-1, cols, room.shape[1]), token=token)
        at = np.flatnonzero(self.encoded[rows])
        if len(at) == len(room):
            return room
        # Each moves to the front or stays: what was moved has been read, and no second room is needed.
        for start in range(0, len(at), _MOVED):
            here = at[start : start + _MOVED]
            room[start : start + len(here)] = room[here]
        return room[: len(at)]

    def features(self, token: CancellationToken) -> np.ndarray:
        """Read all codes: ndarray of float16, (N, C). For formats that need them in one piece."""
        found = np.empty(self.shape, np.float16)
        for rows, codes in self.slabs(token):
            found[rows] = codes
        return found


def _band_height(row_bytes: int) -> int:
    """Return how many rows of the grid are a band: those of a shard, of a block, or of a part of one."""
    heights = (SHARD, BLOCK, BLOCK // 2)
    return next((height for height in heights if height * row_bytes <= BAND_BYTES), BLOCK // 4)


_PLACES, _MOVED = 2**14, 512
"""Cells whose places are computed, and rows of codes that are moved, at a time."""


def corners_of(grid: PatchGrid, cells: np.ndarray) -> np.ndarray:
    """(y, x) of the top left corners of cells (N, 2) of (row, col): float64, (N, 2), level-0 pixels."""
    at = cells.astype(np.int64) * grid.stride_px + np.array(grid.origin_px)
    return np.asarray(at * np.array(grid.downsample))


def side_px(grid: PatchGrid) -> int:
    """Side of a patch in whole level-0 pixels."""
    return max(1, round(grid.patch_px * sum(grid.downsample) / 2))


def step_px(grid: PatchGrid) -> int:
    """Distance of neighbouring patches in whole level-0 pixels."""
    return max(1, round(grid.stride_px * sum(grid.downsample) / 2))


@dataclass(frozen=True)
class ImportHints:
    """What a file may not say of itself.

    Attributes
    ----------
    slide_name, slide_fingerprint, slide_shape, slide_bounds
        As in :class:`~napari_nic.embeddings.StoreHeader`.
    slide_choice : mapping
        Of a slide that holds more than one picture, see :attr:`napari_nic.slides.Slide.choice`.
    pixel_size : PixelSize, optional
        Of level 0.
    patch_size, stride : int, optional
        In pixels at the codes' resolution, for files that say neither.
    mpp : float, optional
        That resolution, um/px.
    encoder : mapping, optional
        The encoder's full description.
    features : str, optional
        Which features of a file that holds those of several encoders or tables.
    coords : Path, optional
        File of the patches' places, or the folder that it lies in, where it is not found beside the features.
    """

    slide_name: str | None = None
    slide_fingerprint: str = UNKNOWN_SLIDE
    slide_shape: tuple[int, int] | None = None
    slide_choice: Mapping[str, Any] = field(default_factory=dict)
    slide_bounds: RegionPx | None = None
    pixel_size: PixelSize | None = None
    patch_size: int | None = None
    stride: int | None = None
    mpp: float | None = None
    encoder: Mapping[str, Any] | None = None
    features: str | None = None
    coords: Path | None = None

    @classmethod
    def of_slide(cls, slide: _SlideWithSize, **others: Any) -> Self:
        """Take what the slide itself says."""
        return cls(**others).with_slide(slide)

    def with_slide(self, slide: _SlideWithSize) -> Self:
        """Return the hints with what the slide itself says in place of what was said of it."""
        return replace(
            self,
            slide_name=slide.name,
            slide_fingerprint=slide.fingerprint,
            slide_shape=slide.level_geometries[0].shape,
            slide_choice=dict(getattr(slide, "choice", {})),
            slide_bounds=getattr(slide, "bounds", None),
            pixel_size=slide.pixel_size,
        )


class _SlideWithSize(SlideLike, Protocol):
    """What :meth:`ImportHints.of_slide` needs of a slide."""

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of level 0."""

    @property
    def level_geometries(self) -> tuple[Any, ...]:
        """Of all levels, the finest first."""


@dataclass(frozen=True, eq=False)
class ForeignCodes:
    """What an importer found: rows of features, and where their patches lie.

    The order of the rows never matters. Attributes that a file does not state are None.

    Attributes
    ----------
    features : Rows
        (N, C) numbers; N may be 0.
    corners : ndarray of float64 or int32, (N, 2)
        (y, x) of the patches' top left corners in the unit of the file.
    unit_px : (float, float)
        (y, x) level-0 pixels that the unit measures: 1 where positions are level-0 pixels already; others
        where they are pixels of a resolution, or of a level.
    patch, stride : float, optional
        Patch side, and distance of neighbours as the file states it, in the unit. The true distance is taken
        from the positions; the stated one serves where no two patches are neighbours.
    patch_size : int, optional
        Patch side in pixels that the encoder saw.
    mpp : float, optional
        Resolution that was asked for, um/px: the same for all slides of a cohort, whatever their pixels are.
    pixel_size : PixelSize, optional
        Of level 0, where the file states it itself; never a guess.
    encoder_name : str
    slide_name : str, optional
    slide_shape : (int, int), optional
        (height, width) of level 0, as the file states it.
    header : StoreHeader, optional
        If the file was written by us; it then overrides all of the above but features and corners.
    notes : tuple of str
        What the user must know before trusting the import; told when it is done.
    """

    features: Rows
    corners: np.ndarray
    unit_px: tuple[float, float] = (1.0, 1.0)
    patch: float | None = None
    stride: float | None = None
    patch_size: int | None = None
    mpp: float | None = None
    pixel_size: PixelSize | None = None
    encoder_name: str = "unknown"
    slide_name: str | None = None
    slide_shape: tuple[int, int] | None = None
    header: StoreHeader | None = None
    notes: tuple[str, ...] = ()


def needs_slide(path: Path, why: str) -> StoreError:
    """Build the error for a file that cannot be placed without its slide's pixel size."""
    return StoreError(
        "the pixel size of the slide is needed",
        path=path,
        found=why,
        hint="give the slide itself (--slides FOLDER), or the um/px of its finest level (--mpp)",
    )


def no_patches_but_a_slide(path: Path, shape: tuple[int, ...], whole: str = "the whole slide") -> StoreError:
    """Build the error for a file that holds one vector of a whole slide, or patient."""
    return StoreError(
        f"one vector of {whole}, not codes of its patches",
        path=path,
        expected="features (N, C) and the places of N patches",
        found=f"features of shape {tuple(shape)}",
        hint="import the file of the patches' features that it was made from",
    )


def slabs(table: Any, *, rows_at_once: int = 1, most_bytes: int | None = None) -> Iterator[slice]:
    """Slices of the rows of a table, an array or a dataset of two axes, each of about :data:`SLAB_BYTES`.

    `rows_at_once` divides all of them but the last: the rows of a compressed chunk, for instance.
    `most_bytes` makes them smaller.
    """
    count = int(table.shape[0])
    row_bytes = max(1, table.dtype.itemsize * math.prod(table.shape[1:]))
    slab_bytes = SLAB_BYTES if most_bytes is None else min(SLAB_BYTES, most_bytes)
    step = max(1, slab_bytes // row_bytes // rows_at_once) * rows_at_once
    return (slice(start, min(count, start + step)) for start in range(0, count, step))


def header_to_text(header: StoreHeader) -> str:
    """Our header as text."""
    return json.dumps(header.to_dict())


def header_attribute(header: StoreHeader) -> dict[str, str]:
    """Our header as an attribute of a file."""
    return {HEADER_ATTRIBUTE: header_to_text(header)}


def header_from_text(text: object, path: Path) -> StoreHeader | None:
    """Inverse of :func:`header_to_text`; None where another program wrote the file."""
    if text is None:
        return None
    try:
        return StoreHeader.from_dict(json.loads(str(text)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"attribute {HEADER_ATTRIBUTE!r} is damaged", path=path, found=f"{error}", hint="remove it"
        ) from error


def magnification_of(mpp: float) -> int:
    """Whole magnification that a resolution is called by; at least 1."""
    return max(1, round(UM_PER_PX_AT_1X / mpp))
