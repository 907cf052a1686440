"""Anomaly as scikit-learn's neighbours and principal components measure it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from napari_nic.errors import InvalidParameterError
from napari_nic.similarity import AnomalyModel, AnomalyOptions, draw_cells


def spread_codes(count: int, seed: int = 0) -> np.ndarray:
    """Codes with a different variance along each axis."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (count, 6)) * [5, 4, 3, 2, 0.2, 0.1] + 3).astype(np.float32)


def test_distances_are_those_of_the_kth_neighbour() -> None:
    reference, codes = spread_codes(300), spread_codes(50, seed=1)
    model = AnomalyModel.fit(reference, AnomalyOptions("knn", neighbours=7))
    oracle = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(normalize(reference.astype(np.float64)))
    distances, _ = oracle.kneighbors(normalize(codes.astype(np.float64)))
    np.testing.assert_allclose(model.score(codes), distances[:, 6], atol=2e-3)
    own, _ = oracle.kneighbors(normalize(reference.astype(np.float64)))  # the first one is the cell itself
    np.testing.assert_allclose(model.distances, np.sort(own[:, 7]), atol=2e-3)


def test_a_cell_of_the_reference_is_no_neighbour_of_itself() -> None:
    reference = spread_codes(300)
    model = AnomalyModel.fit(reference, AnomalyOptions("knn", neighbours=1))
    own = np.arange(300)
    assert model.score(reference).max() < 2e-3
    np.testing.assert_array_equal(np.sort(model.score(reference, own)), model.distances)


def test_mahalanobis_is_the_length_of_whitened_components() -> None:
    reference, codes = spread_codes(2_000), spread_codes(50, seed=1)
    model = AnomalyModel.fit(reference, AnomalyOptions("mahalanobis"))
    oracle = PCA(n_components=model.basis.shape[1], whiten=True, svd_solver="full").fit(
        reference.astype(np.float64)
    )
    assert oracle.explained_variance_ratio_.sum() >= 0.95
    assert oracle.explained_variance_ratio_[:-1].sum() < 0.95
    expected = np.linalg.norm(oracle.transform(codes.astype(np.float64)), axis=1)
    np.testing.assert_allclose(model.score(codes), expected, rtol=1e-3)


@pytest.mark.parametrize("method", ["knn", "mahalanobis"])
def test_planted_cells_are_the_most_unusual(make_store, method) -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(0, 0.1, (40, 40, 6)) + np.array([1, 2, 0, 0, 0, 0])
    codes[7, 9:12] = np.array([-3, 0, 2, 1, 0, 0]) + rng.normal(0, 0.1, (3, 6))
    store = make_store("a", codes=codes, coverage=np.ones((40, 40), bool))
    sample = draw_cells([store], 500, seed=1)
    model = AnomalyModel.fit(sample.codes, AnomalyOptions(method))
    own = sample.places("sha256:a", (40, 40)).ravel()
    percent = model.percent(model.score(store.read().reshape(-1, 6).astype(np.float32), own))
    order = np.argsort(-percent, kind="stable")[:3]
    assert sorted(order.tolist()) == [7 * 40 + 9, 7 * 40 + 10, 7 * 40 + 11]
    assert 40 < np.median(percent) < 60
    assert (percent >= 0).all()
    assert (percent <= 100).all()


def test_drawn_cells_are_a_seeded_sample_of_all_stores(make_store) -> None:
    stores = [make_store(name, rows=70, cols=80, seed=seed) for seed, name in enumerate("ab")]
    total = sum(int(store.encoded().sum()) for store in stores)
    sample = draw_cells(stores, 1_000, seed=3)
    assert len(sample.codes) == 1_000
    same, other = draw_cells(stores, 1_000, seed=3), draw_cells(stores, 1_000, seed=4)
    np.testing.assert_array_equal(sample.codes, same.codes)
    assert not np.array_equal(sample.codes, other.codes)
    share = int(stores[0].encoded().sum()) / total
    assert abs((sample.store == 0).mean() - share) < 0.05
    for index, store in enumerate(stores):
        own = sample.store == index
        cells = sample.rows[own], sample.cols[own]
        np.testing.assert_array_equal(sample.codes[own], store.read()[cells].astype(np.float32))
        places = sample.places(store.header.slide_key, store.grid.shape)
        np.testing.assert_array_equal(places[cells], np.flatnonzero(own))
        assert (places >= 0).sum() == own.sum()
    assert len(draw_cells(stores, 10**6).codes) == total


def test_too_little_to_compare_with_is_refused(make_store) -> None:
    with pytest.raises(InvalidParameterError, match="at least 11"):
        AnomalyModel.fit(spread_codes(10))
    with pytest.raises(InvalidParameterError, match="same code"):
        AnomalyModel.fit(np.ones((20, 6), np.float32), AnomalyOptions("mahalanobis"))
    with pytest.raises(InvalidParameterError, match="unknown measure"):
        AnomalyOptions("lof")
    with pytest.raises(InvalidParameterError, match="k must be positive"):
        AnomalyOptions(neighbours=0)
    with pytest.raises(InvalidParameterError, match="no encoded cells"):
        draw_cells([make_store("a", coverage=np.zeros((20, 30), bool))], 10)
