"""Owkin's features: places counted in tiles of a DeepZoom level."""

from __future__ import annotations

import numpy as np
import openslide.deepzoom
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.telling import telling

PIXEL = PixelSize(0.2431, 0.2431, "given")


def write(folder, level: int, dtype=np.float32) -> np.ndarray:
    """``S.1.svs/features.npy``: level, column, row, and features of which the first tells the tile."""
    folder.mkdir(exist_ok=True)
    places = [(level, col, row) for col in range(2, 7) for row in range(4)]
    codes = np.arange(20)[:, None] + np.zeros((1, 8))
    table = np.concatenate([places, codes], axis=1).astype(dtype)
    np.save(folder / "features.npy", table)
    return table


class _Sized:
    """A slide of a size, for openslide's own DeepZoom."""

    def __init__(self, width: int, height: int) -> None:
        self.dimensions, self.level_count = (width, height), 1
        self.level_dimensions, self.level_downsamples = ((width, height),), (1.0,)
        self.properties: dict[str, str] = {}

    def get_best_level_for_downsample(self, _downsample: float) -> int:
        return 0


@pytest.mark.parametrize("size", [(9000, 7000), (8192, 100), (8193, 100), (16384, 16384)])
@pytest.mark.parametrize("above", [0, 1, 2])
def test_tiles_lie_where_openslides_deepzoom_has_them(tmp_path, size, above):
    deepzoom = openslide.deepzoom.DeepZoomGenerator(_Sized(*size), tile_size=224, overlap=0)
    level = deepzoom.level_count - 1 - above
    factor = round(size[0] / deepzoom.level_dimensions[level][0])
    table = write(tmp_path / "S.1.svs", level)
    hints = ImportHints(
        pixel_size=PIXEL, slide_shape=(max(size[1], 4096 if size[0] < 10_000 else 0), size[0]), slide_name="S"
    )
    store = import_store(tmp_path / "S.1.svs" / "features.npy", tmp_path / "a.nic.zarr", hints=hints)
    cells = CodeTable.of(store)
    numbers = store.read()[tuple(cells.cells.T)][:, 0].astype(int)
    assert sorted(numbers) == list(range(20))
    assert (cells.coords_xy == table[numbers, 1:3] * 224 * factor).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_slide_is_named_by_its_folder(tmp_path, dtype):
    write(tmp_path / "S.1.svs", 13, dtype)
    file = tmp_path / "S.1.svs" / "features.npy"
    assert recognised_format(file) == "owkin"
    told = []
    with telling(told.append):
        store = import_store(
            file, tmp_path / "a.nic.zarr", hints=ImportHints(pixel_size=PIXEL, slide_shape=(7000, 9000))
        )
    assert store.header.slide_name == "S.1"
    assert (store.grid.patch_px, store.grid.downsample) == (224, (2.0, 2.0))
    assert any("224 px are taken" in text for text in told[0].texts)
    hints = ImportHints(pixel_size=PIXEL, slide_shape=(7000, 9000), patch_size=256, mpp=0.5)
    store = import_store(file, tmp_path / "b.nic.zarr", hints=hints)
    assert (store.grid.patch_px, store.header.encoder["mpp"]) == (256, 0.5)


def test_what_is_needed_and_what_cannot_be_is_said(tmp_path):
    write(tmp_path / "S.svs", 13)
    file = tmp_path / "S.svs" / "features.npy"
    with pytest.raises(StoreError, match=r"(?s)size of the slide is needed.*--slides"):
        import_store(file, tmp_path / "a.nic.zarr", hints=ImportHints(pixel_size=PIXEL))
    with pytest.raises(StoreError, match=r"(?s)another slide.*up to 9"):
        import_store(
            file, tmp_path / "a.nic.zarr", hints=ImportHints(pixel_size=PIXEL, slide_shape=(500, 500))
        )
    with pytest.raises(StoreError, match="outside of the slide"):
        import_store(
            file, tmp_path / "a.nic.zarr", hints=ImportHints(pixel_size=PIXEL, slide_shape=(900, 9000))
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table + 0.25, "without places"),
        (lambda table: table * [[np.nan], *[[1]] * 19], "without places"),
        (lambda table: table + (np.arange(20) == 0)[:, None], "several DeepZoom levels"),
        (lambda table: table[:, :3], "without a number"),
        (lambda table: table.astype(int), "no table of features"),
    ],
)
def test_other_tables_are_named(tmp_path, change, said):
    table = write(tmp_path / "S.svs", 13)
    np.save(tmp_path / "S.svs" / "features.npy", change(table))
    with pytest.raises(StoreError, match=said):
        import_store(
            tmp_path / "S.svs" / "features.npy",
            tmp_path / "a.nic.zarr",
            hints=ImportHints(pixel_size=PIXEL, slide_shape=(7000, 9000)),
        )


def test_arrays_of_nic_have_three_axes(tmp_path):
    np.save(tmp_path / "x_features.npy", np.ones((4, 5, 6), np.float16))
    assert recognised_format(tmp_path / "x_features.npy") == "npy"
