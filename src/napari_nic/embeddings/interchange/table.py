"""Codes as a table of patches, which is how other programs keep them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from napari_nic.embeddings.checks import SlideLike
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken

SLAB_BYTES = 8 * 2**20
"""Tables are read, written and converted in slabs of rows of this size, with a checkpoint before each."""

HEADER_ATTRIBUTE = "napari_nic"
"""Our whole header travels under this name where a format has room for it, so that nothing is guessed."""

UM_PER_PX_AT_1X = 10.0
"""Usual meaning of a magnification: 10x is 1 um/px, 20x is 0.5, 40x is 0.25."""


@dataclass(frozen=True, eq=False)
class CodeTable:
    """The encoded cells of a store, row by row.

    Attributes
    ----------
    features : ndarray of float16, (N, C)
    cells : ndarray of int64, (N, 2)
        (row, col).
    corners_px : ndarray of float64, (N, 2)
        (y, x) of each patch's top left corner in level-0 pixels.
    """

    features: np.ndarray
    cells: np.ndarray
    corners_px: np.ndarray

    @classmethod
    def of(cls, store: CompressedSlide, token: CancellationToken) -> Self:
        """Take the encoded cells of a store."""
        encoded = store.encoded()
        cells = np.argwhere(encoded)
        step = store.grid.stride_px * np.array(store.grid.downsample)
        return cls(store.read(token=token)[encoded], cells, cells * step)

    @property
    def coords_xy(self) -> np.ndarray:
        """Corners as other programs keep them: ndarray of int64, (N, 2), **(x, y)**, level-0 pixels."""
        return np.rint(self.corners_px[:, ::-1]).astype(np.int64)


@dataclass(frozen=True)
class ImportHints:
    """What a file may not say of itself.

    Attributes
    ----------
    slide_name, slide_fingerprint, slide_shape
        As in :class:`~napari_nic.embeddings.StoreHeader`.
    pixel_size : PixelSize, optional
        Of level 0.
    patch_size, stride : int
        In pixels at the codes' resolution, for files that say neither (NIC arrays).
    mpp : float
        That resolution, um/px.
    encoder : mapping, optional
        The encoder's full description.
    """

    slide_name: str | None = None
    slide_fingerprint: str = "unknown"
    slide_shape: tuple[int, int] | None = None
    pixel_size: PixelSize | None = None
    patch_size: int = 128
    stride: int = 128
    mpp: float = 0.5
    encoder: Mapping[str, Any] | None = None

    @classmethod
    def of_slide(cls, slide: _SlideWithSize, **others: Any) -> Self:
        """Take what the slide itself says."""
        return cls(
            slide_name=slide.name,
            slide_fingerprint=slide.fingerprint,
            slide_shape=slide.level_geometries[0].shape,
            pixel_size=slide.pixel_size,
            **others,
        )


class _SlideWithSize(SlideLike):
    """What :meth:`ImportHints.of_slide` needs of a slide."""

    pixel_size: PixelSize | None
    level_geometries: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class ForeignCodes:
    """What an importer found.

    Attributes
    ----------
    features : ndarray of float, (N, C)
    corners_px : ndarray of float64, (N, 2)
        (y, x) of the patches' top left corners, level-0 pixels.
    patch_px, stride_px : float
        Patch side and stride in level-0 pixels.
    patch_size : int
        Patch side in pixels that the encoder saw.
    pixel_size : PixelSize
        Of level 0.
    encoder_name : str
    slide_name : str, optional
    slide_shape : (int, int), optional
        (height, width) of level 0.
    header : StoreHeader, optional
        If the file was written by us; it then overrides all of the above but the features.
    off_grid : str, optional
        Why the patches may lie off a regular grid, where the format is known for it.
    """

    features: np.ndarray
    corners_px: np.ndarray
    patch_px: float
    stride_px: float
    patch_size: int
    pixel_size: PixelSize
    encoder_name: str = "unknown"
    slide_name: str | None = None
    slide_shape: tuple[int, int] | None = None
    header: StoreHeader | None = field(default=None)
    off_grid: str | None = None


def slabs(table: Any, *, rows_at_once: int = 1) -> Iterator[slice]:
    """Slices of the rows of a table, an array or a dataset of two axes, each of about :data:`SLAB_BYTES`.

    `rows_at_once` divides all of them but the last: the rows of a compressed chunk, for instance.
    """
    count = len(table)
    row_bytes = max(1, table.dtype.itemsize * math.prod(table.shape[1:]))
    step = max(1, SLAB_BYTES // row_bytes // rows_at_once) * rows_at_once
    return (slice(start, min(count, start + step)) for start in range(0, count, step))


def named_header(store: CompressedSlide) -> StoreHeader:
    """Return a store's header with the name by which its slide goes now."""
    return replace(store.header, slide_name=store.slide_name)


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


def pixel_size_from_magnification(magnification: float, path: Path) -> PixelSize:
    """Guess the pixel size as such files mean it; the guess is recorded as its source."""
    if not magnification > 0:
        raise StoreError("the file states no magnification", path=path, hint="give the slide's um/px (--mpp)")
    mpp = UM_PER_PX_AT_1X / magnification
    return PixelSize(mpp, mpp, f"magnification {magnification:g}x")


def magnification_of(mpp: float) -> int:
    """Whole magnification that a resolution is called by; at least 1."""
    return max(1, round(UM_PER_PX_AT_1X / mpp))
