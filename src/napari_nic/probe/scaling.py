"""Mean and spread of a slide's codes: what a probe holds for the ordinary variation of tissue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked

ROWS_AT_ONCE = 65_536
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """How many codes there are, their mean, and their sum of squares around it.

    Attributes
    ----------
    count : int
    mean, squares : ndarray of float64, (C,)
    """

    count: int
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, *, token: CancellationToken | None = None) -> Self:
        """Measure codes (N, C), a block at a time, in float64."""
        starts = checked(range(0, len(codes), ROWS_AT_ONCE), token)
        return cls.joined((cls._of_block(codes[start : start + ROWS_AT_ONCE]) for start in starts), codes)

    @classmethod
    def _of_block(cls, codes: np.ndarray) -> Self:
        mean = codes.mean(axis=0, dtype=np.float64)
        offset = mean.astype(np.float32)
        around = codes - offset
        squares = np.einsum("nc,nc->c", around, around, dtype=np.float64)
        return cls(len(codes), mean, squares - len(codes) * (mean - offset) ** 2)

    @classmethod
    def joined(cls, parts: Iterable[Moments], like: np.ndarray | None = None) -> Self:
        """Pool parts (Chan, Golub and LeVeque 1983); `like` (N, C) tells C where there may be no part."""
        pooled: Moments | None = None
        for part in parts:
            pooled = part if pooled is None else _pooled(pooled, part)
        if pooled is not None:
            return cls(pooled.count, pooled.mean, pooled.squares)
        if like is None:
            raise InvalidParameterError("there are no codes to measure")
        return cls(0, np.zeros(like.shape[1]), np.zeros(like.shape[1]))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each channel, (C,); 1 for one that never changes."""
        deviation = np.sqrt(np.maximum(self.squares, 0) / max(1, self.count))
        return np.where(deviation > _LEAST_SPREAD, deviation, 1.0)


def _pooled(one: Moments, other: Moments) -> Moments:
    count = one.count + other.count
    apart, share = other.mean - one.mean, other.count / max(1, count)
    return Moments(
        count, one.mean + apart * share, one.squares + other.squares + apart**2 * (one.count * share)
    )
