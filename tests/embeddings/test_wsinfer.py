"""WSInfer's tables of probabilities."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize

HINTS = ImportHints(pixel_size=PixelSize(0.25, 0.25, "given"))
HEADER = "minx,miny,width,height,prob_Tumor,prob_Other"


def lines(side: int = 700) -> list[str]:
    """A patch a line, row by row from the corner; the first probability tells which."""
    return [
        f"{x * side},{y * side},{side},{side},{(y * 5 + x) / 32},{1 - (y * 5 + x) / 32}"
        for y in range(4)
        for x in range(5)
    ]


def write(folder: Path, rows: list[str], header: str = HEADER, end: str = "\n") -> Path:
    path = folder / "model-outputs-csv" / "S.1.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\ufeff" + end.join([header, *rows]) + end).encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_probabilities_are_codes_in_the_order_of_columns(tmp_path, end):
    path = write(tmp_path, lines()[::-1], end=end)
    assert recognised_format(path) == "wsinfer"
    store = import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    table = CodeTable.of(store)
    codes = store.read()[tuple(table.cells.T)]
    assert (codes.sum(axis=1) == 1).all()
    numbers = np.rint(codes[:, 0] * 32).astype(int)
    assert (table.coords_xy == np.stack([numbers % 5, numbers // 5], axis=1) * 700).all()
    assert store.header.encoder_name == "WSInfer (Tumor, Other)"
    assert (store.header.slide_name, store.grid.patch_px) == ("S.1", 700)
    with pytest.raises(StoreError, match="--slides"):
        import_store(path, tmp_path / "b.nic.zarr")


def test_the_resolution_stands_with_the_patches(tmp_path):
    path = write(tmp_path, lines())
    (tmp_path / "patches").mkdir()
    with h5py.File(tmp_path / "patches" / "S.1.h5", "w") as file:
        file["coords"] = np.zeros((20, 2), np.int64)
        file["coords"].attrs.update({"patch_size": 700, "patch_level": 0, "patch_spacing_um_px": 0.5})
    store = import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    assert store.header.encoder["mpp"] == 0.5
    assert sorted(store.header.origin["files"]) == ["S.1.csv", "S.1.h5"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: [*rows, "a,b,c,d,e,f"], "holds no numbers"),
        (lambda rows: [*rows, "1,2,3"], "holds no numbers"),
        (lambda rows: [*rows, "0,4000,100,100,0.5,0.5"], "several sizes"),
        (lambda rows: [*rows, "0,nan,700,700,0.5,0.5"], "coordinates that no slide has"),
        (lambda rows: [*rows, "0,3500,700,700,nan,0.5"], "float16"),
    ],
)
def test_tables_that_are_none_are_one_sentence(tmp_path, change, said):
    path = write(tmp_path, change(lines()))
    with pytest.raises(StoreError, match=said):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    assert not (tmp_path / "a.nic.zarr").exists()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("slide_id,tile_id,image,tile_x,tile_y,occupancy", "Prov-GigaPath's list of tiles"),
        ("embeddings,target,split,wsi_id", "eva's list"),
        ("slide_id,process,status,seg_level", "CLAM's list of slides"),
        ("a,b,c", "not recognised"),
        ("minx,miny,width,height", "not recognised"),
    ],
)
def test_other_tables_are_named(tmp_path, header, said):
    path = write(tmp_path, ["1,2,3,4,5,6"], header)
    with pytest.raises(StoreError, match=said):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)


def test_a_folder_of_tiles_is_named(tmp_path):
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "00512x_01024y.png").touch()
    with pytest.raises(StoreError, match=r"(?s)Prov-GigaPath's tiles: pictures.*compress the slide"):
        import_store(tmp_path / "tiles", tmp_path / "a.nic.zarr")
