"""How unusual a cell is, against a reference: the rest of its slide, or other slides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, StoreMismatchError
from napari_nic.identity import described, differing
from napari_nic.jobs import CancellationToken, checked
from napari_nic.similarity.query import normalized
from napari_nic.similarity.reading import CellSample, cell_blocks, draw_cells

AnomalyMethod = Literal["knn", "mahalanobis"]

KNN_SAMPLE = 2_048
"""Cells of a reference that neighbours are looked for in."""

MAHALANOBIS_SAMPLE = 50_000
"""Cells of a reference whose mean and covariance are taken."""

_CHUNK = 4_096
"""Cells between two checkpoints: their distances to all of a sample take 32 MiB."""

_VARIANCE = 0.95
_MOST_COMPONENTS = 64
_LEAST_CELLS = 3


@dataclass(frozen=True)
class AnomalyOptions:
    """How anomaly is measured.

    Attributes
    ----------
    method : {"knn", "mahalanobis"}
    neighbours : int
        k of "knn".
    seed : int
        Of the drawn reference.

    Raises
    ------
    InvalidParameterError
        If the method is unknown or k is not positive.
    """

    method: AnomalyMethod = "knn"
    neighbours: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in ("knn", "mahalanobis"):
            raise InvalidParameterError(
                "unknown measure of anomaly", expected="knn or mahalanobis", found=repr(self.method)
            )
        if self.neighbours < 1:
            raise InvalidParameterError("k must be positive", found=f"{self.neighbours}")

    @property
    def sample(self) -> int:
        """How many cells of the reference are drawn."""
        return KNN_SAMPLE if self.method == "knn" else MAHALANOBIS_SAMPLE


@dataclass(frozen=True, eq=False)
class AnomalyModel:
    """A reference that cells are compared with.

    Two measures, both of the literature on inputs that a network has not seen, both without any label:

    * **knn**: codes are scaled to length 1; a cell's anomaly is its Euclidean distance to the k-th nearest
      of the reference's cells (Sun, Ming, Zhu and Li, "Out-of-distribution detection with deep nearest
      neighbors", ICML 2022, equation 2). It assumes nothing of how codes are spread. The reference is a
      sample of :data:`KNN_SAMPLE` cells: what makes up less than about k of these counts as unusual.
    * **mahalanobis**: distance from the mean in the principal components that hold 95 % of the variance, each
      divided by its standard deviation (Lee, Lee, Lee and Shin, "A simple unified framework for detecting
      out-of-distribution samples", NeurIPS 2018, equation 2, with one class). It takes the reference for
      one cloud: rare tissue far from the mean is found, rare tissue between two common ones is not.

    A distance says little by itself, so :meth:`percent` gives the share of the reference's cells that lie
    closer: 99 means that only one cell in a hundred of the reference is as unusual.

    Attributes
    ----------
    options : AnomalyOptions
    mean : ndarray of float64, (C,)
    basis : ndarray of float64, (C, K)
        Of "mahalanobis": a code's differences from the mean times this have unit variance. (C, 0) otherwise.
    sample : ndarray of float32, (n, C)
        Of "knn": the reference, of length 1. (0, C) otherwise.
    distances : ndarray of float32, (n,)
        Of the reference's own cells, rising; a cell is no neighbour of itself.
    """

    options: AnomalyOptions
    mean: np.ndarray
    basis: np.ndarray
    sample: np.ndarray
    distances: np.ndarray

    @classmethod
    def fit(
        cls,
        codes: np.ndarray,
        options: AnomalyOptions | None = None,
        *,
        token: CancellationToken | None = None,
    ) -> AnomalyModel:
        """Learn the reference.

        Parameters
        ----------
        codes : ndarray of float32, (n, C)
            Of the reference's cells, see :func:`~napari_nic.similarity.draw_cells`.
        options : AnomalyOptions, optional
        token : CancellationToken, optional
            Asked at each chunk of cells.

        Raises
        ------
        InvalidParameterError
            If there are too few cells.
        """
        options = options or AnomalyOptions()
        least = max(_LEAST_CELLS, options.neighbours + 1 if options.method == "knn" else 0)
        if len(codes) < least:
            raise InvalidParameterError(
                "too few cells to tell what is usual",
                expected=f"at least {least:,} encoded cells",
                found=f"{len(codes):,}",
            )
        mean = codes.mean(axis=0, dtype=np.float64)
        size = codes.shape[1]
        nobody = np.empty(0, np.float32)
        if options.method == "knn":
            model = cls(options, mean, np.empty((size, 0)), normalized(codes), nobody)
            own = np.arange(len(codes))
        else:
            model = cls(options, mean, _whitening(codes, mean), np.empty((0, size), np.float32), nobody)
            own = None
        distances = np.sort(model.score(codes, own, token=token))
        return cls(options, mean, model.basis, model.sample, distances)

    def score(
        self, codes: np.ndarray, own: np.ndarray | None = None, *, token: CancellationToken | None = None
    ) -> np.ndarray:
        """Return the distance of cells from the reference, float32 (n,).

        Parameters
        ----------
        codes : ndarray of float32, (n, C)
        own : ndarray of int, (n,), optional
            Which cell of the reference each one is, -1 for none: a cell is no neighbour of itself.
        token : CancellationToken, optional
            Asked at each chunk of cells.
        """
        found = np.empty(len(codes), np.float32)
        for start in checked(range(0, len(codes), _CHUNK), token):
            part = slice(start, start + _CHUNK)
            if self.options.method == "knn":
                found[part] = self._kth_distance(codes[part], None if own is None else own[part])
            else:
                found[part] = np.linalg.norm((codes[part] - self.mean) @ self.basis, axis=1)
        return found

    def percent(self, distances: np.ndarray) -> np.ndarray:
        """Return the share of the reference's cells that lie closer, float32, 0 to 100."""
        closer = np.searchsorted(self.distances, distances, side="left")
        return (closer * (100 / len(self.distances))).astype(np.float32)

    def _kth_distance(self, codes: np.ndarray, own: np.ndarray | None) -> np.ndarray:
        similarity = normalized(codes) @ self.sample.T
        if own is not None:
            known = np.flatnonzero(own >= 0)
            similarity[known, own[known]] = -np.inf
        k = min(self.options.neighbours, len(self.sample))
        kth = np.partition(similarity, -k, axis=1)[:, -k]
        # Of two vectors of length 1: |a - b|^2 = 2 - 2 a.b
        return np.sqrt(np.maximum(0, 2 - 2 * kth))


def _whitening(codes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Principal axes (C, K) that hold most of the variance, each divided by its standard deviation."""
    centred = codes - mean.astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / (len(codes) - 1)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1], axes[:, ::-1]
    total = variances.sum()
    if not total > 0:
        raise InvalidParameterError("all cells of the reference have the same code: nothing is unusual")
    needed = int(np.searchsorted(np.cumsum(variances) / total, _VARIANCE)) + 1
    count = min(needed, _MOST_COMPONENTS, len(codes) - 1)
    return np.asarray(axes[:, :count] / np.sqrt(variances[:count]))


@dataclass(frozen=True, eq=False)
class Reference:
    """What is usual: a model of drawn cells, and which cells these were.

    Attributes
    ----------
    model : AnomalyModel
    sample : CellSample
    encoder : mapping
        That the codes come from.
    """

    model: AnomalyModel
    sample: CellSample
    encoder: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        stores: Sequence[CompressedSlide],
        options: AnomalyOptions | None = None,
        *,
        token: CancellationToken | None = None,
    ) -> Reference:
        """Take stores of one encoder as what is usual.

        Parameters
        ----------
        stores : sequence of CompressedSlide
            See :func:`open_reference`.
        options : AnomalyOptions, optional
        token : CancellationToken, optional
            Asked at each block of cells.

        Raises
        ------
        InvalidParameterError
            If they hold too few cells.
        """
        options = options or AnomalyOptions()
        sample = draw_cells(stores, options.sample, seed=options.seed, token=token)
        model = AnomalyModel.fit(sample.codes, options, token=token)
        return cls(model, sample, stores[0].header.encoder)

    @property
    def name(self) -> str:
        """What it is, for people."""
        count = len(self.sample.slide_keys)
        return "the reference slide" if count == 1 else f"{count:,} reference slides"

    def percent_map(self, store: CompressedSlide, *, token: CancellationToken | None = None) -> np.ndarray:
        """Say how unusual the cells of a slide are; a cell of the sample is not compared with itself.

        Returns
        -------
        ndarray of float32, (rows, cols)
            Share of the reference's cells that are less unusual, 0 to 100; 0 where nothing is encoded.

        Raises
        ------
        StoreMismatchError
            If the store is of another encoder.
        """
        _check_encoder(store, self.encoder)
        own = self.sample.places(store.header.slide_key, store.grid.shape)
        percent = np.zeros(store.grid.shape, np.float32)
        for block in cell_blocks(store, token):
            cells = block.rows, block.cols
            percent[cells] = self.model.percent(self.model.score(block.codes, own[cells], token=token))
        return percent


def open_reference(
    paths: Iterable[Path], *, token: CancellationToken | None = None
) -> tuple[CompressedSlide, ...]:
    """Open the stores of a reference.

    Raises
    ------
    StoreError
        If one is damaged: what is usual must not depend on which files happened to open.
    StoreMismatchError
        If they are of several encoders.
    """
    stores = tuple(CompressedSlide.open(path) for path in checked(paths, token))
    for store in stores[1:]:
        _check_encoder(store, stores[0].header.encoder)
    return stores


def _check_encoder(store: CompressedSlide, encoder: Mapping[str, Any]) -> None:
    different = differing(encoder, store.header.encoder)
    if different:
        raise StoreMismatchError(
            "its codes come from another encoder than the reference's",
            path=store.path,
            expected=f"{encoder.get('name')}: {described(encoder, different)}",
            found=f"{store.header.encoder_name}: {described(store.header.encoder, different)}",
            hint="compare slides of one encoder",
        )
