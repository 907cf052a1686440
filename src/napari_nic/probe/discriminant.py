"""The linear discriminant of strokes in closed form, and what it says of each stroke without that stroke."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from napari_nic.errors import InvalidParameterError
from napari_nic.probe.scaling import Moments
from napari_nic.probe.strokes import Stroke
from napari_nic.probe.sums import GramSums

PRIOR_CELLS = 10.0
"""Cells that the prior for the scatter within classes counts as: the slide's own variance in each channel.
From 1 to 30 makes no odds with a few strokes on real tissue; hundreds hide what the strokes say."""


@dataclass(frozen=True, eq=False)
class Discriminant:
    """Linear discriminant analysis of labelled cells, every class equally likely beforehand.

    Attributes
    ----------
    sums : GramSums
        What it was made of; not to be changed while this is in use.
    scaling : Moments
        Of the slides: channels are scaled by their spread there.
    prior_cells : float
    classes : tuple of str
    means : ndarray of float64, (K, C)
        Of the classes, scaled.
    directions : ndarray of float64, (C, K)
        ``A^-1 means'`` of the scatter ``A``.
    factor : tuple
        Cholesky factor of ``A``.

    Notes
    -----
    With W the scatter of the labelled cells around the means of their classes, in channels of unit variance
    over the slide, the covariance within classes is estimated as A / (N - K + nu), A = W + nu I: the cells'
    own, drawn towards that of the slide as if nu more cells had shown it (a conjugate prior; Friedman 1989
    calls the shrinkage regularised discriminant analysis). A class then scores x' S^-1 m - m' S^-1 m / 2,
    which is the logarithm of its Gaussian likelihood up to what all classes share. Classes count alike,
    however many cells were labelled of each: what is drawn says nothing about how frequent a tissue is.
    """

    sums: GramSums
    scaling: Moments
    prior_cells: float
    classes: tuple[str, ...]
    means: np.ndarray
    directions: np.ndarray
    factor: tuple[np.ndarray, bool]

    @property
    def freedom(self) -> float:
        """Divisor of the scatter: N - K + nu."""
        return self.sums.total - len(self.classes) + self.prior_cells

    def scaled(self, codes: np.ndarray) -> np.ndarray:
        """Scale codes that `sums` have centred: float64 (n, C)."""
        return np.asarray((codes + (self.sums.origin - self.scaling.mean)) / self.scaling.spread)

    def linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (K, C) and offsets (K,) that give the scores of plain codes."""
        weights = self.freedom * self.directions.T / self.scaling.spread
        offsets = _offsets(self.means, self.directions, self.freedom) - weights @ self.scaling.mean
        return weights, offsets

    def without(self, stroke: Stroke) -> np.ndarray | None:
        """Scores of a stroke's cells by the discriminant that never saw them: float64 (n, K).

        Exact, and without another fit: the scatter loses a part of rank n, by the identity of Woodbury (or by
        one more factorisation, where a stroke has more cells than a code has channels).

        Returns
        -------
        ndarray, or None where the stroke is the only one of its class
        """
        sums, own = self.sums, self.classes.index(stroke.label)
        count, left = sums.counts[stroke.label], sums.counts[stroke.label] - len(stroke)
        if left == 0:
            return None
        codes = sums.centred(stroke)
        cells = self.scaled(codes)
        middle = cells.mean(axis=0)
        means = self.means.copy()
        means[own] = self.scaled((sums.sums[stroke.label] - codes.sum(axis=0)) / left)
        apart = np.sqrt(count * len(stroke) / left) * (middle - self.means[own])
        lost = np.vstack([cells - middle, apart])
        directions = self._without_scatter(lost, means, own)
        freedom = self.freedom - len(stroke)
        return np.asarray(freedom * (cells @ directions) + _offsets(means, directions, freedom))

    def _without_scatter(self, lost: np.ndarray, means: np.ndarray, own: int) -> np.ndarray:
        """Return (A - U U')^-1 means' for U' = `lost` (r, C); only mean number `own` differs from ours."""
        if len(lost) >= lost.shape[1]:
            scatter = _scatter(self.sums, self.scaling, self.prior_cells) - lost.T @ lost
            return np.asarray(cho_solve(cho_factor(scatter, lower=True), means.T))
        plain = self.directions.copy()
        plain[:, own] = cho_solve(self.factor, means[own])
        spread = cho_solve(self.factor, lost.T)
        inner = np.eye(len(lost)) - lost @ spread
        return np.asarray(plain + spread @ np.linalg.solve(inner, lost @ plain))


def solve(sums: GramSums, scaling: Moments, *, prior_cells: float = PRIOR_CELLS) -> Discriminant:
    """Solve for the discriminant of all cells that were summed.

    Parameters
    ----------
    sums : GramSums
    scaling : Moments
    prior_cells : float
        The larger, the less the directions follow the few cells that were labelled.

    Raises
    ------
    InvalidParameterError
        If fewer than two classes have cells, or `prior_cells` is not above 0.
    """
    classes = sums.classes
    if len(classes) < 2:
        raise InvalidParameterError(
            "a probe tells classes apart",
            expected="labelled cells of two classes or more",
            found=", ".join(classes) or "none",
        )
    if not prior_cells > 0:
        raise InvalidParameterError("the prior must count as more than no cell", found=f"{prior_cells:g}")
    centres = np.array([sums.sums[label] / sums.counts[label] for label in classes])
    means = (centres + (sums.origin - scaling.mean)) / scaling.spread
    factor = cho_factor(_scatter(sums, scaling, prior_cells), lower=True)
    return Discriminant(sums, scaling, prior_cells, classes, means, cho_solve(factor, means.T), factor)


def _scatter(sums: GramSums, scaling: Moments, prior_cells: float) -> np.ndarray:
    """Scatter within classes, in scaled channels, with its prior: (C, C)."""
    between = np.zeros_like(sums.gram)
    for label, count in sums.counts.items():
        between += np.outer(sums.sums[label], sums.sums[label] / count)
    scatter = (sums.gram - between) / np.outer(scaling.spread, scaling.spread)
    scatter[np.diag_indices_from(scatter)] += prior_cells
    return np.asarray((scatter + scatter.T) / 2)


def _offsets(means: np.ndarray, directions: np.ndarray, freedom: float) -> np.ndarray:
    return np.asarray(-0.5 * freedom * np.einsum("kc,ck->k", means, directions))
