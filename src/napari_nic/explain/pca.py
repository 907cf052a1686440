"""The embedding as colours: three principal components of the codes as red, green and blue.

The same codes give the same picture, on every run: the covariance is decomposed exactly (no random
start), signs follow a fixed rule, and percentiles bound the colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Self

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError
from napari_nic.explain.overlay import ROBUST, Overlay
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken, checked

N_COLORS = 3
_CHUNK = 65_536
_CHUNK_NUMBERS = _CHUNK * 128
"""Cells that are converted to float64 at a time, and their numbers: at most 64 MiB, whatever C is."""
_NO_SPREAD = 1e-9
_MOST_AT_ONCE = 256  # channels
_BASIS = 40  # vectors that ARPACK keeps
"""A component whose variance is below this share of the first one's is rounding, not structure."""
_MIDDLE = 127
_GLASS = 255


@dataclass(frozen=True, eq=False)
class PcaModel:
    """Principal components of codes and the range of colours.

    Attributes
    ----------
    mean : ndarray of float64, (C,)
    components : ndarray of float64, (3, C)
        Orthonormal rows, largest variance first; rows of zeros where the codes have no more directions.
    low, high : ndarray of float64, (3,)
        Scores that become 0 and 255; equal where there is nothing to tell apart.
    n_cells : int
        Cells that the model was fitted on.
    explained : ndarray of float64, (3,)
        Share of the variance, 0 to 1.
    """

    mean: np.ndarray
    components: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_cells: int
    explained: np.ndarray

    @classmethod
    def fit(
        cls,
        codes: np.ndarray,
        mask: np.ndarray,
        *,
        like: PcaModel | None = None,
        token: CancellationToken | None = None,
    ) -> Self:
        """Fit on the cells of `mask`.

        Parameters
        ----------
        codes : ndarray of float, (rows, cols, C)
        mask : ndarray of bool, (rows, cols)
            Encoded tissue cells; the others are not looked at.
        like : PcaModel, optional
            An earlier model of the same slide: order and signs are chosen to resemble it, so that colours
            do not jump while cells arrive. Without it signs are fixed by the component alone: its largest
            coefficient is positive.
        token : CancellationToken, optional
            Asked at each chunk of cells, and between the steps of finding components among many channels.

        Notes
        -----
        No cell gives a model that paints grey; one cell likewise; two cells span one component.
        """
        _check(codes, mask)
        cells = codes[mask]
        count, size = cells.shape
        mean, covariance = _moments(cells, token)
        components, variances = _leading(covariance, token)
        if like is not None and like.n_cells > 1 and like.mean.shape == (size,):
            order, signs = _resemblance(components, like.components)
            components, variances = components[order] * signs[:, None], variances[order]
        low, high = _range(_scores(cells, mean, components, token))
        total = float(np.trace(covariance)) or 1.0
        return cls(mean, components, low, high, count, variances / total)

    def to_rgb(
        self, codes: np.ndarray, mask: np.ndarray, *, token: CancellationToken | None = None
    ) -> np.ndarray:
        """Paint codes.

        Parameters
        ----------
        codes : ndarray of float, (rows, cols, C)
        mask : ndarray of bool, (rows, cols)
        token : CancellationToken, optional
            Asked at each chunk of cells.

        Returns
        -------
        ndarray of uint8, (rows, cols, 4), RGBA
            Transparent black outside the mask.
        """
        _check(codes, mask)
        if codes.shape[2] != len(self.mean):
            raise InvalidParameterError(
                "the codes are of another length than the colours were fitted on",
                expected=f"C = {len(self.mean)}",
                found=f"C = {codes.shape[2]}",
            )
        spread = self.high - self.low
        flat = spread <= 0
        scores = _scores(codes[mask], self.mean, self.components, token)
        shares = np.clip((scores - self.low) / np.where(flat, 1, spread), 0, 1)
        rgba = np.zeros((*mask.shape, 4), np.uint8)
        rgba[mask, :N_COLORS] = np.where(flat, _MIDDLE, np.rint(shares * 255)).astype(np.uint8)
        rgba[mask, 3] = 255
        return rgba


class LivePca:
    """Keeps a :class:`PcaModel` up to date while cells arrive.

    The model is fitted anew when there are twice as many cells as at the last fit, so the cost stays a
    small multiple of one fit and colours change at most about 20 times on the largest slide; each fit takes
    order and signs from the one before. When all cells are there, call ``PcaModel.fit`` without ``like``:
    that picture depends on the codes alone, not on the order in which they came.
    """

    def __init__(self, first: int = 64) -> None:
        self.model: PcaModel | None = None
        self._next = first

    def due(self, n_cells: int) -> bool:
        """Whether so many cells call for another fit."""
        return self.model is None or n_cells >= self._next

    def update(
        self, codes: np.ndarray, mask: np.ndarray, *, token: CancellationToken | None = None
    ) -> tuple[PcaModel, bool]:
        """Return the model to paint with, and whether it is new (then all cells are to be painted again)."""
        count = int(np.count_nonzero(mask))
        if self.model is not None and not self.due(count):
            return self.model, False
        self.model = PcaModel.fit(codes, mask, like=self.model, token=token)
        self._next = max(self._next, 2 * count)
        return self.model, True


