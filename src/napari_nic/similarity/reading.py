"""Codes of encoded cells, read block by block: memory does not grow with the slide or the cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.embeddings import SHARD, CompressedSlide
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import STORE_SUFFIX, folder_of_stores, has_suffix, is_folder

BLOCK_NUMBERS = 1 << 23
"""Numbers that are held at once: 32 MiB as float32."""


@dataclass(frozen=True, eq=False)
class CellBlock:
    """Encoded cells of one store.

    Attributes
    ----------
    codes : ndarray of float32, (n, C)
    rows, cols : ndarray of int, (n,)
        Their cells.
    """

    codes: np.ndarray
    rows: np.ndarray
    cols: np.ndarray


def cell_blocks(store: CompressedSlide, token: CancellationToken | None = None) -> Iterator[CellBlock]:
    """Read the encoded cells of a store, a few shards at a time.

    Parameters
    ----------
    store : CompressedSlide
    token : CancellationToken, optional
        Asked at each block.
    """
    encoded = store.encoded()
    for rows, cols in checked(_windows(store), token):
        inside = encoded[rows, cols]
        if not inside.any():
            continue
        codes = store.read_cells(rows, cols, token=token)[inside].astype(np.float32)
        row, col = np.nonzero(inside)
        yield CellBlock(codes, row + rows.start, col + cols.start)


def _windows(store: CompressedSlide) -> list[tuple[slice, slice]]:
    """Cut the grid along shards into windows of at most :data:`BLOCK_NUMBERS`."""
    n_rows, n_cols, size = store.shape
    shards = max(1, BLOCK_NUMBERS // (SHARD * SHARD * size))
    width = shards * SHARD
    return [
        (slice(top, min(top + SHARD, n_rows)), slice(left, min(left + width, n_cols)))
        for top in range(0, n_rows, SHARD)
        for left in range(0, n_cols, width)
    ]


def stores_in(folder: Path) -> list[Path]:
    """List the compressed slides in a folder (not below it) or in that of a run, by name.

    Raises
    ------
    StoreError
        If there is no such folder, or none is in it.
    """
    if not is_folder(folder):
        raise StoreError("there is no such folder of compressed slides", path=folder)
    try:
        found = sorted(path for path in folder_of_stores(folder).iterdir() if has_suffix(path, STORE_SUFFIX))
    except OSError as error:
        raise StoreError("the folder cannot be read", path=folder, found=str(error)) from error
    if not found:
        raise StoreError(
            "no compressed slide is in this folder",
            path=folder,
            expected=f"folders called SLIDE{STORE_SUFFIX}",
            hint="compress slides into it first",
        )
    return found


@dataclass(frozen=True, eq=False)
class CellSample:
    """Cells drawn from several stores.

    Attributes
    ----------
    codes : ndarray of float32, (n, C)
    store : ndarray of int, (n,)
        Index into `slide_keys`.
    rows, cols : ndarray of int, (n,)
    slide_keys : tuple of str
        Of the slides, in the order of the stores.
    """

    codes: np.ndarray
    store: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    slide_keys: tuple[str, ...]

    def places(self, slide_key: str, shape: tuple[int, int]) -> np.ndarray:
        """Return which cells of a slide were drawn.

        Returns
        -------
        ndarray of int32, (rows, cols)
            Index into the sample; -1 for a cell that was not drawn.
        """
        places = np.full(shape, -1, np.int32)
        own = np.array([other == slide_key for other in self.slide_keys], bool)[self.store]
        inside = own & (self.rows < shape[0]) & (self.cols < shape[1])
        places[self.rows[inside], self.cols[inside]] = np.flatnonzero(inside)
        return places


def draw_cells(
    stores: Sequence[CompressedSlide], most: int, *, seed: int = 0, token: CancellationToken | None = None
) -> CellSample:
    """Draw encoded cells of all stores together, each with the same chance, without replacement.

    Parameters
    ----------
    stores : sequence of CompressedSlide
        Of one encoder.
    most : int
        All cells are taken if there are no more.
    seed : int
        The same stores and seed always give the same cells.
    token : CancellationToken, optional
        Asked at each block of cells.

    Raises
    ------
    InvalidParameterError
        If no cell is encoded.
    """
    counts = [int(store.encoded().sum()) for store in stores]
    total = sum(counts)
    if not total or most < 1:
        raise InvalidParameterError(
            "no encoded cells to draw from", found=f"{total:,} cells, {most:,} wanted"
        )
    rng = np.random.default_rng(seed)
    chosen = np.arange(total) if total <= most else rng.choice(total, most, replace=False, shuffle=False)
    taken = np.zeros(total, bool)
    taken[chosen] = True
    parts, start = [], 0
    for index, (store, count) in enumerate(zip(stores, counts, strict=True)):
        parts += [(index, *part) for part in _chosen(store, taken[start : start + count], token)]
        start += count
    return CellSample(
        np.concatenate([codes for _, codes, _, _ in parts]),
        np.concatenate([np.full(len(rows), index) for index, _, rows, _ in parts]),
        np.concatenate([rows for _, _, rows, _ in parts]),
        np.concatenate([cols for _, _, _, cols in parts]),
        tuple(store.header.slide_key for store in stores),
    )


def _chosen(
    store: CompressedSlide, taken: np.ndarray, token: CancellationToken | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield codes, rows and columns of the chosen ones among a store's cells, counted in raster order."""
    encoded = store.encoded()
    wanted = np.zeros(encoded.shape, bool)
    wanted[encoded] = taken[: np.count_nonzero(encoded)]
    for block in cell_blocks(store, token):
        inside = wanted[block.rows, block.cols]
        if inside.any():
            yield block.codes[inside], block.rows[inside], block.cols[inside]
