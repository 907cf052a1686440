"""Whole-number tables of how frequent symbols are: made once from a network, then never computed again."""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_nic.errors import WeightsError

PRECISION = 16
"""Frequencies of a table sum to 2 to this power."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SymbolTables:
    """One table for each channel; its last entry stands for all symbols beyond its ends.

    Attributes
    ----------
    offsets : ndarray of int64, (channels,)
        The symbol that a table's first entry stands for.
    tables : tuple of ndarray of int64
        Frequencies, each at least 1, that sum to 2 ** 16.
    """

    offsets: IntArray
    tables: tuple[IntArray, ...]

    def __post_init__(self) -> None:
        fits = len(self.offsets) == len(self.tables) > 0
        if not fits or any(len(t) < 2 or t.min() < 1 or t.sum() != 1 << PRECISION for t in self.tables):
            raise WeightsError(
                "these are no tables of frequencies",
                expected=f"for each channel whole numbers above 0 that sum to {1 << PRECISION}",
                hint="get the weights again",
            )

    @classmethod
    def of_cumulative(cls, cumulative: IntArray, lengths: IntArray, offsets: IntArray) -> SymbolTables:
        """Take tables as CompressAI stores them.

        Parameters
        ----------
        cumulative : ndarray of int, (channels, n)
            Sums of frequencies from 0 to 2 ** 16, padded.
        lengths : ndarray of int, (channels,)
            How many entries of each row count.
        offsets : ndarray of int, (channels,)
            See the class.

        Raises
        ------
        WeightsError
            If they are damaged.
        """
        is_inside = cumulative.ndim == 2 and (lengths > 2).all() and (lengths <= cumulative.shape[1]).all()
        if not is_inside or (cumulative[:, 0] != 0).any():
            raise WeightsError("the tables of the weights are damaged", hint="get the weights again")
        rows = zip(cumulative.astype(np.int64), lengths, strict=True)
        return cls(offsets.astype(np.int64), tuple(np.diff(row[:length]) for row, length in rows))

    @functools.cached_property
    def lengths(self) -> IntArray:
        """(channels,): entries of each table."""
        return np.array([len(table) for table in self.tables], np.int64)

    @functools.cached_property
    def sha256(self) -> str:
        """Of all tables: streams name it, since they decode by no others."""
        digest = hashlib.sha256(self.offsets.astype("<i8").tobytes())
        for table in self.tables:
            digest.update(len(table).to_bytes(4, "little") + table.astype("<i8").tobytes())
        return digest.hexdigest()


def frequencies(probabilities: npt.NDArray[np.float64]) -> IntArray:
    """Turn probabilities into whole frequencies, each at least 1, that sum to 2 ** 16.

    Parameters
    ----------
    probabilities : ndarray of float64, (n,)
        Not below 0; at most 2 ** 16 of them.

    Raises
    ------
    WeightsError
        If they are no probabilities.
    """
    total = 1 << PRECISION
    is_sound = np.isfinite(probabilities).all() and (probabilities >= 0).all() and probabilities.sum() > 0
    if not is_sound or len(probabilities) > total:
        raise WeightsError("the weights give no probabilities", hint="get the weights again")
    free = total - len(probabilities)
    shares = probabilities / probabilities.sum() * free
    whole = np.floor(shares).astype(np.int64)
    rest = free - int(whole.sum())
    # What rounding left goes to those that lost most, the first of equals first.
    whole[np.argsort(whole - shares, kind="stable")[:rest]] += 1
    return np.asarray(whole + 1)


SCALES: tuple[float, ...] = tuple(float(s) for s in np.exp(np.linspace(np.log(0.11), np.log(256), 64)))
"""Scales of Gaussians, in symbols, that have a table each: CompressAI's."""

_TAIL = 1e-9


def gaussian_tables() -> SymbolTables:
    """Make the tables of Gaussians around 0 of all :data:`SCALES`.

    They are made once for a network and kept with it: another version of SciPy might round otherwise.
    """
    from scipy.special import ndtr, ndtri

    far = -float(ndtri(_TAIL / 2))
    offsets, tables = [], []
    for scale in SCALES:
        most = math.ceil(scale * far)
        at = np.abs(np.arange(-most, most + 1))
        shares = ndtr((0.5 - at) / scale) - ndtr((-0.5 - at) / scale)
        offsets.append(-most)
        tables.append(frequencies(np.append(shares, 2 * ndtr((-0.5 - most) / scale))))
    return SymbolTables(np.array(offsets, np.int64), tuple(tables))
