"""Choose some of a slide's cells at random."""

from __future__ import annotations

import numpy as np

_SIDES = ((0, 1), (1, 0), (0, -1), (-1, 0))


def choose_balanced(kinds: np.ndarray, cap: int, rng: np.random.Generator) -> np.ndarray:
    """Choose at most `cap`, as many of each class as of any other as far as there are enough.

    Parameters
    ----------
    kinds : ndarray of int, (n,)
        Class of each candidate.

    Returns
    -------
    ndarray of int
        Indices of the chosen ones, ascending.
    """
    chosen: list[np.ndarray] = []
    names, sizes = np.unique(kinds, return_counts=True)
    # The rarest class first: what it lacks is divided among the others.
    for position, index in enumerate(np.argsort(sizes, kind="stable")):
        share = -(-(cap - sum(map(len, chosen))) // (len(names) - position))
        members = np.flatnonzero(kinds == names[index])
        chosen.append(rng.permutation(members)[:share])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, int)


def choose_with_neighbours(cells: np.ndarray, cap: int, rng: np.random.Generator) -> np.ndarray:
    """Choose at most `cap` cells, each with one that lies beside it where there is one.

    So that pairs of adjacent patches can be drawn from a sparse choice, too.

    Parameters
    ----------
    cells : ndarray of int, (n, 2)
        (row, col) of the candidates.

    Returns
    -------
    ndarray of int
        Indices of the chosen ones, ascending.
    """
    if len(cells) <= cap:
        return np.arange(len(cells))
    index_of = {(int(row), int(col)): index for index, (row, col) in enumerate(cells)}
    chosen: set[int] = set()
    for index in map(int, rng.permutation(len(cells))):
        if len(chosen) >= cap:
            break
        if index in chosen:
            continue
        row, col = map(int, cells[index])
        beside = (index_of.get((row + dy, col + dx)) for dy, dx in _SIDES)
        there = [other for other in beside if other is not None]
        chosen.add(index)
        if there and not chosen.intersection(there) and len(chosen) < cap:
            chosen.add(there[int(rng.integers(len(there)))])
    return np.sort(np.fromiter(chosen, int))
