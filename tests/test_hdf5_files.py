"""HDF5 files are read by another process first, all of them, and once."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic import hdf5_files
from napari_nic.errors import StoreError
from napari_nic.hdf5_files import check_hdf5, check_types, is_only_to_copy, read_all


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "features.h5"
    with h5py.File(path, "w") as hdf:
        hdf.attrs["unit"] = "um"
        hdf["features"] = np.ones((200, 16), np.float32)
        hdf.create_dataset("coords", data=np.ones((200, 2), np.int64), chunks=(10, 2), compression="gzip")
        hdf["group/words"] = ["a", "bc"]
        hdf["number"] = 7
        hdf["nothing"] = h5py.Empty("f4")
        hdf["elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    return path


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What another process was started for."""
    paths: list[Path] = []
    monkeypatch.setattr(hdf5_files, "check_survives", lambda _reader, path, _error: paths.append(path))
    return paths


def test_a_healthy_file_passes_whatever_it_holds(file):
    check_hdf5(file, StoreError)


def test_every_attribute_and_every_chunk_that_is_not_just_copied_is_read(file, monkeypatch):
    read: list[str] = []
    get = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset, "__getitem__", lambda self, key: (read.append(self.name), get(self, key))[1]
    )
    monkeypatch.setattr(hdf5_files, "STEP_BYTES", 16 * 50)
    read_all(file)
    assert set(read) == {"/coords", "/group/words", "/number", "/nothing"}
    assert read.count("/coords") == 4


@pytest.mark.parametrize("chunks", [None, (16, 4)])
def test_numbers_that_are_just_copied_are_not_read(tmp_path, chunks):
    with h5py.File(tmp_path / "a.h5", "w") as hdf:
        hdf.create_dataset("x", data=np.ones((50, 4), np.float16), chunks=chunks)
    with h5py.File(tmp_path / "a.h5") as hdf:
        assert is_only_to_copy(hdf["x"])


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"fletcher32": True}, {"scaleoffset": 3}])
def test_what_is_filtered_or_converted_is_read(tmp_path, options):
    with h5py.File(tmp_path / "a.h5", "w") as hdf:
        hdf.create_dataset("x", data=np.ones((50, 4), np.float32), **options)
    with h5py.File(tmp_path / "a.h5") as hdf:
        assert not is_only_to_copy(hdf["x"])


def test_chunks_that_are_not_whole_are_read(tmp_path):
    """One flipped bit makes a chunk shorter than the others: the library copies more than it has read."""
    file = tmp_path / "a.h5"
    with h5py.File(file, "w", libver="earliest") as hdf:
        hdf.create_dataset("x", data=np.ones((48, 4), np.float32), chunks=(16, 4))
        hdf.flush()
        length = hdf["x"].id.get_chunk_info(1).size
    content = bytearray(file.read_bytes())
    at = content.index(length.to_bytes(4, "little"), content.index(b"TREE\x01"))
    content[at : at + 4] = (length // 2).to_bytes(4, "little")
    file.write_bytes(content)
    with h5py.File(file) as hdf:
        assert not is_only_to_copy(hdf["x"])


def test_a_claim_that_would_fill_the_memory_is_left_to_the_reader(tmp_path):
    path = tmp_path / "claims.h5"
    with h5py.File(path, "w") as hdf:
        hdf.create_dataset("features", shape=(10**9, 1000), dtype="f4", chunks=(1000, 1000))
    read_all(path)


def test_a_file_is_tried_once_and_again_when_it_changed(file, tried):
    for _ in range(2):
        check_hdf5(file, StoreError)
    assert tried == [file]
    os.utime(file, ns=(1, 1))
    check_hdf5(file, StoreError)
    assert tried == [file, file]


def test_what_is_no_hdf5_is_not_tried(tmp_path, tried):
    (tmp_path / "a.h5").write_text("no HDF5")
    check_hdf5(tmp_path / "a.h5", StoreError)
    check_hdf5(tmp_path / "missing.h5", StoreError)
    assert tried == []


def test_types_that_numpy_has_not_are_named(tmp_path):
    """HDF5's times, as one flipped bit makes them of numbers: h5py raises when it is asked for their type."""
    path = tmp_path / "times.h5"
    with h5py.File(path, "w") as file:
        file["coords"] = np.zeros((3, 2))
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, b"features", h5py.h5t.UNIX_D32LE, space)
    with h5py.File(path) as file, pytest.raises(StoreError, match=r"(?s)type that cannot be read.*features"):
        check_types(file, path, StoreError)
