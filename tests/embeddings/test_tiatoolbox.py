"""TIAToolbox's features: places in pixels of the resolution that the user says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize

PIXEL = PixelSize(0.2431, 0.2431, "given")
HINTS = ImportHints(pixel_size=PIXEL, mpp=0.5, slide_name="S", slide_shape=(7000, 9000))
UNIT = 0.5 / 0.2431


def boxes(stride: int = 224) -> np.ndarray:
    """(x0, y0, x1, y1), row by row from the corner."""
    corner = np.array([(x * stride, y * stride) for y in range(4) for x in range(5)], np.int64)
    return np.concatenate([corner, corner + 224], axis=1)


def features(*inner: int) -> np.ndarray:
    return np.arange(20, dtype=np.float32).reshape(20, *(1 for _ in inner)) + np.zeros(
        (20, *inner), np.float32
    )


def write_zarr(path: Path, rows: np.ndarray, places: np.ndarray, zarr_format: int = 3) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    group.create_array("features", data=rows, chunks=(7, *rows.shape[1:]))
    group.create_array("coordinates", data=places)
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("inner", [(6,), (6, 1, 1)])
@pytest.mark.parametrize("stride", [224, 112])
def test_places_are_measured_by_resolution_and_slide(tmp_path, zarr_format, inner, stride):
    path = write_zarr(tmp_path / "S.1.zarr", features(*inner), boxes(stride), zarr_format)
    assert recognised_format(path) == "tiatoolbox"
    store = import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    table = CodeTable.of(store)
    numbers = store.read()[tuple(table.cells.T)][:, 0].astype(int)
    assert np.abs(table.corners_px[:, ::-1] - boxes(stride)[numbers, :2] * UNIT).max() <= 0.5
    assert (store.grid.patch_px, store.grid.stride_px) == (224, stride)
    assert store.grid.downsample == pytest.approx((UNIT, UNIT))
    assert store.grid.mpp == pytest.approx(0.5)
    other = import_store(path, tmp_path / "b.nic.zarr", hints=ImportHints(pixel_size=PIXEL, mpp=0.5))
    assert other.header.slide_name == "S.1"


def test_maps_of_features_and_places_of_other_shapes_are_named(tmp_path):
    path = write_zarr(tmp_path / "a.zarr", features(6, 7, 7), boxes())
    with pytest.raises(StoreError, match=r"(?s)maps of features.*\(20, 6, 7, 7\)"):
        import_store(path, tmp_path / "s.nic.zarr", hints=HINTS)
    path = write_zarr(tmp_path / "b.zarr", features(6), boxes()[:, :2])
    with pytest.raises(StoreError, match="no boxes"):
        import_store(path, tmp_path / "s.nic.zarr", hints=HINTS)
    several = boxes()
    several[3, 2:] += 200
    path = write_zarr(tmp_path / "c.zarr", features(6), several)
    with pytest.raises(StoreError, match="several sizes"):
        import_store(path, tmp_path / "s.nic.zarr", hints=HINTS)
    path = write_zarr(tmp_path / "d.zarr", features(6)[:10], boxes())
    with pytest.raises(StoreError, match="do not fit together"):
        import_store(path, tmp_path / "s.nic.zarr", hints=HINTS)


def test_the_first_versions_arrays_are_paired_by_their_number(tmp_path):
    for number in (0, 1):
        np.save(tmp_path / f"{number}.features.0.npy", features(6) + number)
        np.save(tmp_path / f"{number}.position.npy", boxes() + np.array([0, 224, 0, 224]) * number)
    (tmp_path / "file_map.dat").write_bytes(b"\x80\x04never opened")
    file = tmp_path / "1.features.0.npy"
    assert recognised_format(file) == "tiatoolbox"
    store = import_store(file, tmp_path / "s.nic.zarr", hints=HINTS)
    assert store.header.slide_name == "S"
    assert store.read()[1, 0, 0] == 1
    assert sorted(store.header.origin["files"]) == ["1.features.0.npy", "1.position.npy"]
    with pytest.raises(StoreError, match=r"(?s)list of slides is a pickle.*one file of features"):
        import_store(tmp_path, tmp_path / "t.nic.zarr")
    (tmp_path / "1.position.npy").unlink()
    with pytest.raises(StoreError, match=r"(?s)without their places.*1.position.npy.*--coords"):
        import_store(file, tmp_path / "t.nic.zarr", hints=HINTS)
    np.save(tmp_path / "1.position.npy", np.array([print] * 20, dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match="not a readable NumPy array"):
        import_store(file, tmp_path / "t.nic.zarr", hints=HINTS)
