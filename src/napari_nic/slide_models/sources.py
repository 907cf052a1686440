"""Where training gets its crops from: slides held in memory, or read crop by crop from their stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from napari_nic.embeddings import SHARD, CompressedSlide
from napari_nic.embeddings.dihedral import apply_dihedral
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.inputs import frame

Cells = tuple[np.ndarray, np.ndarray]
"""Codes float16 (rows, cols, C) and which of them are encoded, bool (rows, cols)."""


class TrainingSlide(Protocol):
    """A slide with what is known of it as a whole."""

    @property
    def name(self) -> str:
        """How errors call it."""

    @property
    def label(self) -> float:
        """Class number, value to be regressed, or time until the event or the end of observation."""

    @property
    def event(self) -> bool:
        """Whether the event was observed; for survival only."""

    @property
    def mask(self) -> np.ndarray:
        """Encoded cells, bool (rows, cols)."""

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""

    def crop(self, top: int, left: int, side: int, transform: int = 0) -> Cells:
        """Cut a square out, which may pass the edges, and transform it; see :func:`apply_dihedral`."""

    def strips(self) -> Iterator[Cells]:
        """Go through the slide once, in pieces that bound memory."""


@dataclass(frozen=True, eq=False)
class LabelledSlide:
    """A compressed slide in memory with the label of the whole slide.

    Attributes
    ----------
    name : str
    codes : ndarray of float16, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    label : int or float
        Class number, value to be regressed, or time until the event or the end of observation.
    event : bool
        Whether the event was observed; for survival only.
    transformed : tuple of ndarray
        Codes of the patches under the dihedral transforms 1 to 7, see
        :mod:`napari_nic.embeddings.dihedral`; if empty, only places are transformed.
    """

    name: str
    codes: np.ndarray
    mask: np.ndarray
    label: float
    event: bool = True
    transformed: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        if self.codes.ndim != 3 or self.codes.shape[:2] != self.mask.shape:
            raise InvalidParameterError(
                f"the codes of slide {self.name!r} do not fit its mask",
                expected=f"{self.mask.shape} and channels",
                found=f"{self.codes.shape}",
            )

    @classmethod
    def from_store(
        cls,
        store: CompressedSlide,
        label: float,
        *,
        event: bool = True,
        transformed: Sequence[CompressedSlide] = (),
        token: CancellationToken | None = None,
    ) -> Self:
        """Read a store, and those of its transformed patches, with a checkpoint at each shard."""
        codes = tuple(transform.read(token=token) for transform in transformed)
        return cls(store.header.slide_name, store.read(token=token), store.encoded(), label, event, codes)

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return int(self.codes.shape[-1])

    def crop(self, top: int, left: int, side: int, transform: int = 0) -> Cells:
        """Cut a square out, which may pass the edges, and transform it."""
        source = self.transformed[transform - 1] if transform and self.transformed else self.codes
        codes, mask = (frame(array, top, left, (side, side)) for array in (source, self.mask))
        return apply_dihedral(codes, transform), apply_dihedral(mask, transform)

    def strips(self) -> Iterator[Cells]:
        """Go through the slide once."""
        yield self.codes, self.mask


@dataclass(frozen=True, eq=False)
class StoredSlide:
    """A compressed slide on disk with the label of the whole slide; only the crops asked for are read.

    Attributes
    ----------
    name : str
    store : CompressedSlide
        Opened for reading; may be read from several threads.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    label, event
        As of :class:`LabelledSlide`.
    transformed : tuple of CompressedSlide
        Of the patches under the dihedral transforms 1 to 7; may be empty.
    """

    name: str
    store: CompressedSlide
    mask: np.ndarray
    label: float
    event: bool = True
    transformed: tuple[CompressedSlide, ...] = ()

    @classmethod
    def from_store(
        cls,
        store: CompressedSlide,
        label: float,
        *,
        event: bool = True,
        transformed: Sequence[CompressedSlide] = (),
        token: CancellationToken | None = None,
    ) -> Self:
        """Take a store as it is now; cells that are encoded later do not count."""
        if token is not None:
            token.checkpoint()
        return cls(store.header.slide_name, store, store.encoded(), label, event, tuple(transformed))

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return self.store.code_size

    def crop(self, top: int, left: int, side: int, transform: int = 0) -> Cells:
        """Read a square, which may pass the edges, and transform it; only shards it touches are opened."""
        source = self.transformed[transform - 1] if transform and self.transformed else self.store
        rows, cols = (slice(max(0, start), max(0, start + side)) for start in (top, left))
        inner = frame(source.read_cells(rows, cols), top - rows.start, left - cols.start, (side, side))
        mask = frame(self.mask, top, left, (side, side))
        # Cells that another run has encoded since the mask was taken.
        codes = np.where(mask[..., None], inner, np.float16(0))
        return apply_dihedral(codes, transform), apply_dihedral(mask, transform)

    def strips(self) -> Iterator[Cells]:
        """Read the slide once, one row of shards after the other."""
        for top in range(0, self.mask.shape[0], SHARD):
            rows = slice(top, top + SHARD)
            yield self.store.read_cells(rows, slice(None)), self.mask[rows]
