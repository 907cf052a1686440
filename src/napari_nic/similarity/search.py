"""Search over a folder of compressed slides: exact, or by an index where there are very many cells."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, NicError, StoreMismatchError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.similarity.apart import near, pick_apart
from napari_nic.similarity.matches import Match
from napari_nic.similarity.query import Query, cosine
from napari_nic.similarity.reading import cell_blocks
from napari_nic.telling import LeftOut, Notices, tell
from napari_nic.wording import counted

APART_UM = 250.0
"""By default matches of one slide are at least so far apart: a field of view at 20x is some 500 um wide."""

Method = Literal["exact", "index"]


@dataclass(frozen=True)
class SearchOptions:
    """Which matches are wanted.

    Attributes
    ----------
    top : int
        So many in all, at most.
    per_slide : int or None
        So many of one slide, at most.
    apart_um : float
        Centres of two matches of a slide, and of a match and a cell of the query, are at least so far apart.

    Raises
    ------
    InvalidParameterError
        If a number is out of range.
    """

    top: int = 20
    per_slide: int | None = None
    apart_um: float = APART_UM

    def __post_init__(self) -> None:
        if self.top < 1 or (self.per_slide is not None and self.per_slide < 1) or not self.apart_um >= 0:
            raise InvalidParameterError(
                "numbers of matches must be positive, and their distance not negative", found=f"{self}"
            )

    @property
    def most_per_slide(self) -> int:
        """Most matches of one slide that can be in the list."""
        return self.top if self.per_slide is None else min(self.top, self.per_slide)


@dataclass(frozen=True)
class SearchResult:
    """What was found, and in what.

    Attributes
    ----------
    matches : tuple of Match
        The best one first.
    n_stores, n_cells : int
        What was searched.
    method : {"exact", "index"}
    note : str
        How it was searched, in a sentence.
    left_out : tuple of (Path, str)
        Stores that could not be searched, and why.
    """

    matches: tuple[Match, ...]
    n_stores: int
    n_cells: int
    method: Method = "exact"
    note: str = ""
    left_out: tuple[tuple[Path, str], ...] = field(default=())


@dataclass(frozen=True)
class Searched:
    """Stores that can be searched by a query, opened.

    Attributes
    ----------
    stores : tuple of CompressedSlide
    counts : tuple of int
        Encoded cells of each.
    left_out : tuple of (Path, str)
    """

    stores: tuple[CompressedSlide, ...]
    counts: tuple[int, ...]
    left_out: tuple[tuple[Path, str], ...]

    @property
    def n_cells(self) -> int:
        """Encoded cells in all."""
        return sum(self.counts)


def open_searched(query: Query, paths: Iterable[Path], *, token: CancellationToken | None = None) -> Searched:
    """Open stores; what cannot be searched is left out and told.

    That is what is damaged, empty, of another encoder, or a second store of one slide.

    Parameters
    ----------
    query : Query
    paths : iterable of Path
    token : CancellationToken, optional
        Asked at each store.

    Raises
    ------
    StoreMismatchError
        If none is left.
    """
    stores: dict[str, CompressedSlide] = {}
    left_out: list[tuple[Path, str]] = []
    twins: list[tuple[Path, str]] = []
    for path in checked(paths, token):
        try:
            store = CompressedSlide.open(path)
            query.check_encoder(store)
        except NicError as error:
            left_out.append((path, error.problem))
            continue
        twin = stores.setdefault(store.header.slide_key, store)
        if twin is not store:
            twins.append((path, f"it is of the same slide as {twin.path.name}"))
    empty = [store for store in stores.values() if not store.encoded().any()]
    left_out += [(store.path, "no cell of it is encoded yet") for store in empty]
    for path, why in left_out:
        tell(LeftOut(str(path), why))
    for path, why in twins:  # its cells are searched all the same, in the other store
        tell(Notices(str(path), (f"not searched: {why}",)))
    left_out += twins
    kept = tuple(store for store in stores.values() if store not in empty)
    if not kept:
        reasons = "; ".join(f"{path.name}: {why}" for path, why in left_out[:3])
        raise StoreMismatchError(
            "no compressed slide can be searched by this query",
            expected=f"codes of {query.encoder.get('name', 'the same encoder')}",
            found=reasons or "no compressed slide",
        )
    return Searched(kept, tuple(int(store.encoded().sum()) for store in kept), tuple(left_out))


def search_exactly(
    query: Query,
    searched: Searched,
    options: SearchOptions | None = None,
    *,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SearchResult]:
    """Compare every cell with the query; yield after each block, and return the matches.

    Codes are read in blocks of 32 MiB and one similarity is kept for each cell of one slide at a time, so
    memory grows neither with the cohort nor with the length of the codes. The result is exact: for each slide
    cells are picked greedily, the most similar one first, none within ``options.apart_um`` of another.

    Parameters
    ----------
    query : Query
    searched : Searched
        See :func:`open_searched`.
    options : SearchOptions, optional
    token : CancellationToken, optional
        Asked at each block of cells.
    """
    options = options or SearchOptions()
    found: list[Match] = []
    done = 0
    for store in searched.stores:
        values = np.full(store.grid.shape, -np.inf, np.float32)
        for block in cell_blocks(store, token):
            values[block.rows, block.cols] = cosine(block.codes, query.vector)
            done += len(block.rows)
            yield Progress(done, searched.n_cells, "searching", "cells")
        found = best(found + pick(query, store, values, options), options)
    note = (
        f"compared with every one of {searched.n_cells:,} cells of {counted(len(searched.stores), 'slide')}"
    )
    return SearchResult(
        tuple(found), len(searched.stores), searched.n_cells, "exact", note, searched.left_out
    )


def pick(query: Query, store: CompressedSlide, values: np.ndarray, options: SearchOptions) -> list[Match]:
    """Pick the matches of one slide.

    Parameters
    ----------
    query : Query
    store : CompressedSlide
    values : ndarray of float, (rows, cols)
        Similarity of its cells; minus infinity where none is known.
    options : SearchOptions
    """
    step = store.grid.placement.step_um
    blocked = None
    if store.header.slide_key == query.slide_key:
        blocked = near(_own_cells(query, store), options.apart_um, step)
    cells = pick_apart(values, options.most_per_slide, options.apart_um, step, blocked)
    return [Match.of(store, row, col, float(values[row, col])) for row, col in cells.tolist()]


def best(matches: Sequence[Match], options: SearchOptions) -> list[Match]:
    """Return the best matches of all slides, in an order that does not depend on how they were found."""
    ranked = sorted(matches, key=lambda match: (-match.similarity, str(match.store), match.row, match.col))
    return ranked[: options.top]


def _own_cells(query: Query, store: CompressedSlide) -> np.ndarray:
    """Cells of the query's own slide that hold the places which it was taken from."""
    placement, shape = store.grid.placement, store.grid.shape
    own = np.zeros(shape, bool)
    index = np.array([placement.index_at(y, x) for y, x in query.places_um.tolist()])
    cells = np.floor(index).astype(int).reshape(-1, 2)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    own[tuple(cells[inside].T)] = True
    return own
