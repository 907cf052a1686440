"""slide2vec's features and hs2p's places: paired by name and number, of tiles alone."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.embeddings import CompressedSlide, ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.embeddings.interchange.finding import find_feature_files, slide_name_of
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.geometry import PixelSize

NAME = "TCGA-AA-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
COUNT, SIDE = 30, 448


def corners() -> np.ndarray:
    """(x, y), column by column, of two pieces of tissue."""
    first = [(768 + SIDE * (k // 5), 672 + SIDE * (k % 5)) for k in range(15)]
    return np.array(first + [(x + 1600, y + 100) for x, y in first], np.int64)


def features(dtype: Any = np.float16) -> np.ndarray:
    found = np.random.default_rng(0).normal(0, 1, (COUNT, 8))
    found[:, 0] = np.arange(COUNT)
    return found.astype(dtype)


def write_meta(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    described = {
        "artifact_type": "tile_embeddings",
        "sample_id": NAME,
        "annotation": None,
        "encoder_name": "uni2",
        "feature_dim": 8,
        "num_tiles": COUNT,
        "requested_spacing_um": 0.5,
        "requested_tile_size_px": 224,
        "tile_size_lv0": SIDE,
        "coordinates_npz_path": "/moved/since/then/tiles/x.coordinates.npz",
    }
    path.write_text(json.dumps(described | changes))
    return path


def write_tiles(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    xy = corners()
    fractions = np.ones(COUNT, np.float32)
    places = {"x": xy[:, 0], "y": xy[:, 1], "tile_index": np.arange(COUNT, dtype=np.int32)}
    np.savez(folder / f"{NAME}.coordinates.npz", **places, tissue_fractions=fractions)
    described: dict[str, Any] = {
        "artifact": {"coordinate_space": "level0_px", "annotation": None, "tile_order": "x_then_y"},
        "provenance": {"sample_id": NAME, "image_path": "/moved/x.svs"},
        "slide": {"base_spacing_um": 0.25, "dimensions": [9000, 7000]},
        "tiling": {"step_px_lv0": SIDE, "tile_size_lv0": SIDE},
    }
    for name, entries in changes.items():
        described[name] |= entries
    (folder / f"{NAME}.coordinates.meta.json").write_text(json.dumps(described))
    return folder / f"{NAME}.coordinates.npz"


def write_run(
    root: Path, *, annotation: str | None = None, suffix: str = ".pt", dtype: Any = np.float16
) -> Path:
    """One slide's files as slide2vec lays them; a class of tissue has a folder in each."""
    inner = [annotation] if annotation else []
    file = Path(root, "tile_embeddings", *inner, f"{NAME}{suffix}")
    write_meta(file.with_name(f"{NAME}.meta.json"), annotation=annotation)
    write_tiles(Path(root, "tiles", *inner), artifact={"annotation": annotation})
    if suffix == ".pt":
        torch.save(torch.from_numpy(features(dtype)), file)
    else:
        np.savez_compressed(file, features=features(dtype))
    return file


def check_places(store: CompressedSlide) -> None:
    table = CodeTable.of(store)
    numbers = store.read()[tuple(table.cells.T)][:, 0].astype(int)
    assert sorted(numbers) == list(range(COUNT))
    assert (table.coords_xy == corners()[numbers]).all()


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("annotation", [None, "tumor", "{stem}"])
def test_features_find_their_places(tmp_path, suffix, dtype, annotation):
    file = write_run(tmp_path, annotation=annotation, suffix=suffix, dtype=dtype)
    assert recognised_format(file) == "slide2vec"
    store = import_store(file, tmp_path / "a.nic.zarr")
    check_places(store)
    assert store.header.slide_name == NAME
    assert store.header.slide_shape == (7000, 9000)
    assert (store.grid.pixel_size.mean, store.header.encoder["mpp"], store.grid.patch_size) == (
        0.25,
        0.5,
        224,
    )
    assert store.header.encoder_name == "uni2"
    assert len(store.header.origin["files"]) == 4


def test_rows_in_another_order_go_by_the_tiles_number(tmp_path):
    file = write_run(tmp_path, suffix=".npz")
    order = np.random.default_rng(3).permutation(COUNT)
    np.savez_compressed(file, features=features()[order], tile_index=order.astype(np.int32))
    check_places(import_store(file, tmp_path / "a.nic.zarr"))
    np.savez_compressed(file, features=features(), tile_index=order + 1)
    with pytest.raises(StoreError, match=r"places are not there|number"):
        import_store(file, tmp_path / "b.nic.zarr")


def test_places_may_lie_elsewhere(tmp_path):
    file = write_run(tmp_path)
    (tmp_path / "tiles").rename(tmp_path / "places")
    with pytest.raises(StoreError, match=r"(?s)without the places.*tiles/TCGA.*--coords"):
        import_store(file, tmp_path / "a.nic.zarr")
    check_places(import_store(file, tmp_path / "a.nic.zarr", hints=ImportHints(coords=tmp_path / "places")))


