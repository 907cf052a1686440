"""Zarr folders from anywhere: no link is followed, no pickle opened, nothing missing is read as zeros."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange.sparse_rows import sparse_rows
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize

HINTS = ImportHints(pixel_size=PixelSize(0.25, 0.25, "given"), mpp=0.5)
X = "tables/uni_tiles/X"


@pytest.fixture
def path(spatial_writers, tmp_path):
    return spatial_writers.write_store(tmp_path / "s.zarr")


def refused(path, tmp_path, match):
    with pytest.raises(StoreError, match=match):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    assert not (tmp_path / "a.nic.zarr").exists()


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_links_are_refused(path, tmp_path, where):
    target = (path if where == "inside" else tmp_path) / "elsewhere"
    shutil.move(path / X, target)
    (path / X).symlink_to(target, target_is_directory=True)
    refused(path, tmp_path, r"a link (that leads out of|within) the folder")


def test_a_link_to_itself_is_refused(path, tmp_path):
    file = next(file for file in (path / X / "c").rglob("0") if file.is_file())
    file.unlink()
    file.symlink_to(file)
    refused(path, tmp_path, "a link within the folder")


def test_pipes_are_refused(path, tmp_path):
    file = next((path / X / "c").rglob("0"))
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    os.mkfifo(file)
    refused(path, tmp_path, "no regular file")


def test_a_missing_chunk_is_no_zeros(path, tmp_path):
    (path / X / "c" / "1" / "0").unlink()
    refused(path, tmp_path, r"(?s)part of the table is missing.*c/1/0")


def test_a_damaged_chunk_is_said(path, tmp_path):
    (path / X / "c" / "1" / "0").write_bytes(b"no zstd")
    refused(path, tmp_path, "cannot be read")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_decoders_of_pickles_are_not_let_near(spatial_writers, tmp_path, zarr_format):
    path = spatial_writers.write_store(tmp_path / "s.zarr", zarr_format=zarr_format)
    ids = path / "tables" / "uni_tiles" / "obs" / "tile_id"
    if zarr_format == 2:
        described = json.loads((ids / ".zarray").read_text())
        described |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 5}], "compressor": None}
        (ids / ".zarray").write_text(json.dumps(described))
    else:
        described = json.loads((ids / "zarr.json").read_text())
        described["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
        (ids / "zarr.json").write_text(json.dumps(described))
    refused(path, tmp_path, r"(?s)not read here.*pickle")


def test_arrays_that_promise_too_much_are_refused(path, tmp_path):
    for name in (X, "tables/uni_tiles/obs/tile_id"):
        file = path / name / "zarr.json"
        whole = file.read_text()
        described = json.loads(whole)
        described["shape"][0] = 10**11
        file.write_text(json.dumps(described))
        refused(path, tmp_path, "cannot be what it says")
        file.write_text(whole)
    described["chunk_grid"]["configuration"]["chunk_shape"] = [10**11]
    file.write_text(json.dumps(described | {"shape": [24]}))
    refused(path, tmp_path, "cannot be what it says")


@pytest.mark.parametrize("text", ["[" * 20_000, "{}", "7", '{"zarr_format": 3, "node_type": "group"}', "\0"])
def test_damaged_descriptions_are_one_sentence(path, tmp_path, text):
    for name in (X, "tables/uni_tiles/obs/tile_id", "tables/uni_tiles"):
        whole = (path / name / "zarr.json").read_text()
        (path / name / "zarr.json").write_text(text)
        refused(path, tmp_path, ".")
        (path / name / "zarr.json").write_text(whole)


@pytest.mark.parametrize(
    ("shape", "indices", "starts"),
    [
        ((3, 4), [0, 1, 9], [0, 1, 2, 3]),
        ((3, 4), [0, 1, -1], [0, 1, 2, 3]),
        ((3, 4), [0, 1, 2], [0, 2, 1, 3]),
        ((3, 4), [0, 1, 2], [0, 1, 2, 4]),
        ((3, 4), [0, 1, 2], [1, 1, 2, 3]),
        ((4, 4), [0, 1, 2], [0, 1, 2, 3]),
        ((3,), [0, 1, 2], [0, 1, 2, 3]),
        ((3, 10**9), [0, 1, 2], [0, 1, 2, 3]),
    ],
)
def test_packed_tables_that_contradict_themselves_are_refused(tmp_path, shape, indices, starts):
    data = np.ones(3, np.float32)
    with pytest.raises(StoreError, match=r"contradicts itself|next to nothing"):
        sparse_rows(shape, data, np.array(indices), np.array(starts), path=tmp_path)


def test_packed_rows_are_unpacked(tmp_path):
    table = np.random.default_rng(0).integers(0, 3, (50, 7)).astype(np.float32)
    rows, cols = np.nonzero(table)
    starts = np.concatenate([[0], np.cumsum((table != 0).sum(axis=1))])
    packed = sparse_rows(table.shape, table[rows, cols], cols, starts, path=tmp_path)
    assert (packed[0:50] == table).all()
    assert (packed[13:29] == table[13:29]).all()
    assert packed[9:9].shape == (0, 7)
