"""What imports and exports keep of a patch in memory: its place, and little more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide, ImportHints, export_store, import_store
from napari_nic.embeddings.interchange import table, writing
from napari_nic.embeddings.interchange.building import Building, _plan
from napari_nic.embeddings.interchange.hdf5 import read_corners
from napari_nic.embeddings.interchange.table import ForeignCodes
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken

PATCHES, SIDE, STEP = 400 * 500, 500, 256
HINTS = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))


def places(order: str) -> np.ndarray:
    """(y, x) of patches row by row, shuffled, or in two pieces of different phases."""
    corners = np.stack(np.divmod(np.arange(PATCHES), SIDE), axis=1).astype(np.int32) * STEP
    if order == "two phases":
        corners[PATCHES // 2 :] += (700, 90)
    elif order == "shuffled":
        corners = np.random.default_rng(0).permutation(corners)
    return corners


def peak_of(work: Callable[[], object]) -> float:
    """Bytes a patch that were taken at most beside what was there; modules are loaded before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / PATCHES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("order", ["rows", "shuffled", "two phases"])
def test_laying_patches_on_a_grid_takes_two_copies_of_their_places(order):
    features = np.broadcast_to(np.float16(0), (PATCHES, 4))
    found = ForeignCodes(features, places(order), patch=STEP, patch_size=256)
    how = Building({}, dict, overwrite=False, token=CancellationToken())
    plans = []
    peak = peak_of(lambda: plans.append(_plan(found, Path("features.h5"), HINTS, how)))
    assert len(plans[0].laid.cells) == PATCHES
    assert peak < 32


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound what is the same for any number of patches, so that the rest is seen."""
    monkeypatch.setattr(writing, "POOL_BYTES", 2**19)
    monkeypatch.setattr(writing, "WAITING_BYTES", 2**18)
    monkeypatch.setattr(table, "SLAB_BYTES", 2**18)
    monkeypatch.setattr(table, "BAND_BYTES", 2**18)


def write(path: Path, order: str, count: int = PATCHES) -> Path:
    xy = places(order)[:count, ::-1].astype(np.int64)
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=np.ones((count, 2), np.float16), chunks=(4096, 2))
        coords = file.create_dataset("coords", data=xy, chunks=(4096, 2))
        coords.attrs.update({"patch_size": STEP, "patch_level": 0})
    return path


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("order", "most"), [("rows", 45), ("shuffled", 60), ("two phases", 75)])
def test_an_import_keeps_little_of_a_patch(tmp_path: Path, order: str, most: float) -> None:
    import_store(write(tmp_path / "b.h5", order, 9000), tmp_path / "b.nic.zarr", hints=HINTS).close()
    source, target = write(tmp_path / "a.h5", order), tmp_path / "a.nic.zarr"
    peak = peak_of(lambda: import_store(source, target, hints=HINTS).close())
    with CompressedSlide.open(target) as store:
        assert store.encoded().sum() == PATCHES
    assert peak < most


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("name", ["stamp", "trident", "clam"])
def test_an_export_keeps_little_of_a_patch(tmp_path: Path, name: str) -> None:
    source, target = write(tmp_path / "a.h5", "rows"), tmp_path / "a.nic.zarr"
    import_store(source, target, hints=HINTS).close()
    with CompressedSlide.open(target) as store:
        export_store(store, tmp_path / "before.h5", name)  # loads what it needs
        peak = peak_of(lambda: export_store(store, tmp_path / "out.h5", name))
    assert peak < 20


@pytest.mark.parametrize("far", [2**30, -(2**30) - 1, 2**40])
def test_places_are_kept_narrow_where_that_loses_nothing(monkeypatch: pytest.MonkeyPatch, far: int) -> None:
    monkeypatch.setattr(table, "SLAB_BYTES", 64)
    xy = np.arange(40).reshape(20, 2)
    assert read_corners(xy, CancellationToken()).dtype == np.int32
    for row in (0, 7, 19):
        xy[row, 1] = far
        corners = read_corners(xy, CancellationToken())
        assert corners.dtype == np.float64
        np.testing.assert_array_equal(corners, xy[:, ::-1])
        xy[row, 1] = 0
    halves = read_corners(xy + np.float32(0.5), CancellationToken())
    np.testing.assert_array_equal(halves, xy[:, ::-1] + 0.5)


@pytest.mark.parametrize(("most", "height"), [(64 * 90, 64), (64 * 90 - 1, 16), (8 * 90, 8), (1, 4)])
@pytest.mark.parametrize("order", ["rows", "some"])
def test_bands_of_any_height_hold_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, height: int, order: str
) -> None:
    cells = np.argwhere(np.ones((90, 45), bool))
    if order == "some":
        cells = cells[np.random.default_rng(0).random(len(cells)) < 0.3]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.arange(1, len(cells) + 1, dtype=np.float16)[:, None]
        file["coords"] = cells[:, ::-1] * STEP
    import_store(tmp_path / "a.h5", tmp_path / "a.nic.zarr", hints=HINTS).close()
    monkeypatch.setattr(table, "BAND_BYTES", most)
    with CompressedSlide.open(tmp_path / "a.nic.zarr") as store:
        codes = table.CodeTable.of(store)
        found = [(rows, part.copy()) for rows, part in codes.slabs(CancellationToken())]
    assert len(found) == -(-90 // height)
    np.testing.assert_array_equal(
        np.concatenate([part for _, part in found])[:, 0], np.arange(1, len(cells) + 1, dtype=np.float16)
    )
    assert [rows.start for rows, _ in found[1:]] == [rows.stop for rows, _ in found[:-1]]
