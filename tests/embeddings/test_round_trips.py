"""What is exported comes back: the same codes at the same places, with our header in the file and without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as parquet
import pytest

from napari_nic.embeddings import (
    EXPORTERS,
    IMPORTERS,
    CompressedSlide,
    ImportHints,
    export_store,
    import_store,
)
from napari_nic.embeddings.interchange import CodeTable, named_header, recognised_format
from napari_nic.errors import StoreError
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

READERS = {"titan": "trident", "clam-pt": None, "zarr": None}
"""Importers of exports of another name; what has no place of its patches cannot be read alone."""

ROUND = [name for name in EXPORTERS if READERS.get(name, name) in IMPORTERS]
ONE_GRID = {"npy": ("over", "coarse", "islands"), "stamp": ("over", "coarse", "islands")}
"""Stores that only our header can place: an array has no places, and STAMP's own tiles lie at
multiples of their side."""

DOTS = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000"


def store_of(
    path: Path, toy: Any, grid: PatchGrid, shape: tuple[int, int], **changes: Any
) -> CompressedSlide:
    """A finished store with holes."""
    header = toy.header(grid=grid, slide_shape=shape, **changes)
    coverage = np.indices(grid.shape).sum(0) % 7 != 0
    store = CompressedSlide.create(path, header, coverage)
    toy.fill(store, toy.codes(coverage))
    store.finish()
    return store


def plain(folder: Path, toy: Any) -> CompressedSlide:
    """Patches edge to edge on level 0, of a slide whose name has a dot."""
    shape = (40 * 32 + 3, 30 * 32 + 5)
    grid = PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=32)
    return store_of(folder / f"{DOTS}.nic.zarr", toy, grid, shape, slide_name=DOTS)


def overlapping(folder: Path, toy: Any) -> CompressedSlide:
    """Patches that overlap by a quarter, of a resolution between two levels."""
    shape = (2400, 2000)
    levels = [LevelGeometry(*shape)]
    grid = PatchGrid.plan(levels, PixelSize(0.2431, 0.2431, "test"), patch_size=32, stride=24, mpp=0.5)
    assert grid.patch_px == 66
    return store_of(folder / "over.nic.zarr", toy, grid, shape, slide_name="over")


def coarse(folder: Path, toy: Any) -> CompressedSlide:
    """Patches of a level that is no whole number of pixels wide."""
    shape = (6005, 5003)
    levels = [LevelGeometry(*shape), LevelGeometry(1501, 1250, 6005 / 1501, 5003 / 1250)]
    grid = PatchGrid.plan(levels, PixelSize(0.25, 0.25, "test"), patch_size=32, mpp=1.0)
    assert grid.level == 1
    return store_of(folder / "coarse.nic.zarr", toy, grid, shape, slide_name="coarse")


def islands(folder: Path, toy: Any) -> CompressedSlide:
    """Patches of another program: three pieces of tissue, each with a grid of its own."""
    piece = np.array([(x * 256, y * 256) for y in range(6) for x in range(5)])
    starts = ((31, 7), (31 + 2048 + 100, 7 + 300), (600, 3000 + 77))
    coords = np.concatenate([piece + np.array(start) for start in starts])
    with h5py.File(folder / "islands.h5", "w") as file:
        file["features"] = np.random.default_rng(0).normal(size=(len(coords), 5)).astype(np.float16)
        file["coords"] = coords
        file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20})
    hints = ImportHints(
        slide_name="islands", pixel_size=PixelSize(0.5, 0.5, "test"), slide_shape=(6000, 5000)
    )
    return import_store(folder / "islands.h5", folder / "islands.nic.zarr", hints=hints)


def empty(folder: Path, toy: Any) -> CompressedSlide:
    """A slide without tissue."""
    shape = (40 * 32, 30 * 32)
    grid = PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=32)
    header = toy.header(grid=grid, slide_shape=shape, slide_name="none")
    store = CompressedSlide.create(folder / "none.nic.zarr", header, np.zeros(grid.shape, bool))
    store.finish()
    return store


STORES: dict[str, Callable[[Path, Any], CompressedSlide]] = {
    make.__name__: make for make in (plain, overlapping, coarse, islands, empty)
}


def hints_of(store: CompressedSlide, name: str) -> ImportHints:
    """What a user says whose slide lies at hand."""
    header = store.header
    patch_size = header.grid.patch_size if name in ("owkin", "clam", "npy") else None
    return ImportHints(
        slide_name=store.slide_name,
        slide_shape=header.slide_shape,
        pixel_size=header.grid.pixel_size,
        patch_size=patch_size,
        mpp=header.grid.mpp if patch_size else None,
    )


def strip(path: Path) -> None:
    """Remove our header from an export, as if another program had written it."""
    for file in [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]:
        if h5py.is_hdf5(file):
            with h5py.File(file, "r+") as h5:
                h5.attrs.pop("napari_nic", None)
                if "uns" in h5:
                    del h5["uns/napari_nic"]
    for folder in path.rglob("uns/napari_nic"):
        shutil.rmtree(folder)
    for beside in path.parent.glob(f"{path.stem}*"):
        if beside.suffix == ".json":
            beside.unlink()
        if beside.name.endswith(".index.npz"):
            with np.load(beside) as archive:
                centres = archive["arr_0"]
            np.savez(beside, centres)
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        metadata = {key: value for key, value in table.schema.metadata.items() if key != b"napari_nic"}
        parquet.write_table(table.replace_schema_metadata(metadata), path)


def rows_of(store: CompressedSlide) -> tuple[np.ndarray, np.ndarray]:
    """(places, codes), sorted by place."""
    table = CodeTable.of(store)
    order = np.lexsort(table.cells.T)
    return table.corners_px[order], store.read()[tuple(table.cells[order].T)]


def exported(store: CompressedSlide, folder: Path, name: str) -> Path | None:
    """The main file; None where the format says that it cannot hold the store."""
    if name == "owkin" and store.slide_name in ("over", "coarse", "islands"):
        with pytest.raises(StoreError, match="no tiles of DeepZoom"):
            export_store(store, folder, name)
        assert not [file for file in folder.rglob("*") if file.is_file()]
        return None
    return export_store(store, folder, name)[0]


@pytest.fixture(params=STORES)
def store(request, tmp_path, toy):
    folder = tmp_path / "made"
    folder.mkdir()
    return STORES[request.param](folder, toy)


@pytest.mark.parametrize("name", ROUND)
class TestRoundTrip:
    """Grid -> export -> import."""

    def test_with_our_header_all_comes_back(self, store, tmp_path, name):
        file = exported(store, tmp_path / "out", name)
        if file is None:
            return
        again = import_store(file, tmp_path / "again.nic.zarr", hints=ImportHints(slide_name=None))
        assert again.header == named_header(store)
        np.testing.assert_array_equal(again.encoded(), store.encoded())
        np.testing.assert_array_equal(again.read(), store.read())

    def test_another_programs_file_of_the_same_content_does_so_too(self, store, tmp_path, name):
        file = exported(store, tmp_path / "out", name)
        if file is None:
            return
        strip(file)
        assert recognised_format(file) == READERS.get(name, name)
        if store.slide_name in ONE_GRID.get(name, ()):
            return
        again = import_store(file, tmp_path / "again.nic.zarr", hints=hints_of(store, name))
        assert store.header.origin or again.header.encoder != store.header.encoder
        wanted, codes = rows_of(store)
        found, again_codes = rows_of(again)
        assert len(found) == len(wanted)
        np.testing.assert_allclose(found, wanted, atol=1.01)
        np.testing.assert_array_equal(again_codes, codes)
