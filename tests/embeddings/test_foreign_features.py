"""Features that others wrote: placed rightly, or one sentence; no traceback, other file or full memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from napari_nic.embeddings import CompressedSlide, ImportHints, export_store, import_store
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.telling import telling

HINTS = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
AT_40X = ImportHints(pixel_size=PixelSize(0.25, 0.25, "given"))


def write_h5(path: Path, xy: np.ndarray, features: np.ndarray | None = None, **attributes: Any) -> Path:
    """An HDF5 file of features, by default the number of the patch in 8 channels."""
    numbers = np.arange(len(xy), dtype=np.float32)[:, None].repeat(8, 1)
    with h5py.File(path, "w") as file:
        file["features"] = numbers if features is None else features
        file["coords"] = xy
        file["coords"].attrs.update(attributes)
    return path


def places(rows: int, cols: int, step: int) -> np.ndarray:
    """(x, y) of the patches of a grid, row by row."""
    return np.array([(x * step, y * step) for y in range(rows) for x in range(cols)], np.int64)


def trident(patch: int = 256, factor: int = 2, overlap: int = 0) -> dict[str, Any]:
    """What TRIDENT says of coordinates; `factor` is 1 at 20x and 2 at 40x."""
    return {
        "patch_size": patch,
        "patch_size_level0": patch * factor,
        "level0_magnification": 20 * factor,
        "target_magnification": 20,
        "overlap": overlap,
        "name": "t",
        "level0_width": 20_000,
        "level0_height": 15_000,
    }


def test_features_of_clam_without_any_attribute(tmp_path):
    file = write_h5(tmp_path / "c.h5", places(5, 6, 256))
    store = import_store(file, tmp_path / "c.nic.zarr", hints=HINTS)
    assert store.grid.shape == (5, 6)
    assert (store.grid.patch_px, store.grid.stride_px) == (256, 256)
    assert (store.read()[..., 0] == np.arange(30).reshape(5, 6)).all()
    with pytest.raises(StoreError, match=r"(?s)pixel size.*--mpp"):
        import_store(file, tmp_path / "d.nic.zarr")
    one = write_h5(tmp_path / "one.h5", np.zeros((1, 2), int))
    with pytest.raises(StoreError, match=r"(?s)how far they lie apart.*side of the patches.*--coords"):
        import_store(one, tmp_path / "e.nic.zarr", hints=HINTS)


def test_side_of_clams_patches_is_their_commonest_distance_and_is_told(tmp_path):
    """Two pieces of tissue whose grids differ by half a patch: no patch is 128 px wide."""
    two_pieces = np.concatenate([places(3, 3, 256), places(3, 3, 256) + np.array([1024, 128])])
    file = write_h5(tmp_path / "c.h5", two_pieces)
    told: list[Any] = []
    with telling(told.append):
        store = import_store(file, tmp_path / "c.nic.zarr", hints=HINTS)
    assert store.grid.stride_px == 256
    assert store.encoded().sum() == 18
    assert [(event.name, "256 px" in event.texts[0]) for event in told] == [("c.h5", True)]
    assert "9 of 18 patches lie off the grid, by up to 0.50" in told[0].texts[1]
    assert store.header.origin["placed"] == {"phases": 2, "largest_shift_px": 128.0, "left_out": 0}


def test_a_slide_without_patches_is_an_empty_store(tmp_path):
    none = write_h5(tmp_path / "none.h5", np.zeros((0, 2), int), np.zeros((0, 8), np.float32), **trident())
    told: list[Any] = []
    with telling(told.append):
        store = import_store(none, tmp_path / "a.nic.zarr", hints=AT_40X)
    assert store.is_complete
    assert store.encoded().sum() == 0
    assert store.grid.shape == (15_000 // 512, 20_000 // 512)
    assert "no patches" in told[0].texts[0]


def test_a_file_of_no_hdf5_says_so(tmp_path):
    whole = write_h5(tmp_path / "whole.h5", places(9, 9, 256), **trident()).read_bytes()
    for content, said in ((whole[: len(whole) // 2], "cut off"), (b"", "empty file"), (b"hello", "hello")):
        (tmp_path / "cut.h5").write_bytes(content)
        with pytest.raises(StoreError, match=f"(?s)no HDF5 file that can be read.*{said}"):
            import_store(tmp_path / "cut.h5", tmp_path / "b.nic.zarr", hints=HINTS)


def test_stamps_true_distances_are_found_by_the_slides_pixel_size(tmp_path):
    mpp, side = 0.2431, 1054  # 256 um are 1053.06 px: STAMP cuts 1054
    file = tmp_path / "s.h5"
    with h5py.File(file, "w") as h5:
        h5["feats"] = np.arange(30, dtype=np.float16)[:, None].repeat(8, 1)
        h5["coords"] = (places(5, 6, side) * mpp).astype(np.float32)
        h5.attrs.update({"unit": "um", "tile_size_um": 256.0, "tile_size_px": 224, "extractor": "uni"})
    hints = ImportHints(pixel_size=PixelSize(mpp, mpp, "given"))
    store = import_store(file, tmp_path / "s.nic.zarr", hints=hints)
    assert store.grid.stride_px == side
    assert (store.read()[..., 0] == np.arange(30).reshape(5, 6)).all()
    with pytest.raises(StoreError, match=r"(?s)pixel size.*micrometres.*--slides"):
        import_store(file, tmp_path / "t.nic.zarr")


@pytest.mark.parametrize("factor", [1, 2])
def test_trident_at_20x_and_40x_is_one_encoder_and_one_grid(tmp_path, factor):
    cells = [(c, r) for c in range(3, 9) for r in range(16, 20)]
    features = np.array([(c, r, factor, 0) for c, r in cells], np.float32)
    file = write_h5(tmp_path / "t.h5", np.array(cells) * 256 * factor, features, **trident(factor=factor))
    hints = ImportHints(pixel_size=PixelSize(0.5 / factor, 0.5 / factor, "given"))
    store = import_store(file, tmp_path / "t.nic.zarr", hints=hints)
    codes = store.read()
    for c, r in cells:
        assert tuple(codes[r, c, :2]) == (c, r)
    assert store.grid.mpp == 0.5
    assert store.header.encoder["mpp"] == 0.5
    assert store.header.encoder["patch_size"] == 256


def test_overlap_of_trident_is_placed_or_named(tmp_path):
    def overlapping(patch: int, overlap: int) -> np.ndarray:
        at = [k * 2 * patch - max(k - 1, 0) * 2 * overlap for k in range(7)]
        return np.array([(x, y) for x in at for y in at[:5]])

    half = overlapping(512, 256)
    store = import_store(
        write_h5(tmp_path / "half.h5", half, **trident(512, overlap=256)),
        tmp_path / "half.nic.zarr",
        hints=AT_40X,
    )
    step = store.grid.stride_px
    codes = store.read()[..., 0]
    assert [codes[y // step, x // step] for x, y in half.tolist()] == list(range(35))
    quarter = overlapping(256, 64)
    file = write_h5(tmp_path / "quarter.h5", quarter, **trident(256, overlap=64))
    store = import_store(file, tmp_path / "quarter.nic.zarr", hints=AT_40X)
    assert store.grid.stride_px == 384
    assert store.grid.origin_px == (128, 128)  # behind the first patch, which is 512 px from the next
    table = CodeTable.of(store)
    assert {tuple(corner) for corner in table.coords_xy.tolist()} == {tuple(at) for at in quarter.tolist()}


def _text_instead_of_numbers(path: Path) -> None:
    write_h5(path, places(2, 2, 256), np.array([["a"] * 8] * 4, dtype="S1"), **trident())


def _a_group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("features")
        file["coords"] = places(2, 2, 256)
        file["coords"].attrs.update(trident())


def _a_bomb(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (10**7, 10**6), "f4", chunks=(1, 10**6), compression="gzip")
        file["coords"] = places(2, 2, 256)
        file["coords"].attrs.update(trident())


def _far_apart(path: Path) -> None:
    write_h5(path, np.array([(0, 0), (256 * 10**5, 256 * 10**5)]), **trident(factor=1))


def _beyond_all_numbers(path: Path) -> None:
    write_h5(path, np.array([(0, 0), (2**62, 2**62)]), **trident())


def _not_a_number(path: Path) -> None:
    write_h5(path, np.array([(0, 0), (np.nan, 256.0)]), **trident())


def _codes_not_finite(path: Path) -> None:
    write_h5(path, places(2, 2, 512), np.full((4, 8), np.nan, np.float32), **trident())


def _two_in_one_place(path: Path) -> None:
    write_h5(path, np.zeros((4, 2), int), **trident())


def _less_features(path: Path) -> None:
    write_h5(path, places(2, 2, 512), np.zeros((3, 8), np.float32), **trident())


def _cut_off(path: Path) -> None:
    write_h5(path, places(20, 20, 512), **trident())
    path.write_bytes(path.read_bytes()[:3000])


def _damaged_within(path: Path) -> None:
    write_h5(path, places(20, 20, 512), **trident())
    content = bytearray(path.read_bytes())
    content[600:1400] = b"\xff" * 800
    path.write_bytes(content)


def _deep_header(path: Path) -> None:
    write_h5(path, places(2, 2, 512), **trident())
    with h5py.File(path, "a") as file:
        file.attrs["napari_nic"] = "[" * 20_000


def _header_of_other_kinds(path: Path) -> None:
    write_h5(path, places(2, 2, 512), **trident())
    with h5py.File(path, "a") as file:
        file.attrs["napari_nic"] = json.dumps({"slide_name": 7, "grid": [], "encoder": "x"})


def _attribute(**changes: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_h5(path, places(2, 2, 512), **(trident() | changes))

    return write


HOSTILE = [
    *(_text_instead_of_numbers, _a_group, _a_bomb, _far_apart, _beyond_all_numbers, _not_a_number),
    *(_codes_not_finite, _two_in_one_place, _less_features, _cut_off, _damaged_within),
    *(_deep_header, _header_of_other_kinds),
    *(_attribute(patch_size=value) for value in (0, -1, "much", [1, 2], np.nan, 2.5)),
    *(_attribute(patch_size_level0=value) for value in (0, "x", np.inf, 1e-9, 1e30)),
    *(_attribute(level0_magnification=value) for value in (0, -20, "40x", np.nan)),
    *(_attribute(overlap=value) for value in (256, 300, "none")),
    *(_attribute(level0_width=value) for value in (0, -5, 10**18, "wide")),
]


@pytest.mark.parametrize("make", HOSTILE)
def test_damaged_and_hostile_features_are_one_sentence(tmp_path, make):
    file = tmp_path / "x.h5"
    make(file)
    with pytest.raises(StoreError) as caught:
        import_store(file, tmp_path / "x.nic.zarr").close()
    assert str(file) in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.h5"]


@pytest.mark.parametrize("kind", ["external link", "soft link", "virtual", "external storage"])
def test_no_other_file_is_read(tmp_path, kind):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["features"] = np.ones((4, 8), np.float32)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(np.ones((4, 8), np.float32).tobytes())
    file_path = tmp_path / "x.h5"
    with h5py.File(file_path, "w") as file:
        file["coords"] = places(2, 2, 512)
        file["coords"].attrs.update(trident())
        if kind == "external link":
            file["features"] = h5py.ExternalLink(str(other), "features")
        elif kind == "soft link":
            file["elsewhere"] = h5py.ExternalLink(str(other), "/")
            file["features"] = h5py.SoftLink("/elsewhere/features")
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4, 8), np.float32)
            layout[:] = h5py.VirtualSource(str(other), "features", shape=(4, 8))
            file.create_virtual_dataset("features", layout)
        else:
            file.create_dataset("features", (4, 8), np.float32, external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(StoreError, match=r"elsewhere|other files"):
        import_store(file_path, tmp_path / "x.nic.zarr")


def _npy(header: str, content: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY",
        _npy("{'descr': '<f2', 'fortran_order': False, 'shape': (100000, 100000, 100000)}\n"),
        _npy("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 4, 4)}\n", b"\0" * 10),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", pickle.dumps(print)),
        _npy("(" * 5000),
        _npy("{'descr': '<f2', 'fortran_order': False, 'shape': (-1, 2, 2)}\n", b"\0" * 100),
        _npy("{'descr': '<f2', 'fortran_order': False, 'shape': (0, 4, 4)}\n"),
    ],
)
def test_damaged_and_hostile_arrays_are_one_sentence(tmp_path, content):
    file = tmp_path / "x_features.npy"
    file.write_bytes(content)
    with pytest.raises(StoreError):
        import_store(file, tmp_path / "x.nic.zarr").close()


@pytest.mark.parametrize("text", ["[" * 20_000, "{}", "7", '{"slide_name": "a", "grid": 1}', "\0"])
def test_a_damaged_description_beside_an_array_is_said(full_store, tmp_path, text):
    array, _, described = export_store(full_store, tmp_path, "npy")
    described.write_text(text)
    with pytest.raises(StoreError):
        import_store(array, tmp_path / "again.nic.zarr").close()


def test_tensors_hold_no_program(full_store, tmp_path):
    (file,) = export_store(full_store, tmp_path, "clam-pt")
    assert torch.load(file, weights_only=True).shape[1] == full_store.code_size


def test_an_import_that_fails_harms_no_older_store(full_store, tmp_path):
    before = full_store.read()
    file = tmp_path / "x.h5"
    _codes_not_finite(file)
    with pytest.raises(StoreError, match="float16"):
        import_store(file, full_store.path, overwrite=True, hints=AT_40X)
    assert (CompressedSlide.open(full_store.path).read() == before).all()


def test_coordinates_beyond_the_size_that_is_stated_are_of_another_frame(tmp_path):
    file = tmp_path / "x.h5"
    stated = {"patch_size": 256, "patch_size_level0": 256, "overlap": 0, "level0_magnification": 20}
    stated |= {"target_magnification": 20, "level0_height": 600, "level0_width": 700}
    for factor, fits in ((1, True), (2, False)):
        with h5py.File(file, "w") as features:
            features["features"] = np.ones((4, 8), np.float32)
            features["coords"] = factor * np.array([(0, 0), (512, 0), (0, 512), (512, 512)])
            features["coords"].attrs.update(stated)
        if fits:
            import_store(file, tmp_path / "a.nic.zarr", hints=HINTS).close()
            continue
        with pytest.raises(StoreError, match="outside of the slide"):
            import_store(file, tmp_path / "b.nic.zarr", hints=HINTS)
    assert not (tmp_path / "b.nic.zarr").exists()
