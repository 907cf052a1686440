"""An index over very many cells: inverted lists of codes in eight bits, by the optional library faiss.

Exact search reads every code of a cohort at every query. An index keeps them in eight bits a number, in
lists around centres of which a query looks through a few (Jegou, Douze and Schmid, "Product quantization
for nearest neighbor search", TPAMI 2011, section IV; Douze et al., "The Faiss library", 2024). What it
proposes is compared again with the stored codes, so the similarities that are told are exact; which cells are
proposed is not.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from napari_nic.descriptions import read_json, sealed, unsealed
from napari_nic.disk import replacing, write_text
from napari_nic.embeddings import BLOCK, CompressedSlide
from napari_nic.errors import NicError, StoreError
from napari_nic.extras import check_installed, require
from napari_nic.identity import identity
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.similarity.matches import Match
from napari_nic.similarity.query import Query, cosine, normalized
from napari_nic.similarity.reading import CellBlock, cell_blocks, draw_cells
from napari_nic.similarity.search import (
    Searched,
    SearchOptions,
    SearchResult,
    best,
    pick,
    search_exactly,
)
from napari_nic.wording import counted

EXACT_CELLS = 2_000_000
"""Up to so many cells are compared one by one: that takes seconds, and building an index takes more."""

KEPT = 4
"""Indexes that are kept in the cache; the ones that were used longest ago go."""

HOME_VARIABLE = "NAPARI_NIC_HOME"

_WHAT = "the description of an index"
_TRAINED_PER_LIST = 40
_MOST_LISTS = 8_192
_PROBES = 32
_SPARE = 5
"""So many times the wanted matches are compared exactly."""

_PROPOSED = (2_000, 20_000)
"""Cells that the index proposes; the second number where the first ones lie too close together."""


def search_cells(
    query: Query,
    searched: Searched,
    options: SearchOptions | None = None,
    *,
    exact_cells: int = EXACT_CELLS,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SearchResult]:
    """Search exactly, or by an index where there are more cells than `exact_cells` and faiss is installed.

    Parameters
    ----------
    query : Query
    searched : Searched
        See :func:`~napari_nic.similarity.open_searched`.
    options : SearchOptions, optional
    exact_cells : int
        0 asks for the index whatever their number is.
    token : CancellationToken, optional
        Asked at each block of cells.

    Returns
    -------
    SearchResult
        ``method`` and ``note`` say how it was searched.

    Raises
    ------
    MissingDependencyError
        If `exact_cells` is 0 and faiss is not installed.
    """
    if exact_cells == 0:
        check_installed("faiss", "an index of cells")
    if searched.n_cells <= exact_cells:
        return (yield from search_exactly(query, searched, options, token=token))
    if find_spec("faiss") is None:
        result = yield from search_exactly(query, searched, options, token=token)
        note = f"{result.note}; an index would be quicker from the second query on (pip install faiss-cpu)"
        return SearchResult(result.matches, result.n_stores, result.n_cells, "exact", note, result.left_out)
    index = yield from open_index(searched, token=token)
    return index.search(query, options or SearchOptions(), token=token)


def open_index(
    searched: Searched, folder: Path | None = None, *, token: CancellationToken | None = None
) -> Generator[Progress, None, CellIndex]:
    """Open the index of these stores, which is built unless there is one; yield while it is built.

    Parameters
    ----------
    searched : Searched
    folder : Path, optional
        Where indexes are kept; the user's cache by default.
    token : CancellationToken, optional
        Asked at each block of cells. An index that is not finished is not kept.

    Raises
    ------
    StoreError
        If it cannot be written.
    MissingDependencyError
        If faiss is not installed.
    """
    faiss = require("faiss", "an index of cells")
    folder = folder or index_folder()
    name = _fingerprint(searched)
    path = folder / f"{name}.faiss"
    if _is_whole(path):
        os.utime(path)
        return CellIndex(faiss.read_index(str(path)), searched)
    built = yield from _build(faiss, searched, token)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        faiss.write_index(built, str(temporary))
    described = {"index_sha256": _sha256(path), "stores": [str(store.path) for store in searched.stores]}
    write_text(path.with_suffix(".json"), json.dumps(sealed(described), indent=1))
    _forget_old(folder)
    return CellIndex(built, searched)


def index_folder() -> Path:
    """Folder of the indexes: in the user's cache, or where ``NAPARI_NIC_HOME`` says."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home or platformdirs.user_cache_dir("napari-nic", appauthor=False)) / "indexes"


