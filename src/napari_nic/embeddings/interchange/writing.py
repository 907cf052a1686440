"""Rows in any order on their way into the shards of a store, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings import layout
from napari_nic.embeddings.interchange import table
from napari_nic.embeddings.interchange.table import Rows
from napari_nic.embeddings.layout import SHARD
from napari_nic.embeddings.shards import ShardBuffer, ShardKey
from napari_nic.embeddings.stored import StoredCodes
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted

GROUP_BYTES = 256 * 2**20
"""Codes of the shards that are filled together. The rows of a file in the order of a grid are read about
once; of a file in no order they are read once for each such group."""


def write_shards(
    root: Path,
    features: Rows,
    rows: np.ndarray,
    cells: np.ndarray,
    source: Path,
    token: CancellationToken,
) -> None:
    """Write codes into the folder of a new store whose blocks all count as done.

    Parameters
    ----------
    root : Path
        Of the store.
    features : Rows
        (N, C) numbers.
    rows : ndarray of int, (M,)
        Rows of `features` that are taken, rising.
    cells : ndarray of int64, (M, 2)
        Where each goes.
    source : Path
        Named in errors.
    token : CancellationToken
        Asked at each slab of rows and each shard.

    Raises
    ------
    StoreError
        If a code is no finite float16 number.
    """
    if not len(rows):
        return
    group = layout.open_group(root, writable=True)
    header = layout.read_description(group, root).header
    shape = (*header.grid.shape, header.code_size)
    stored = StoredCodes(root, group, shape)
    lost = 0
    for keys, members in _groups(cells, shape):
        buffers = {key: ShardBuffer.empty(key, shape[:2], shape[2]) for key in keys}
        lost += _fill(buffers, features, rows[members], cells[members], token)
        for key, buffer in checked(buffers.items(), token):
            stored.write({key: buffer})
    if lost:
        raise StoreError(
            "the codes hold numbers that float16 cannot",
            path=source,
            expected=f"finite numbers within +-{np.finfo(np.float16).max:g}",
            found=f"others in {counted(lost, 'patch', 'patches')}",
        )


def _groups(cells: np.ndarray, shape: tuple[int, int, int]) -> Iterator[tuple[list[ShardKey], np.ndarray]]:
    """Yield shards that are filled together, and which of the rows go there: those first met come first."""
    width = -(-shape[1] // SHARD)
    numbers = cells[:, 0] // SHARD * width + cells[:, 1] // SHARD
    shards, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    at_once = max(1, GROUP_BYTES // (SHARD * SHARD * shape[2] * 2))
    group_of = np.empty(len(shards), np.int64)
    group_of[order] = np.arange(len(shards)) // at_once
    for number in range(int(group_of.max()) + 1):
        keys = [(int(shard) // width, int(shard) % width) for shard in shards[group_of == number]]
        yield keys, np.flatnonzero(group_of[which] == number)


def _fill(
    buffers: dict[ShardKey, ShardBuffer],
    features: Rows,
    rows: np.ndarray,
    cells: np.ndarray,
    token: CancellationToken,
) -> int:
    """Read the rows in slabs and lay them into their shards; count those that float16 cannot hold."""
    lost = 0
    for start, stop in checked(_spans(features, rows), token):
        part = slice(*np.searchsorted(rows, (start, stop)))
        read = np.asarray(features[start:stop])
        taken = read if len(read) == part.stop - part.start else read[rows[part] - start]
        with np.errstate(over="ignore"):
            codes = taken.astype(np.float16, copy=False)
        lost += int((~np.isfinite(codes).all(axis=1)).sum())
        _lay(buffers, codes, cells[part])
    return lost


def _lay(buffers: dict[ShardKey, ShardBuffer], codes: np.ndarray, cells: np.ndarray) -> None:
    """Lay codes into their shards, a piece for each shard."""
    shards = cells // SHARD
    order = np.lexsort((shards[:, 1], shards[:, 0]))
    edges = np.flatnonzero((np.diff(shards[order], axis=0) != 0).any(axis=1)) + 1
    for piece in np.split(order, edges):
        row, col = (int(n) for n in shards[piece[0]])
        at = cells[piece] - (row * SHARD, col * SHARD)
        buffers[row, col].codes[at[:, 0], at[:, 1]] = codes[piece]


def _spans(features: Rows, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Slices of the file that hold `rows`, cut at its chunks; gaps of a slab or more are not read."""
    step = max(1, table.SLAB_BYTES // max(1, features.shape[1] * features.dtype.itemsize))
    chunk = _chunk_rows(features)
    step = max(chunk, step // chunk * chunk)
    for number in np.unique(rows // step):
        inside = rows[slice(*np.searchsorted(rows, (number * step, (number + 1) * step)))]
        yield int(inside[0]), int(inside[-1]) + 1


def _chunk_rows(features: Any) -> int:
    chunks = getattr(features, "chunks", None)
    return int(chunks[0]) if chunks else 1
