"""Where training gets its crops from: slides held in memory, or read crop by crop from their stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from napari_nic.compressed import CompressedSlide
from napari_nic.compressed.layout import SHARD
from napari_nic.compressed.turns import turned
from napari_nic.errors import InvalidParameterError
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

    def crop(self, top: int, left: int, side: int, turn: int = 0) -> Cells:
        """Cut a square out, which may pass the edges, and turn it; see :func:`turned`."""

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
    turns : tuple of ndarray
        Codes of the patches turned 1 to 7 times, see :mod:`napari_nic.compressed.turns`; if empty, only
        places are turned.
    """

    name: str
    codes: np.ndarray
    mask: np.ndarray
    label: float
    event: bool = True
    turns: tuple[np.ndarray, ...] = ()

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
        turns: Sequence[CompressedSlide] = (),
    ) -> Self:
        """Read a store, and those of its turned patches."""
        codes = tuple(turn.read() for turn in turns)
        return cls(store.header.slide_name, store.read(), store.encoded(), label, event, codes)

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return int(self.codes.shape[-1])

    def crop(self, top: int, left: int, side: int, turn: int = 0) -> Cells:
        """Cut a square out, which may pass the edges, and turn it."""
        source = self.turns[turn - 1] if turn and self.turns else self.codes
        codes, mask = (frame(array, top, left, (side, side)) for array in (source, self.mask))
        return turned(codes, turn), turned(mask, turn)

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
    turns : tuple of CompressedSlide
        Of the patches turned 1 to 7 times; may be empty.
    """

    name: str
    store: CompressedSlide
    mask: np.ndarray
    label: float
    event: bool = True
    turns: tuple[CompressedSlide, ...] = ()

    @classmethod
    def from_store(
        cls,
        store: CompressedSlide,
        label: float,
        *,
        event: bool = True,
        turns: Sequence[CompressedSlide] = (),
    ) -> Self:
        """Take a store as it is now; cells that are encoded later do not count."""
        return cls(store.header.slide_name, store, store.encoded(), label, event, tuple(turns))

    @property
    def code_size(self) -> int:
        """Channels C of the codes."""
        return self.store.code_size

    def crop(self, top: int, left: int, side: int, turn: int = 0) -> Cells:
        """Read a square, which may pass the edges, and turn it; only the shards it touches are opened."""
        source = self.turns[turn - 1] if turn and self.turns else self.store
        rows, cols = (slice(max(0, start), max(0, start + side)) for start in (top, left))
        inner = frame(source.read_cells(rows, cols), top - rows.start, left - cols.start, (side, side))
        mask = frame(self.mask, top, left, (side, side))
        # Cells that another run has encoded since the mask was taken.
        codes = np.where(mask[..., None], inner, np.float16(0))
        return turned(codes, turn), turned(mask, turn)

    def strips(self) -> Iterator[Cells]:
        """Read the slide once, one row of shards after the other."""
        for top in range(0, self.mask.shape[0], SHARD):
            rows = slice(top, top + SHARD)
            yield self.store.read_cells(rows, slice(None)), self.mask[rows]