def test_a_slide_without_tiles_is_empty(tmp_path):
    meta = write_meta(tmp_path / "tile_embeddings" / f"{NAME}.meta.json", num_tiles=0, feature_dim=None)
    write_tiles(tmp_path / "tiles").unlink()
    with pytest.raises(StoreError, match="how long its codes would be"):
        import_store(meta, tmp_path / "a.nic.zarr")
    write_meta(meta.with_name("other.meta.json"), sample_id="other")
    assert recognised_format(meta) == "slide2vec"
    write_meta(meta.with_name("third.meta.json"), sample_id="third")
    torch.save(torch.zeros(COUNT, 8), meta.with_name("third.pt"))
    found = find_feature_files(tmp_path).paths
    assert {slide_name_of(file): file.name for file in found} == {
        NAME: meta.name,
        "other": "other.meta.json",
        "third": "third.pt",
    }
    store = import_store(meta, tmp_path / "a.nic.zarr")
    assert store.is_complete
    assert (store.encoded().sum(), store.code_size, store.header.slide_shape) == (0, 8, (7000, 9000))
    assert store.grid.shape == (7000 // SIDE, 9000 // SIDE)
    write_meta(meta, num_tiles=3)
    with pytest.raises(StoreError, match=r"(?s)features that are not there.*3 tiles"):
        import_store(meta, tmp_path / "b.nic.zarr")


def test_the_description_stands_for_its_features(tmp_path):
    file = write_run(tmp_path)
    check_places(import_store(file.with_name(f"{NAME}.meta.json"), tmp_path / "a.nic.zarr"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("slide_embeddings", "one vector of the whole slide"),
        ("patient_embeddings", "one vector of the whole slide"),
        ("hierarchical_embeddings", r"regions \(R, T, D\)"),
        ("dense_embeddings", "maps of features"),
        ("image_embeddings", "features of one picture"),
        (None, "no features of tiles"),
    ],
)
def test_what_are_no_features_of_tiles_is_named(tmp_path, kind, said):
    file = write_run(tmp_path)
    write_meta(file.with_name(f"{NAME}.meta.json"), artifact_type=kind)
    with pytest.raises(StoreError, match=said):
        import_store(file, tmp_path / "a.nic.zarr")


def test_files_of_two_runs_are_refused(tmp_path):
    file = write_run(tmp_path)
    for changes, what in (
        ({"provenance": {"sample_id": "other"}}, "slide"),
        ({"artifact": {"annotation": "stroma"}}, "class of tissue"),
        ({"tiling": {"tile_size_lv0": 224}}, "side of the tiles"),
    ):
        write_tiles(tmp_path / "tiles", **changes)
        if what == "class of tissue":
            write_meta(file.with_name(f"{NAME}.meta.json"), annotation="tumor")
        with pytest.raises(StoreMismatchError, match=f"not of one {what}"):
            import_store(file, tmp_path / "a.nic.zarr")
        write_meta(file.with_name(f"{NAME}.meta.json"))
    write_tiles(tmp_path / "tiles")
    torch.save(torch.from_numpy(features()[:20]), file)
    with pytest.raises(StoreError, match=r"(?s)do not fit together.*20 features, 30"):
        import_store(file, tmp_path / "a.nic.zarr")
    hints = ImportHints(slide_shape=(500, 600), slide_name="other", pixel_size=PixelSize(0.25, 0.25, "given"))
    write_run(tmp_path)
    with pytest.raises(StoreMismatchError, match="another slide"):
        import_store(file, tmp_path / "a.nic.zarr", hints=hints)


@pytest.mark.parametrize(
    "changes",
    [
        {"slide": {"dimensions": [9000]}},
        {"slide": {"dimensions": [9000, -1]}},
        {"slide": {"base_spacing_um": "small"}},
        {"tiling": {"step_px_lv0": 2.5}},
        {"artifact": {"coordinate_space": "um"}},
    ],
)
def test_descriptions_that_cannot_be_are_one_sentence(tmp_path, changes):
    file = write_run(tmp_path)
    write_tiles(tmp_path / "tiles", **changes)
    with pytest.raises(StoreError, match=r"is not|unknown unit"):
        import_store(file, tmp_path / "a.nic.zarr")


def test_archives_are_bounded_and_hold_no_objects(tmp_path):
    file = write_run(tmp_path, suffix=".npz")
    places = tmp_path / "tiles" / f"{NAME}.coordinates.npz"
    whole = places.read_bytes()
    objects = np.array([print] * COUNT, dtype=object)
    np.savez(places, x=objects, y=objects)
    with pytest.raises(StoreError, match="no plain table of numbers"):
        import_store(file, tmp_path / "a.nic.zarr")
    with zipfile.ZipFile(places, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x.npy", "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "<i8", "fortran_order": False, "shape": (2**24,)}
            )
            for _ in range(128):
                member.write(bytes(2**20))
        archive.writestr("y.npy", b"")
    with pytest.raises(StoreError, match="unpacks to far more"):
        import_store(file, tmp_path / "a.nic.zarr")
    for damaged in (whole[: len(whole) // 2], b"", b"PK\x05\x06" + bytes(18)):
        places.write_bytes(damaged)
        with pytest.raises(StoreError):
            import_store(file, tmp_path / "a.nic.zarr")
    with zipfile.ZipFile(places, "w") as archive:  # an array that says it is larger than it is
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}\n"
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        archive.writestr("y.npy", b"")
    with pytest.raises(StoreError, match="another size than it says"):
        import_store(file, tmp_path / "a.nic.zarr")
    assert not (tmp_path / "a.nic.zarr").exists()
