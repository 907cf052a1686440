"""Rows that lie in a file as they will in memory are read past the library, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange.plain_rows import PlainRows
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize

COUNT, SIZE = 100, 6


def numbers() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(COUNT, SIZE)).astype(np.float16)


def write(path: Path, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("before", data=np.arange(7))
        file.create_dataset("x", data=options.pop("data", numbers()), **options)
    return path


def added_to(path: Path, _: Any = None) -> Path:
    """Grow row by row, as programs do that do not know how many patches there are."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (0, SIZE), np.float16, maxshape=(None, SIZE), chunks=(7, SIZE))
        for row, values in enumerate(numbers()):
            data.resize(row + 1, axis=0)
            data[row] = values
            file.create_dataset(f"between/{row}", data=row)
    return path


PLAIN: dict[str, Callable[[Path], Path]] = {
    "contiguous": write,
    "chunks": lambda path: write(path, chunks=(8, SIZE)),
    "one chunk": lambda path: write(path, chunks=(COUNT, SIZE)),
    "a row a chunk": lambda path: write(path, chunks=(1, SIZE)),
    "row by row": added_to,
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("order", ["all", "some", "to places between"])
def test_rows_are_what_the_library_reads(tmp_path: Path, kind: str, order: str) -> None:
    rng = np.random.default_rng(1)
    rows = np.arange(COUNT) if order == "all" else np.flatnonzero(rng.random(COUNT) < 0.6)
    at = np.arange(len(rows)) if order != "to places between" else rng.permutation(3 * COUNT)[: len(rows)]
    with h5py.File(PLAIN[kind](tmp_path / "a.h5"), "r") as file:
        plain = PlainRows.of(file["x"], np.float16)
        assert plain is not None
        found = np.full((3 * COUNT, SIZE), 7, np.float16)
        plain.read_into(rows, found, at)
        wanted = np.full((3 * COUNT, SIZE), 7, np.float16)
        wanted[at] = file["x"][:][rows]
    np.testing.assert_array_equal(found, wanted)


def with_a_hole(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (COUNT, SIZE), np.float16, chunks=(10, SIZE))[:50] = 1
    return path


def behind_a_block_of_the_users(path: Path) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = numbers()
    return path


OTHERS: dict[str, Callable[[Path], Path]] = {
    "compressed": lambda path: write(path, chunks=(8, SIZE), compression="gzip"),
    "checked": lambda path: write(path, chunks=(8, SIZE), fletcher32=True),
    "parts of rows": lambda path: write(path, chunks=(8, 3)),
    "other bytes": lambda path: write(path, data=numbers().astype(">f2")),
    "other numbers": lambda path: write(path, data=numbers().astype(np.float32)),
    "whole numbers": lambda path: write(path, data=numbers().view(np.int16)),
    "a hole": with_a_hole,
    "a block of the user's": behind_a_block_of_the_users,
    "no rows": lambda path: write(path, data=numbers()[:0]),
    "never written": lambda path: write(path, data=None, shape=(COUNT, SIZE), dtype=np.float16),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_all_others_are_left_to_the_library(tmp_path: Path, kind: str) -> None:
    with h5py.File(OTHERS[kind](tmp_path / "a.h5"), "r") as file:
        assert PlainRows.of(file["x"], np.float16) is None


def test_an_array_is_no_dataset_and_a_file_in_memory_has_no_bytes_on_the_disk(tmp_path: Path) -> None:
    assert PlainRows.of(numbers(), np.float16) is None
    with h5py.File(write(tmp_path / "a.h5"), "r", driver="core") as file:
        assert PlainRows.of(file["x"], np.float16) is None


def test_a_difference_from_the_library_leaves_it_to_read(tmp_path: Path, monkeypatch: Any) -> None:
    file = write(tmp_path / "a.h5", chunks=(10, SIZE))
    from napari_nic.embeddings.interchange import plain_rows

    right = plain_rows._starts_of
    monkeypatch.setattr(plain_rows, "_starts_of", lambda dataset: right(dataset)[::-1])
    with h5py.File(file, "r") as opened:
        assert PlainRows.of(opened["x"], np.float16) is None


def test_a_file_that_is_cut_off_meanwhile_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r") as file:
        plain = PlainRows.of(file["x"], np.float16)
        assert plain is not None
        with path.open("rb+") as other:
            other.truncate(path.stat().st_size - 900)
        with pytest.raises(StoreError, match="cut off"):
            plain.read_into(np.arange(COUNT), np.empty((COUNT, SIZE), np.float16), np.arange(COUNT))


@pytest.mark.parametrize("kind", [*PLAIN, "compressed", "checked", "parts of rows", "other bytes"])
def test_an_import_gives_the_same_codes_whatever_the_file_is_like(tmp_path: Path, kind: str) -> None:
    path = (PLAIN | OTHERS)[kind](tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["features"] = file["x"]
        file["coords"] = np.stack(np.divmod(np.arange(COUNT), 10)[::-1], axis=1) * 64
        wanted = file["features"][:].astype(np.float16)
    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
    with import_store(path, tmp_path / "a.nic.zarr", hints=hints) as store:
        np.testing.assert_array_equal(store.read(), wanted.reshape(10, 10, SIZE))
