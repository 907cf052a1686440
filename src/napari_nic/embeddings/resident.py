"""Codes kept in memory for what must answer at once: searching for like places, learning while drawing."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.layout import SHARD
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked

_shared: weakref.WeakKeyDictionary[CompressedSlide, weakref.ref[ResidentCodes]] = weakref.WeakKeyDictionary()
_sharing = threading.Lock()


@dataclass(frozen=True, eq=False)
class ResidentCodes:
    """The codes of a slide's encoded cells, row by row over the grid.

    Attributes
    ----------
    header : StoreHeader
        Of the store that they come from.
    codes : ndarray of float32, (N, C)
        Read-only. float32, since to convert float16 takes longer than any product with them.
    cells : ndarray of int32, (N, 2)
        (row, col) of each code, rising; read-only.
    """

    header: StoreHeader
    codes: np.ndarray
    cells: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.codes)
        if self.codes.dtype != np.float32 or self.codes.ndim != 2 or self.cells.shape != (count, 2):
            raise InvalidParameterError(
                "codes and cells do not belong together",
                expected="float32 (N, C) and (N, 2)",
                found=f"{self.codes.dtype} {self.codes.shape} and {self.cells.shape}",
            )
        self.codes.setflags(write=False)
        self.cells.setflags(write=False)

    @classmethod
    def load(cls, store: CompressedSlide, *, token: CancellationToken | None = None) -> ResidentCodes:
        """Read the codes of the cells that are encoded now.

        What somebody still holds of the same opened store is given back and not read again, unless the
        store has grown since.

        Parameters
        ----------
        store : CompressedSlide
        token : CancellationToken, optional
            Asked at each shard.

        Raises
        ------
        StoreError
            If codes cannot be read.
        InvalidParameterError
            If they do not fit into memory.
        """
        encoded = store.encoded()
        held = _held(store)
        if held is not None and np.array_equal(held.encoded, encoded):
            return held
        loaded = cls.of_array(store.header, *_read(store, encoded, token))
        with _sharing:
            _shared[store] = weakref.ref(loaded)
        return loaded

    @classmethod
    def of_array(cls, header: StoreHeader, codes: np.ndarray, encoded: np.ndarray) -> ResidentCodes:
        """Take codes (N, C) in the order of the marked cells of a raster (rows, cols), row by row."""
        return cls(header, codes, np.argwhere(encoded).astype(np.int32))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def grid(self) -> PatchGrid:
        """The grid of the cells."""
        return self.header.grid

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the grid."""
        return self.grid.shape

    @cached_property
    def index(self) -> np.ndarray:
        """Number of each cell's code; ndarray of int32, (rows, cols), -1 where nothing is encoded."""
        numbers = np.full(self.shape, -1, np.int32)
        numbers[self.cells[:, 0], self.cells[:, 1]] = np.arange(len(self), dtype=np.int32)
        numbers.setflags(write=False)
        return numbers

    @property
    def encoded(self) -> np.ndarray:
        """Cells that have a code; ndarray of bool, (rows, cols)."""
        return np.asarray(self.index >= 0)

    def within(self, rows: slice, cols: slice) -> np.ndarray:
        """Numbers of the codes in a rectangle of cells, rising; ndarray of int32, (n,)."""
        part = self.index[rows, cols]
        return np.asarray(part[part >= 0])

    def raster(self, values: np.ndarray, fill: float = 0) -> np.ndarray:
        """Lay one value a code out over the grid.

        Parameters
        ----------
        values : ndarray, (N, ...)
        fill : float
            Where nothing is encoded.

        Returns
        -------
        ndarray, (rows, cols, ...)
        """
        laid = np.full((*self.shape, *values.shape[1:]), fill, values.dtype)
        laid[self.cells[:, 0], self.cells[:, 1]] = values
        return laid


def _held(store: CompressedSlide) -> ResidentCodes | None:
    with _sharing:
        reference = _shared.get(store)
    return None if reference is None else reference()


def _read(
    store: CompressedSlide, encoded: np.ndarray, token: CancellationToken | None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the marked cells shard by shard, so that no more than one is held as float16."""
    numbers = np.cumsum(encoded).reshape(encoded.shape) - 1
    codes = _room_for(store, int(encoded.sum()))
    for top, left in checked(_corners(encoded.shape), token):
        area = slice(top, top + SHARD), slice(left, left + SHARD)
        wanted = encoded[area]
        if wanted.any():
            codes[numbers[area][wanted]] = store.read_cells(*area, token=token)[wanted]
    return codes, encoded


def _corners(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    rows, cols = shape
    return [(top, left) for top in range(0, rows, SHARD) for left in range(0, cols, SHARD)]


def _room_for(store: CompressedSlide, count: int) -> np.ndarray:
    try:
        return np.empty((count, store.code_size), np.float32)
    except MemoryError as error:
        size = count * store.code_size * 4 / 2**30
        raise InvalidParameterError(
            "the codes do not fit into memory",
            expected=f"{size:.1f} GiB for {count:,} cells of {store.code_size} numbers",
            hint="close other slides or programs, or compress with an encoder of shorter codes",
        ) from error
