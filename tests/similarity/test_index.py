"""The index of very many cells: finds what exact search finds, is kept, and is never trusted blindly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import MissingDependencyError
from napari_nic.jobs import result_of
from napari_nic.similarity import SearchOptions, index, open_searched, query_of_cell, search_cells

pytest.importorskip("faiss", reason="faiss is optional: pip install faiss-cpu")

OPTIONS = SearchOptions(top=10, apart_um=0)


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A cache of its own."""
    monkeypatch.setenv(index.HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home" / "indexes"


@pytest.fixture
def asked(make_store):
    """A query, and the stores that it is asked of."""
    stores = [make_store(name, rows=70, cols=80, seed=seed) for seed, name in enumerate("ab")]
    query = query_of_cell(stores[0], *np.argwhere(stores[0].encoded())[11].tolist())
    return query, open_searched(query, [store.path for store in stores])


def places(result):
    """Where the matches are, the best one first."""
    return [(match.store, match.row, match.col) for match in result.matches]


def test_it_finds_what_exact_search_finds(home, asked) -> None:
    query, searched = asked
    exact = result_of(search_cells(query, searched, OPTIONS))
    found = result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    assert (exact.method, found.method) == ("exact", "index")
    assert places(found) == places(exact)
    similar = [[match.similarity for match in result.matches] for result in (found, exact)]
    np.testing.assert_allclose(*similar, atol=1e-6)
    assert "searched by an index of" in found.note


def test_it_is_kept_and_used_again(home, asked, monkeypatch) -> None:
    query, searched = asked
    first = result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    monkeypatch.setattr(index, "_build", None)
    again = result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    assert again.matches == first.matches


def test_it_is_built_anew_for_other_cells(home, asked, make_store) -> None:
    query, searched = asked
    result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    more = make_store("c", seed=9)
    wider = open_searched(query, [*(store.path for store in searched.stores), more.path])
    result = result_of(search_cells(query, wider, OPTIONS, exact_cells=0))
    assert result.n_stores == 3
    assert len(list(home.glob("*.faiss"))) == 2


def test_a_damaged_one_is_built_anew(home, asked) -> None:
    query, searched = asked
    first = result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    (file,) = home.glob("*.faiss")
    file.write_bytes(b"no index" * 100)
    assert result_of(search_cells(query, searched, OPTIONS, exact_cells=0)).matches == first.matches
    assert file.stat().st_size > 1_000


def test_old_ones_go(home, asked, monkeypatch) -> None:
    query, searched = asked
    monkeypatch.setattr(index, "KEPT", 1)
    result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
    one = open_searched(query, [searched.stores[1].path])
    result_of(search_cells(query, one, OPTIONS, exact_cells=0))
    assert len(list(home.iterdir())) == 2  # an index and its description


def test_more_is_proposed_where_the_best_lie_too_close(home, make_store, monkeypatch) -> None:
    monkeypatch.setattr(index, "_PROPOSED", (4, 5_000))
    codes = np.tile(np.linspace(0.1, 1, 40)[:, None, None], (1, 40, 6)) ** np.arange(1, 7)
    store = make_store("a", codes=codes, coverage=np.ones((40, 40), bool))
    query = query_of_cell(store, 39, 0)
    searched = open_searched(query, [store.path])
    options = SearchOptions(top=3, apart_um=60)
    found = result_of(search_cells(query, searched, options, exact_cells=0))
    assert len(found.matches) == 3
    assert places(found) == places(result_of(search_cells(query, searched, options)))


def test_without_faiss_search_is_exact_and_says_so(asked, monkeypatch) -> None:
    query, searched = asked
    for module in ("napari_nic.similarity.index", "napari_nic.extras"):
        monkeypatch.setattr(f"{module}.find_spec", lambda _: None)
    result = result_of(search_cells(query, searched, OPTIONS, exact_cells=10))
    assert result.method == "exact"
    assert "pip install faiss-cpu" in result.note
    with pytest.raises(MissingDependencyError, match="faiss"):
        result_of(search_cells(query, searched, OPTIONS, exact_cells=0))
