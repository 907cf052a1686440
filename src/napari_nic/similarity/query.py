"""What is asked for: a direction in the space of codes, made of one cell or of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError, OutOfBoundsError, StoreMismatchError
from napari_nic.identity import described, differing
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted

CHUNK = 65_536
"""Cells between two checkpoints."""


@dataclass(frozen=True, eq=False)
class Query:
    """A query and where it comes from.

    Attributes
    ----------
    vector : ndarray of float32, (C,)
        Of length 1: the mean of the normalised codes of its cells, normalised.
    encoder : mapping
        Description of the encoder, as in a store's header.
    slide_key : str
        :attr:`~napari_nic.embeddings.StoreHeader.slide_key` of the slide that it was taken from.
    slide_name : str
    places_um : ndarray of float64, (n, 2)
        Centres (y, x) of its cells, micrometres from that slide's corner: matches there are no news.
    what : str
        What it is, for people: "cell 12, 40", "120 cells".
    """

    vector: np.ndarray
    encoder: Mapping[str, Any]
    slide_key: str
    slide_name: str
    places_um: np.ndarray
    what: str = field(default="")

    def check_encoder(self, store: CompressedSlide) -> None:
        """Raise :class:`StoreMismatchError` unless a store's codes come from the query's encoder."""
        different = differing(self.encoder, store.header.encoder)
        if different:
            name = str(self.encoder.get("name", "unnamed encoder"))
            raise StoreMismatchError(
                "its codes come from another encoder than the query's, and cannot be compared with it",
                path=store.path,
                expected=f"{name}: {described(self.encoder, different)}",
                found=f"{store.header.encoder_name}: {described(store.header.encoder, different)}",
                hint="compress that slide with the query's encoder",
            )


def query_of_cell(store: CompressedSlide, row: int, col: int) -> Query:
    """Ask for what is like one cell.

    Raises
    ------
    OutOfBoundsError
        If there is no such cell.
    InvalidParameterError
        If it is not encoded.
    """
    rows, cols = store.grid.shape
    if not (0 <= row < rows and 0 <= col < cols):
        raise OutOfBoundsError(
            "there is no such cell",
            path=store.path,
            expected=f"row 0 to {rows - 1}, column 0 to {cols - 1}",
            found=f"row {row}, column {col}",
        )
    if not store.encoded()[row, col]:
        raise InvalidParameterError(
            "this cell is empty: it holds no code",
            path=store.path,
            expected="a cell with tissue that is compressed",
            found=f"row {row}, column {col}",
        )
    codes = store.read_cells(slice(row, row + 1), slice(col, col + 1)).reshape(1, -1)
    return make_query(store, codes, np.array([[row, col]]), f"cell {row}, {col}")


def query_of_cells(
    store: CompressedSlide, cells: np.ndarray, *, token: CancellationToken | None = None
) -> Query:
    """Ask for what is like several cells together; those that are not encoded take no part.

    Parameters
    ----------
    store : CompressedSlide
    cells : ndarray of bool, (rows, cols)
    token : CancellationToken, optional
        Asked at each shard.

    Raises
    ------
    InvalidParameterError
        If none of them is encoded, or `cells` is not of the grid's shape.
    """
    if cells.shape != store.grid.shape:
        raise InvalidParameterError(
            "the cells are not those of the grid", expected=f"{store.grid.shape}", found=f"{cells.shape}"
        )
    inside = cells & store.encoded()
    if not inside.any():
        raise InvalidParameterError(
            "no encoded cell is selected",
            path=store.path,
            expected="a region with tissue that is compressed",
            found=f"{counted(int(cells.sum()), 'cell')} without codes",
        )
    rows, cols = np.nonzero(inside)
    top, left = int(rows.min()), int(cols.min())
    window = slice(top, int(rows.max()) + 1), slice(left, int(cols.max()) + 1)
    codes = store.read_cells(*window, token=token)[rows - top, cols - left]
    return make_query(store, codes, np.stack([rows, cols], axis=1), counted(len(rows), "cell"))


def make_query(store: CompressedSlide, codes: np.ndarray, cells: np.ndarray, what: str) -> Query:
    """Make a query of codes that are at hand already.

    Parameters
    ----------
    store : CompressedSlide
        That they are of.
    codes : ndarray of float, (n, C)
    cells : ndarray of int, (n, 2)
        (row, col) of each.
    what : str
        For people.

    Raises
    ------
    InvalidParameterError
        If they have no direction: all are 0, or they cancel out.
    """
    mean = normalized(np.asarray(codes, np.float32)).mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if not length > _NO_LENGTH:
        raise InvalidParameterError(
            "the codes of these cells have no direction to compare with", path=store.path, found=what
        )
    place = store.grid.placement
    centres = np.array([place.corner_um(row + 0.5, col + 0.5) for row, col in cells.tolist()], np.float64)
    header = store.header
    return Query(
        (mean / length).astype(np.float32),
        header.encoder,
        header.slide_key,
        store.slide_name,
        centres,
        what,
    )


_NO_LENGTH = 1e-6


def normalized(codes: np.ndarray) -> np.ndarray:
    """Scale codes (n, C) to length 1, float32; those of length 0 stay 0."""
    lengths = code_lengths(codes)
    return codes / np.where(lengths > 0, lengths, 1)[:, None]


def code_lengths(codes: np.ndarray) -> np.ndarray:
    """Return the Euclidean length of each code, float32 (n,)."""
    return np.sqrt(np.einsum("nc,nc->n", codes, codes, dtype=np.float32))


def cosine(
    codes: np.ndarray,
    vector: np.ndarray,
    lengths: np.ndarray | None = None,
    *,
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Cosine similarity of codes with a query.

    Parameters
    ----------
    codes : ndarray of float32, (n, C)
    vector : ndarray of float32, (C,)
        Of length 1.
    lengths : ndarray of float32, (n,), optional
        Of the codes, where they are known from before: it saves half of the time.
    token : CancellationToken, optional
        Asked at each chunk of cells.

    Returns
    -------
    ndarray of float32, (n,)
        -1 to 1; 0 for a code of length 0.
    """
    similarity = np.empty(len(codes), np.float32)
    for start in checked(range(0, len(codes), CHUNK), token):
        part = slice(start, start + CHUNK)
        np.matmul(codes[part], vector, out=similarity[part])
        length = code_lengths(codes[part]) if lengths is None else lengths[part]
        similarity[part] /= np.where(length > 0, length, 1)
    return np.clip(similarity, -1, 1, out=similarity)
