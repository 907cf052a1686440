"""Search over a folder of stores: exact, spread over slides, and never across encoders."""

from __future__ import annotations

import csv
from io import StringIO

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from napari_nic.errors import InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.jobs import result_of
from napari_nic.similarity import (
    SearchOptions,
    draw_cells,
    matches_csv,
    open_searched,
    query_of_cell,
    search_exactly,
    stores_in,
)
from napari_nic.similarity.search import pick
from napari_nic.telling import LeftOut, Notices, telling


def cells_of(stores):
    """All encoded cells: (store, row, col), and their codes."""
    places, codes = [], []
    for store in stores:
        encoded = store.encoded()
        places += [(store.path, int(row), int(col)) for row, col in np.argwhere(encoded)]
        codes.append(store.read()[encoded].astype(np.float64))
    return places, np.concatenate(codes)


def query_of(store, number=11):
    return query_of_cell(store, *np.argwhere(store.encoded())[number].tolist())


def find(query, paths, **options):
    return result_of(search_exactly(query, open_searched(query, paths), SearchOptions(**options)))


def test_the_nearest_cells_are_those_of_scikit_learn(make_store) -> None:
    stores = [make_store(name, rows=70 + seed, cols=80, seed=seed) for seed, name in enumerate("abc")]
    query = query_of(stores[0])
    result = find(query, [store.path for store in stores], top=40, apart_um=0)
    places, codes = cells_of(stores)
    oracle = NearestNeighbors(n_neighbors=41, metric="cosine", algorithm="brute").fit(codes)
    distances, indices = oracle.kneighbors(query.vector[None])
    # The first one is the query's own cell, which is no news.
    assert [(m.store, m.row, m.col) for m in result.matches] == [places[i] for i in indices[0][1:]]
    np.testing.assert_allclose([m.similarity for m in result.matches], 1 - distances[0][1:], atol=1e-5)
    assert result.n_cells == len(places)
    assert (result.method, result.n_stores) == ("exact", 3)


def test_matches_are_spread_over_slides_and_apart(make_store) -> None:
    stores = [make_store(name, seed=seed) for seed, name in enumerate("abc")]
    query = query_of(stores[0])
    result = find(query, [store.path for store in stores], top=30, per_slide=4, apart_um=25)
    names = [match.slide_name for match in result.matches]
    assert {name: names.count(name) for name in "abc"} == {"a": 4, "b": 4, "c": 4}
    similar = [match.similarity for match in result.matches]
    assert similar == sorted(similar, reverse=True)
    for name in "abc":
        centres = np.array([m.centre_um for m in result.matches if m.slide_name == name])
        distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
        assert distances[~np.eye(4, dtype=bool)].min() >= 25
    own = np.array([match.centre_um for match in result.matches if match.slide_name == "a"])
    assert np.linalg.norm(own - query.places_um, axis=1).min() >= 25


def test_what_cannot_be_searched_is_told_and_left_out(make_store, tmp_path) -> None:
    store = make_store("a")
    query = query_of(store)
    other = make_store("other", weights_sha256="1" * 64)
    empty = make_store("empty", coverage=np.zeros((20, 30), bool))
    twin = make_store("a", folder="elsewhere")
    broken = tmp_path / "broken.nic.zarr"
    broken.mkdir()
    told: list[LeftOut | Notices] = []
    with telling(told.append):
        searched = open_searched(query, [store.path, other.path, empty.path, twin.path, broken])
    assert [kept.path for kept in searched.stores] == [store.path]
    missed = [event for event in told if isinstance(event, LeftOut)]
    assert str(twin.path) not in [event.name for event in missed], "its cells are searched all the same"
    reasons = {event.name: event.why for event in missed}
    reasons |= {event.name: event.texts[0] for event in told if isinstance(event, Notices)}
    assert set(reasons) == {str(path) for path in (other.path, empty.path, twin.path, broken)}
    assert "another encoder" in reasons[str(other.path)]
    assert "same slide as a.nic.zarr" in reasons[str(twin.path)]
    assert [str(path) for path, _ in searched.left_out] == [event.name for event in told]
    with pytest.raises(StoreMismatchError, match="no compressed slide can be searched"):
        open_searched(query, [other.path])


def test_features_imported_without_their_slides_are_of_as_many_slides(make_store) -> None:
    stores = [make_store(name, seed=seed, is_known=False) for seed, name in enumerate("abc")]
    query = query_of(stores[0])
    searched = open_searched(query, [store.path for store in stores])
    assert [kept.path for kept in searched.stores] == [store.path for store in stores]
    whole = SearchOptions(top=10**6, apart_um=0)
    found = pick(query, stores[1], np.ones(stores[1].grid.shape, np.float32), whole)
    assert len(found) == stores[1].grid.shape[0] * stores[1].grid.shape[1], "no cell of it is the query's own"
    sample = draw_cells(stores, 10**6)
    for index, store in enumerate(stores):
        places = sample.places(store.header.slide_key, store.grid.shape)
        assert set(sample.store[places[places >= 0]]) == {index}


def test_progress_counts_cells(make_store) -> None:
    stores = [make_store(name) for name in "ab"]
    query = query_of(stores[0])
    searched = open_searched(query, [store.path for store in stores])
    reports = list(search_exactly(query, searched))
    assert reports[-1].done == reports[-1].total == searched.n_cells


def test_stores_of_a_folder(make_store, tmp_path) -> None:
    paths = [make_store(name).path for name in "ba"]
    (tmp_path / "stores" / "notes.txt").touch()
    assert stores_in(tmp_path / "stores") == sorted(paths)
    with pytest.raises(StoreError, match="no such folder"):
        stores_in(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(StoreError, match="no compressed slide is in this folder"):
        stores_in(tmp_path / "bare")


@pytest.mark.parametrize("wrong", [{"top": 0}, {"per_slide": 0}, {"apart_um": -1}, {"apart_um": np.nan}])
def test_numbers_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(InvalidParameterError):
        SearchOptions(**wrong)


def test_the_table_says_where_in_pixels_of_the_slide(make_store) -> None:
    store = make_store("a, b")
    result = find(query_of(store), [store.path], top=3, apart_um=0)
    rows = list(csv.DictReader(StringIO(matches_csv(result.matches))))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    first, match = rows[0], result.matches[0]
    assert first["slide"] == "a, b"
    assert (int(first["y_px"]), int(first["x_px"])) == (match.row * 8, match.col * 8)
    assert first["width_px"] == first["height_px"] == "8"
    assert float(first["similarity"]) == pytest.approx(match.similarity, abs=1e-6)