def pca_overlay(
    codes: np.ndarray,
    mask: np.ndarray,
    placement: Placement,
    *,
    model: PcaModel | None = None,
    token: CancellationToken | None = None,
) -> Overlay:
    """Show codes as colours; `model` is fitted on them unless given.

    Parameters
    ----------
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
        Of the cells, see :attr:`napari_nic.grid.PatchGrid.placement`.
    token : CancellationToken, optional
        Asked at each chunk of cells.
    """
    model = PcaModel.fit(codes, mask, token=token) if model is None else model
    shares = ", ".join(f"{share:.0%}" for share in model.explained)
    return Overlay(
        name="PCA",
        kind="pca",
        data=model.to_rgb(codes, mask, token=token),
        mask=mask,
        placement=placement,
        note=(
            f"Principal components 1, 2, 3 of the codes as red, green, blue ({shares} of the variance), "
            f"each from percentile {ROBUST[0]:g} to {ROBUST[1]:g}. Like colours mean like tissue to the "
            "encoder; a colour alone means nothing, and colours of two slides cannot be compared."
        ),
    )


def store_preview(
    store: CompressedSlide, *, always: bool = True, token: CancellationToken | None = None
) -> None:
    """Put the colours of all codes into a store, for other viewers; glass is white there.

    Parameters
    ----------
    store : CompressedSlide
        Opened for writing.
    always : bool
        False: only where there are codes and no picture, since the run before was killed in between, say; not
        into a store that may not be written.
    token : CancellationToken, optional
    """
    if not always and (not store.writable or store.has_preview or not store.encoded().any()):
        return
    codes, mask = store.read(token=token), store.encoded()
    rgb = PcaModel.fit(codes, mask, token=token).to_rgb(codes, mask, token=token)[..., :3]
    rgb[~mask] = _GLASS
    store.write_preview(rgb)


def _check(codes: np.ndarray, mask: np.ndarray) -> None:
    if codes.ndim != 3 or codes.shape[:2] != mask.shape or mask.dtype != np.bool_:
        raise InvalidParameterError(
            "codes and mask do not belong together",
            expected="codes (rows, cols, C) and a bool mask (rows, cols)",
            found=f"{codes.shape} and {mask.dtype} {mask.shape}",
        )


def _chunks(cells: np.ndarray, token: CancellationToken | None) -> Iterator[np.ndarray]:
    step = min(_CHUNK, max(1, _CHUNK_NUMBERS // max(1, cells.shape[1])))
    for start in checked(range(0, len(cells), step), token):
        yield cells[start : start + step].astype(np.float64)


def _moments(cells: np.ndarray, token: CancellationToken | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (C,) and covariance (C, C) in float64; zeros where there is no cell."""
    count, size = cells.shape
    mean, covariance = np.zeros(size), np.zeros((size, size))
    if count == 0:
        return mean, covariance
    for chunk in _chunks(cells, token):
        mean += chunk.sum(axis=0) / count
    for chunk in _chunks(cells, token):
        centred = chunk - mean
        covariance += centred.T @ centred / count
    return mean, covariance


def _leading(covariance: np.ndarray, token: CancellationToken | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the first three components (3, C), signs fixed, and their variances (3,)."""
    size = len(covariance)
    components, variances = np.zeros((N_COLORS, size)), np.zeros(N_COLORS)
    values, vectors = _eigen(covariance, token)
    count = min(N_COLORS, size)
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count].T
    real = values > max(values[0], 0) * _NO_SPREAD
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.where(vectors[np.arange(count), largest] < 0, -1.0, 1.0)
    components[:count] = np.where(real[:, None], vectors * signs[:, None], 0)
    variances[:count] = np.where(real, values, 0)
    return components, variances


def _eigen(covariance: np.ndarray, token: CancellationToken | None) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, ascending, and eigenvectors in columns: all, or of many channels the last ones.

    LAPACK finds them all and cannot be stopped: 0.1 s for 256 channels, but 10 s for 2,048. ARPACK finds the
    three largest to the same accuracy by products with vectors, each of which is a checkpoint.
    """
    if len(covariance) <= _MOST_AT_ONCE or not covariance.any():
        return _all_eigen(covariance)

    def product(vector: np.ndarray) -> np.ndarray:
        if token is not None:
            token.checkpoint()
        return covariance @ vector

    operator = LinearOperator(covariance.shape, matvec=product, dtype=covariance.dtype)
    start = np.random.default_rng(0).standard_normal(len(covariance))  # the same codes give the same colours
    try:
        values, vectors = eigsh(operator, N_COLORS, which="LA", v0=start, ncv=_BASIS)
    except ArpackError:  # of a spectrum without any gap
        return _all_eigen(covariance)
    order = np.argsort(values)
    return values[order], vectors[:, order]


def _all_eigen(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, vectors = np.linalg.eigh(covariance)
    return values, vectors


def _resemblance(components: np.ndarray, earlier: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order and signs that make `components` most alike `earlier`."""
    alike = earlier @ components.T
    order = max(permutations(range(N_COLORS)), key=lambda p: float(np.abs(alike[range(N_COLORS), p]).sum()))
    dots = alike[np.arange(N_COLORS), order]
    return np.array(order), np.where(dots < 0, -1.0, 1.0)


def _scores(
    cells: np.ndarray, mean: np.ndarray, components: np.ndarray, token: CancellationToken | None
) -> np.ndarray:
    """Project cells (N, C) onto the components: ndarray of float64, (N, 3)."""
    parts = [(chunk - mean) @ components.T for chunk in _chunks(cells, token)]
    return np.concatenate(parts) if parts else np.zeros((0, N_COLORS))


def _range(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(scores) == 0:
        return np.zeros(N_COLORS), np.zeros(N_COLORS)
    low, high = np.percentile(scores, ROBUST, axis=0)
    return low, high