@dataclass(frozen=True, eq=False)
class CellIndex:
    """An index and the stores that it is of.

    Attributes
    ----------
    index : faiss.Index
        Number of a cell: cells in raster order, store after store.
    searched : Searched
    """

    index: Any
    searched: Searched

    def search(
        self, query: Query, options: SearchOptions, *, token: CancellationToken | None = None
    ) -> SearchResult:
        """Return the matches among what the index proposes.

        Parameters
        ----------
        query : Query
        options : SearchOptions
        token : CancellationToken, optional
            Asked at each store with proposed cells.
        """
        found: list[Match] = []
        proposed = 0
        for proposed in _PROPOSED:
            likely, numbers = self.index.search(query.vector[None], min(proposed, self.searched.n_cells))
            known = numbers[0] >= 0
            cells = self._likely(query, numbers[0][known], likely[0][known], options)
            found = self._compared(query, cells, options, token)
            if len(found) >= options.top or proposed >= self.searched.n_cells:
                break
        stores = counted(len(self.searched.stores), "slide")
        note = (
            f"searched by an index of {self.searched.n_cells:,} cells of {stores}; of {proposed:,} that it "
            "proposed the likeliest were compared exactly; a match may be missed"
        )
        return SearchResult(
            tuple(found),
            len(self.searched.stores),
            self.searched.n_cells,
            "index",
            note,
            self.searched.left_out,
        )

    def _likely(
        self, query: Query, numbers: np.ndarray, similarity: np.ndarray, options: SearchOptions
    ) -> list[Match]:
        """Pick more matches than are wanted among proposed cells, by what the index knows of them."""
        wide = SearchOptions(
            _SPARE * options.top, options.per_slide and _SPARE * options.per_slide, options.apart_um
        )
        starts = np.concatenate([[0], np.cumsum(self.searched.counts)])
        owner = np.searchsorted(starts, numbers, side="right") - 1
        found: list[Match] = []
        for index in np.unique(owner).tolist():
            store, own = self.searched.stores[index], owner == index
            values = np.full(store.grid.shape, -np.inf, np.float32)
            rows, cols = np.nonzero(store.encoded())
            inside = numbers[own] - starts[index]
            values[rows[inside], cols[inside]] = similarity[own]
            found += pick(query, store, values, wide)
        return best(found, wide)

    def _compared(
        self, query: Query, likely: list[Match], options: SearchOptions, token: CancellationToken | None
    ) -> list[Match]:
        """Compare cells exactly, and pick the matches among them."""
        found: list[Match] = []
        for store in checked(self.searched.stores, token):
            cells = np.array([(m.row, m.col) for m in likely if m.store == store.path], int).reshape(-1, 2)
            values = np.full(store.grid.shape, -np.inf, np.float32)
            for block in _read_cells(store, cells, token):
                values[block.rows, block.cols] = cosine(block.codes, query.vector)
            found += pick(query, store, values, options)
        return best(found, options)


def _read_cells(
    store: CompressedSlide, cells: np.ndarray, token: CancellationToken | None
) -> Iterator[CellBlock]:
    """Read some cells, a block of those that are stored together at a time."""
    blocks, which = np.unique(cells // BLOCK, axis=0, return_inverse=True)
    for number, (top, left) in enumerate(checked((blocks * BLOCK).tolist(), token)):
        rows, cols = cells[which.ravel() == number].T
        codes = store.read_cells(slice(top, top + BLOCK), slice(left, left + BLOCK))
        yield CellBlock(codes[rows - top, cols - left].astype(np.float32), rows, cols)


def _build(faiss: Any, searched: Searched, token: CancellationToken | None) -> Generator[Progress, None, Any]:
    size = searched.stores[0].code_size
    lists = min(_MOST_LISTS, math.isqrt(searched.n_cells), searched.n_cells // _TRAINED_PER_LIST)
    lists = max(1, lists)
    yield Progress(0, searched.n_cells, "learning the index", "cells")
    drawn = draw_cells(searched.stores, lists * _TRAINED_PER_LIST, token=token)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(size), size, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = 0
    index.train(normalized(drawn.codes))
    index.nprobe = min(_PROBES, lists)
    start = done = 0
    for store, count in zip(searched.stores, searched.counts, strict=True):
        encoded = store.encoded()
        number = np.full(encoded.shape, -1, np.int64)
        number[encoded] = np.arange(start, start + np.count_nonzero(encoded))
        for block in cell_blocks(store, token):
            index.add_with_ids(normalized(block.codes), number[block.rows, block.cols])
            done += len(block.rows)
            yield Progress(done, searched.n_cells, "building the index", "cells")
        start += count
    return index


def _fingerprint(searched: Searched) -> str:
    """Name an index by what determines its cells: slides, codes, and which cells are encoded."""
    stores = [
        {
            "slide": store.header.slide_key,
            "encoder": identity(store.header.encoder),
            "created": store.header.created,
            "grid": store.grid.to_dict(),
            "cells": hashlib.sha256(np.packbits(store.encoded()).tobytes()).hexdigest(),
        }
        for store in searched.stores
    ]
    return hashlib.sha256(json.dumps(stores, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _is_whole(path: Path) -> bool:
    """Whether an index is there, and is the one that was written: faiss trusts what it reads."""
    described = path.with_suffix(".json")
    if not path.is_file() or not described.is_file():
        return False
    try:
        data = unsealed(read_json(described, StoreError, what=_WHAT), described, StoreError)
        return bool(data.get("index_sha256") == _sha256(path))
    except (NicError, OSError, AttributeError):
        return False  # then it is built anew


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget_old(folder: Path) -> None:
    indexes = sorted(folder.glob("*.faiss"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in indexes[KEPT:]:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
