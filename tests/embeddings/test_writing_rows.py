"""Rows of a file on their way into a store: in any order, in little memory, rounded so that one is told."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide, ImportHints, import_store
from napari_nic.embeddings.interchange import table, writing
from napari_nic.embeddings.plain_shards import is_plain
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.telling import telling

HINTS = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
SIZE, STEP = 6, 64


def write(path: Path, cells: np.ndarray, features: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=features, chunks=(8, features.shape[1]))
        file["coords"] = cells[:, ::-1] * STEP
    return path


def numbers(count: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, SIZE)).astype(dtype)


def grid(rows: int, cols: int) -> np.ndarray:
    return np.argwhere(np.ones((rows, cols), bool))


def is_kept_as_it_is(store: CompressedSlide) -> bool:
    import zarr

    return is_plain(zarr.open_array(store.path / "embeddings", mode="r"))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for three blocks, or shards if they are packed, and slabs of 50 rows."""
    monkeypatch.setattr(writing, "POOL_BYTES", 3 * 256 * SIZE * 2)
    monkeypatch.setattr(writing, "WAITING_BYTES", 1)
    monkeypatch.setattr(table, "SLAB_BYTES", 50 * SIZE * 4)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("order", ["rows", "columns", "shuffled"])
@pytest.mark.parametrize("is_dense", [True, False])
def test_any_order_of_rows_gives_the_same_codes(tmp_path: Path, order: str, is_dense: bool) -> None:
    cells = grid(90, 70)
    if not is_dense:
        cells = cells[(cells[:, 0] % 4 == 0) | (cells == (1, 0)).all(axis=1)]
    if order == "columns":
        cells = cells[np.lexsort((cells[:, 0], cells[:, 1]))]
    elif order == "shuffled":
        cells = cells[np.random.default_rng(1).permutation(len(cells))]
    features = numbers(len(cells), np.float16)
    with import_store(
        write(tmp_path / "a.h5", cells, features), tmp_path / "a.nic.zarr", hints=HINTS
    ) as store:
        wanted = np.zeros((90, 70, SIZE), np.float16)
        wanted[tuple(cells.T)] = features
        rows, cols = store.grid.shape
        np.testing.assert_array_equal(store.read(), wanted[:rows, :cols])
        assert store.encoded().sum() == len(cells)
        assert is_kept_as_it_is(store) is is_dense


@pytest.mark.parametrize("rows", [64, 256])
def test_rows_in_the_order_of_a_grid_take_as_many_rooms_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    block, across = 256 * SIZE * 2, 5
    monkeypatch.setattr(writing, "RATHER_BYTES", 2 * across * block)
    monkeypatch.setattr(table, "SLAB_BYTES", 90 * SIZE * 2)
    made: list[writing._Filling] = []

    class Noticed(writing._Filling):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type] # what the one above takes
            made.append(self)

    monkeypatch.setattr(writing, "_Filling", Noticed)
    cells = grid(rows, 16 * across)
    file = write(tmp_path / "a.h5", cells, numbers(len(cells), np.float16))
    with import_store(file, tmp_path / "a.nic.zarr", hints=HINTS) as store:
        assert is_kept_as_it_is(store)
        np.testing.assert_array_equal(store.read().reshape(-1, SIZE), numbers(len(cells), np.float16))
    assert [filling._taken for filling in made] == [2 * across]


def test_a_store_of_blocks_as_they_are_is_written_on_like_any_other(tmp_path: Path) -> None:
    cells = grid(40, 40)
    file = write(tmp_path / "a.h5", cells, numbers(len(cells)))
    with import_store(file, tmp_path / "a.nic.zarr", hints=HINTS) as store:
        before = store.read()
        codes = np.full((16, 16, SIZE), 7, np.float16)
        store.write_block(1, 1, codes)
    with CompressedSlide.open(tmp_path / "a.nic.zarr") as store:
        before[16:32, 16:32] = 7
        np.testing.assert_array_equal(store.read(), before)


def test_damage_of_a_block_is_named(tmp_path: Path) -> None:
    cells = grid(20, 20)
    file = write(tmp_path / "a.h5", cells, numbers(len(cells)))
    import_store(file, tmp_path / "a.nic.zarr", hints=HINTS).close()
    shard = tmp_path / "a.nic.zarr" / "embeddings" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[50] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=r"(?s)the store is damaged.*checksum"):
        CompressedSlide.open(tmp_path / "a.nic.zarr").read()


def told_of(tmp_path: Path, features: np.ndarray) -> list[str]:
    said: list[str] = []
    cells = grid(10, 10)
    file = write(tmp_path / "a.h5", cells, features)
    with telling(lambda event: said.extend(event.texts)):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS, overwrite=True).close()
    return [text for text in said if "numbers" in text]


def test_numbers_that_become_0_are_counted(tmp_path: Path) -> None:
    features = numbers(100)
    features[:3, 0] = 1e-9, -1e-8, 0
    assert told_of(tmp_path, features) == ["2 of 600 numbers became 0: 16 bits hold none below 6e-08"]
    assert told_of(tmp_path, numbers(100, np.float16)) == []


def test_many_numbers_with_few_digits_are_counted(tmp_path: Path) -> None:
    features = numbers(100)
    features[:5, 0] = 1e-6
    assert told_of(tmp_path, features) == []
    features[:7, 0] = 1e-6
    (text,) = told_of(tmp_path, features)
    assert text == "7 of 600 numbers are below 6e-05, where 16 bits keep fewer than three digits"


@pytest.mark.parametrize("value", [1e5, -1e5, np.inf, -np.inf, np.nan, -np.nan])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_that_float16_has_not_are_refused(tmp_path: Path, value: float, dtype: type) -> None:
    features = numbers(100, dtype)
    with np.errstate(over="ignore"):
        features[[4, 90], 2] = value
    with pytest.raises(StoreError, match=r"(?s)float16 cannot.*others in 2 patches"):
        told_of(tmp_path, features)
    assert not (tmp_path / "a.nic.zarr").exists()


@pytest.mark.parametrize("value", [65504, -65504, 6e-8, -0.0])
def test_the_ends_of_float16_are_kept(tmp_path: Path, value: float) -> None:
    features = np.full((100, SIZE), value, np.float32)
    file = write(tmp_path / "a.h5", grid(10, 10), features)
    with import_store(file, tmp_path / "a.nic.zarr", hints=HINTS) as store:
        np.testing.assert_array_equal(store.read(), features.astype(np.float16).reshape(10, 10, SIZE))
