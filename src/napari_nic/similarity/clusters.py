"""Groups of like cells, found without labels and named by people."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_nic.colors import RGB, distinct_colors
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, StoreMismatchError
from napari_nic.identity import described, differing
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.similarity.query import normalized
from napari_nic.similarity.reading import cell_blocks

MOST_CLUSTERS = 64
"""More groups than these are no overview."""

SAMPLE = 50_000
"""Cells that groups are found in; all others are then sorted into them."""

RESTARTS = 4
MOST_STEPS = 100
_CHUNK = 65_536


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres of groups, with what people call them.

    Attributes
    ----------
    centers : ndarray of float32, (k, C)
        Means of codes of length 1, in falling order of the groups' sizes when they were found.
    names : tuple of str
    colors : tuple of (r, g, b)
    encoder : mapping
        Description of the encoder, as in a store's header.
    seed, n_cells : int
        How they were found: the seed, and how many cells were drawn.
    """

    centers: np.ndarray
    names: tuple[str, ...]
    colors: tuple[RGB, ...]
    encoder: Mapping[str, Any]
    seed: int = 0
    n_cells: int = 0

    def __post_init__(self) -> None:
        if not len(self.centers) == len(self.names) == len(self.colors):
            raise InvalidParameterError(
                "every cluster has one name and one colour",
                found=f"{len(self.centers)} centres, {len(self.names)} names, {len(self.colors)} colours",
            )

    def __len__(self) -> int:
        return len(self.centers)

    def __repr__(self) -> str:
        return f"<Clusters {', '.join(self.names)}>"

    def renamed(self, index: int, name: str) -> Clusters:
        """Give a cluster another name.

        Raises
        ------
        InvalidParameterError
            If the name is empty, or another cluster has it.
        """
        name = name.strip()
        others = self.names[:index] + self.names[index + 1 :]
        if not name or name in others:
            raise InvalidParameterError(
                "a cluster needs a name of its own", expected="a name that no other has", found=repr(name)
            )
        return replace(self, names=(*self.names[:index], name, *self.names[index + 1 :]))

    def recolored(self, index: int, color: RGB) -> Clusters:
        """Give a cluster another colour."""
        return replace(self, colors=(*self.colors[:index], color, *self.colors[index + 1 :]))

    def check_encoder(self, store: CompressedSlide) -> None:
        """Raise :class:`StoreMismatchError` unless a store's codes come from the clusters' encoder."""
        different = differing(self.encoder, store.header.encoder)
        if different:
            raise StoreMismatchError(
                "its codes come from another encoder than the clusters'",
                path=store.path,
                expected=f"{self.encoder.get('name')}: {described(self.encoder, different)}",
                found=f"{store.header.encoder_name}: {described(store.header.encoder, different)}",
                hint="find clusters anew, of stores of one encoder",
            )

    def assign(self, codes: np.ndarray, *, token: CancellationToken | None = None) -> np.ndarray:
        """Return the number of each code's nearest centre, from 0.

        Parameters
        ----------
        codes : ndarray of float32, (n, C)
        token : CancellationToken, optional
            Asked at each chunk of cells.

        Returns
        -------
        ndarray of uint8, (n,)
        """
        numbers = np.empty(len(codes), np.uint8)
        half = (self.centers**2).sum(axis=1) / 2
        for start in checked(range(0, len(codes), _CHUNK), token):
            part = slice(start, start + _CHUNK)
            numbers[part] = np.argmax(normalized(codes[part]) @ self.centers.T - half, axis=1)
        return numbers

    def map_of(self, store: CompressedSlide, *, token: CancellationToken | None = None) -> np.ndarray:
        """Sort the cells of a slide into the clusters.

        Returns
        -------
        ndarray of uint8, (rows, cols)
            Number of the cluster, from 0; 0 too where nothing is encoded.

        Raises
        ------
        StoreMismatchError
            If the store is of another encoder.
        """
        self.check_encoder(store)
        numbers = np.zeros(store.grid.shape, np.uint8)
        for block in cell_blocks(store, token):
            numbers[block.rows, block.cols] = self.assign(block.codes)
        return numbers


