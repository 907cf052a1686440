"""Cosine similarity as scikit-learn computes it, and queries that mean something."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from napari_nic.errors import InvalidParameterError, OutOfBoundsError, StoreMismatchError
from napari_nic.similarity import code_lengths, cosine, make_query, query_of_cell, query_of_cells


def test_cosine_is_scikit_learn_s() -> None:
    codes = np.random.default_rng(0).normal(0, 3, (70_000, 12)).astype(np.float32)
    codes[7] = 0
    vector = normalize(codes[:1])[0]
    expected = cosine_similarity(codes, codes[:1])[:, 0]
    np.testing.assert_allclose(cosine(codes, vector), expected, atol=1e-5)
    np.testing.assert_array_equal(cosine(codes, vector, code_lengths(codes)), cosine(codes, vector))


def test_a_cell_is_most_like_itself(make_store) -> None:
    store = make_store("a")
    row, col = np.argwhere(store.encoded())[17].tolist()
    query = query_of_cell(store, row, col)
    encoded = store.encoded()
    similarity = cosine(store.read()[encoded].astype(np.float32), query.vector)
    best = np.argwhere(encoded)[np.argmax(similarity)].tolist()
    assert (best, query.what) == ([row, col], f"cell {row}, {col}")
    assert similarity.max() == pytest.approx(1, abs=1e-6)
    assert query.places_um.tolist() == [[row * 4 + 2, col * 4 + 2]]


def test_several_cells_are_the_mean_of_their_directions(make_store) -> None:
    store = make_store("a")
    cells = np.zeros(store.grid.shape, bool)
    cells[3:9, 5:14] = True
    query = query_of_cells(store, cells)
    inside = cells & store.encoded()
    mean = normalize(store.read()[inside].astype(np.float64)).mean(axis=0)
    np.testing.assert_allclose(query.vector, mean / np.linalg.norm(mean), atol=1e-6)
    assert query.what == f"{inside.sum()} cells"
    assert len(query.places_um) == inside.sum()


def test_an_empty_cell_is_refused(make_store) -> None:
    coverage = np.ones((20, 30), bool)
    coverage[4, 5] = False
    store = make_store("a", coverage=coverage)
    with pytest.raises(InvalidParameterError, match="this cell is empty"):
        query_of_cell(store, 4, 5)
    with pytest.raises(OutOfBoundsError, match="row 0 to 19, column 0 to 29"):
        query_of_cell(store, 20, 0)
    with pytest.raises(InvalidParameterError, match="no encoded cell is selected"):
        query_of_cells(store, ~coverage)
    with pytest.raises(InvalidParameterError, match="not those of the grid"):
        query_of_cells(store, coverage[1:])


def test_codes_without_a_direction_are_refused(make_store) -> None:
    store = make_store("a")
    code = np.array([[1, 2, 3, 4, 5, 6]], np.float32)
    for codes in (np.zeros_like(code), np.concatenate([code, -code])):
        with pytest.raises(InvalidParameterError, match="no direction"):
            make_query(store, codes, np.array([[0, 0]]), "cells")


def test_codes_of_another_encoder_are_refused(make_store) -> None:
    store = make_store("a")
    query = query_of_cell(store, *np.argwhere(store.encoded())[0].tolist())
    query.check_encoder(store)
    with pytest.raises(StoreMismatchError, match="weights_sha256"):
        query.check_encoder(make_store("b", weights_sha256="1" * 64))