def find_clusters(
    codes: np.ndarray,
    count: int,
    encoder: Mapping[str, Any],
    *,
    seed: int = 0,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, Clusters]:
    """Find groups of like codes by k-means on codes of length 1; yield after each of some restarts.

    Lloyd's algorithm from k-means++ (Arthur and Vassilvitskii, SODA 2007), :data:`RESTARTS` times from
    different draws; the tightest result is kept. Between codes of length 1 a small distance is a large cosine
    similarity. The same codes, count and seed give the same clusters.

    Parameters
    ----------
    codes : ndarray of float32, (n, C)
        See :func:`~napari_nic.similarity.draw_cells`.
    count : int
        k, 2 to :data:`MOST_CLUSTERS`.
    encoder : mapping
        That they come from.
    seed : int
    token : CancellationToken, optional
        Asked at each step.

    Raises
    ------
    InvalidParameterError
        If `count` is out of range, or there are fewer different codes.
    """
    if not 2 <= count <= MOST_CLUSTERS:
        raise InvalidParameterError(
            "the number of clusters is out of range", expected=f"2 to {MOST_CLUSTERS}", found=f"{count}"
        )
    points = normalized(np.asarray(codes, np.float32))
    distinct = len(np.unique(points[: 4 * MOST_CLUSTERS * count], axis=0))
    if distinct < count:
        raise InvalidParameterError(
            "there are fewer different codes than clusters",
            expected=f"at least {count} different codes",
            found=f"{distinct} among {len(points):,} cells",
            hint="ask for fewer clusters (-k)",
        )
    best, least = np.empty(0), float("inf")
    for restart in range(RESTARTS):
        centers, spread = _lloyd(points, count, np.random.default_rng([seed, restart]), token)
        if spread < least:
            best, least = centers, spread
        yield Progress(restart + 1, RESTARTS, "finding clusters", "starts")
    names = tuple(f"Cluster {number}" for number in range(1, count + 1))
    order = np.argsort(-np.bincount(_nearest(points, best)[0], minlength=count), kind="stable")
    return Clusters(best[order], names, distinct_colors(count), dict(encoder), seed, len(points))


def _lloyd(
    points: np.ndarray, count: int, rng: np.random.Generator, token: CancellationToken | None
) -> tuple[np.ndarray, float]:
    """Run to the end from one start; return centres (k, C) and the mean squared distance from them."""
    centers = _start(points, count, rng)
    labels = np.full(len(points), -1)
    for _ in checked(range(MOST_STEPS), token):
        nearest, distances = _nearest(points, centers)
        if (nearest == labels).all():
            break
        labels = nearest
        centers = _means(points, labels, distances, count)
    return centers, float(_nearest(points, centers)[1].mean())


def _start(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw centres by k-means++: each far from the ones before, by the squares of distances."""
    centers = points[rng.integers(len(points), size=1)]
    while len(centers) < count:
        distances = _nearest(points, centers)[1].astype(np.float64)
        total = distances.sum()
        chances = distances / total if total > 0 else None
        centers = np.concatenate([centers, points[rng.choice(len(points), 1, p=chances)]])
    return centers


def _nearest(points: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the nearest centre, and the squared distance from it."""
    scores = points @ centers.T - (centers**2).sum(axis=1) / 2
    nearest = np.argmax(scores, axis=1)
    best = np.take_along_axis(scores, nearest[:, None], axis=1)[:, 0]
    return nearest, np.maximum(0, np.einsum("nc,nc->n", points, points) - 2 * best)


def _means(points: np.ndarray, labels: np.ndarray, distances: np.ndarray, count: int) -> np.ndarray:
    """Mean of each group; an empty one begins anew at the point that fits worst."""
    members = np.zeros((count, len(points)), np.float32)
    members[labels, np.arange(len(points))] = 1
    sizes = members.sum(axis=1)
    centers = (members @ points) / np.maximum(sizes, 1)[:, None]
    worst = np.argsort(-distances, kind="stable")
    for place, empty in enumerate(np.flatnonzero(sizes == 0).tolist()):
        centers[empty] = points[worst[place]]
    return np.asarray(centers, np.float32)
