"""What each export says, held against what its readers look for, and what none of them may tell."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import shapely
import torch
import zarr

from napari_nic.embeddings import (
    EXPORTERS,
    CompressedSlide,
    ImportHints,
    export_store,
    import_store,
)
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.embeddings.interchange.stamp_export import EXTRACTORS, extractor_of
from napari_nic.embeddings.interchange.trident_export import level0_magnification, target_magnification
from napari_nic.errors import NicError, StoreError
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.telling import telling

PATIENT = "MUSTERMANN_ERIKA"


def make_store(
    path: Path, toy: Any, *, patch: int = 8, stride: int = 8, source: str = "test", **changes: Any
) -> CompressedSlide:
    """A finished store of 30 x 20 cells at 0.5 um/px, with gaps."""
    shape = (30 * stride + 3, 20 * stride + 5)
    levels = [LevelGeometry(*shape)]
    grid = PatchGrid.plan(levels, PixelSize(0.5, 0.5, source), patch_size=patch, stride=stride)
    header = toy.header(grid=grid, slide_shape=shape, **changes)
    coverage = np.indices(grid.shape).sum(0) % 7 != 0
    store = CompressedSlide.create(path, header, coverage)
    toy.fill(store, toy.codes(coverage))
    store.finish()
    return store


@pytest.fixture
def overlapping(tmp_path, toy):
    return make_store(tmp_path / "over.nic.zarr", toy, patch=16, stride=12)


@pytest.fixture
def islands(tmp_path):
    """A store of another program's patches: two pieces of tissue, their grids 100 px out of step."""
    piece = np.array([(x * 256, y * 256) for y in range(4) for x in range(3)])
    coords = np.concatenate([piece + np.array([31, 7]), piece + np.array([31 + 2048 + 100, 7 + 300])])
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "islands.h5", "w") as file:
        file["features"] = rng.normal(size=(len(coords), 5)).astype(np.float16)
        file["coords"] = coords
        file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20})
    hints = ImportHints(
        slide_name="islands", pixel_size=PixelSize(0.5, 0.5, "given"), slide_shape=(4000, 5000)
    )
    store = import_store(tmp_path / "islands.h5", tmp_path / "islands.nic.zarr", hints=hints)
    assert store.offsets(np.argwhere(store.encoded())).any()
    return store


def told_of(action: Any) -> list[str]:
    """What is told while something is done."""
    heard: list[Any] = []
    with telling(heard.append):
        action()
    return [text for event in heard for text in event.texts]


# -- TRIDENT ---------------------------------------------------------------------------------------------


def test_magnifications_are_tridents_classes():
    classes = {0.1: 80, 0.1625: 60, 0.2431: 40, 0.2525: 40, 0.499: 20, 0.61: 10, 1.0: 10, 2.0: 5, 4.0: 2}
    assert {mpp: level0_magnification(mpp) for mpp in classes} == classes
    assert [target_magnification(mpp) for mpp in (0.5, 0.4862, 1.0, 0.7, 0.25)] == [20, 20, 10, 14.2857, 40]


def test_side_and_distance_of_overlapping_patches_each_have_a_reader(overlapping, tmp_path):
    texts = told_of(lambda: export_store(overlapping, tmp_path / "t.h5", "trident"))
    assert len(texts) == 1
    assert "16 px lie 12 px apart" in texts[0]
    assert "format titan" in texts[0]
    assert told_of(lambda: export_store(overlapping, tmp_path / "titan.h5", "titan")) == []
    for name, said in (("t", 16), ("titan", 12)):
        with h5py.File(tmp_path / f"{name}.h5") as file:
            attributes, coords = dict(file["coords"].attrs), file["coords"][()]
        assert (attributes["patch_size"], attributes["overlap"]) == (16, 4)
        assert attributes["patch_size_level0"] == said
        assert (attributes["patch_side_level0"], attributes["patch_size_lv0"]) == (16, 12)
    # What slide encoders do: each patch a cell of its own.
    cells = coords // attributes["patch_size_level0"]
    np.testing.assert_array_equal(cells[:, ::-1], np.argwhere(overlapping.encoded()))


def test_patches_without_overlap_need_no_second_form(full_store, tmp_path):
    assert told_of(lambda: export_store(full_store, tmp_path / "t.h5", "trident")) == []


@pytest.mark.parametrize("name", ["trident", "titan", "clam"])
def test_exact_places_of_others_patches_are_returned(islands, tmp_path, name):
    file = export_store(islands, tmp_path / "again.h5", name)[0]
    with h5py.File(tmp_path / "islands.h5") as old, h5py.File(file) as new:
        before = {tuple(xy): row for xy, row in zip(old["coords"][()], old["features"][()], strict=True)}
        after = {tuple(xy): row for xy, row in zip(new["coords"][()], new["features"][()], strict=True)}
    assert before.keys() == after.keys()
    assert all((before[place] == after[place].astype(np.float16)).all() for place in before)


# -- CLAM ------------------------------------------------------------------------------------------------


def test_clams_three_files_are_of_one_row_order(full_store, codes, coverage, tmp_path):
    h5, pt, patches = export_store(full_store, tmp_path / "out", "clam")
    assert (h5, pt, patches) == (
        tmp_path / "out" / "h5_files" / "slide.h5",
        tmp_path / "out" / "pt_files" / "slide.pt",
        tmp_path / "out" / "patches" / "slide.h5",
    )
    tensor = torch.load(pt, weights_only=True)
    with h5py.File(h5) as features, h5py.File(patches) as cut:
        np.testing.assert_array_equal(features["features"][()], tensor.numpy())
        np.testing.assert_array_equal(features["coords"][()], cut["coords"][()])
        attributes = dict(cut["coords"].attrs)
        assert cut["coords"].dtype == np.int64
    np.testing.assert_array_equal(tensor.numpy(), codes[coverage].astype(np.float32))
    assert attributes["save_path"] == "patches"
    assert (attributes["patch_size"], attributes["patch_level"]) == (8, 0)
    assert list(attributes["downsample"]) == [1, 1]


def test_clam_files_of_another_name_lie_side_by_side(full_store, tmp_path):
    written = export_store(full_store, tmp_path / "S.1.h5", "clam")
    assert [file.name for file in written] == ["S.1.h5", "S.1.pt", "S.1_patches.h5"]


@pytest.mark.parametrize("scale", [3.9999, 4.0003])
def test_clam_multiplies_by_a_whole_downsample(tmp_path, toy, scale):
    """It takes the whole part: of 3.9999 that would be 3."""
    shape = (2000, 1600)
    levels = [LevelGeometry(*shape), LevelGeometry(500, 400, scale, scale)]
    grid = PatchGrid.plan(levels, PixelSize(0.25, 0.25, "test"), patch_size=8, mpp=1.0)
    coverage, header = np.ones(grid.shape, bool), toy.header(grid=grid, slide_shape=shape)
    store = CompressedSlide.create(tmp_path / "s.nic.zarr", header, coverage)
    toy.fill(store, toy.codes(coverage))
    with h5py.File(export_store(store, tmp_path / "out", "clam")[2]) as file:
        attributes = dict(file["coords"].attrs)
    assert attributes["patch_size"] * int(attributes["downsample"][0]) == 32
    assert (attributes["patch_level"], list(attributes["level_dim"])) == (1, [400, 500])


# -- STAMP -----------------------------------------------------------------------------------------------


def test_stamp_2_1_and_later_read_the_file(full_store, tmp_path):
    file = export_store(full_store, tmp_path / "s.h5", "stamp")[0]
    with h5py.File(file) as h5:
        attributes, coords = dict(h5.attrs), h5["coords"][()]
        assert (h5["feats"].dtype, coords.dtype) == (np.float16, np.float32)
    assert attributes["stamp_version"] == "2.1.0"
    assert {
        "extractor",
        "unit",
        "tile_size_um",
        "tile_size_px",
        "code_hash",
        "feat_type",
    } <= attributes.keys()
    # As its heatmaps count: by the smallest step, of numbers of 32 bits.
    step = min(np.diff(np.unique(coords[:, axis])).min() for axis in (0, 1))
    index = np.rint(coords / step).astype(int)
    np.testing.assert_array_equal(index[:, ::-1], np.argwhere(full_store.encoded()))


def test_stamp_gets_its_own_name_of_an_encoder_or_says_that_it_has_none(tmp_path, toy):
    assert all(extractor_of(name) == name for name in EXTRACTORS)
    assert [extractor_of(name) for name in ("UNI2-h", "conch_v15", "Prov-GigaPath", "nic-default")] == [
        *("uni2", "conch1_5", "gigapath"),
        None,
    ]
    encoder = toy.header().encoder | {"name": "conch_v15"}
    store = make_store(tmp_path / "a.nic.zarr", toy, encoder=encoder)
    assert told_of(lambda: export_store(store, tmp_path / "a.h5", "stamp")) == []
    with h5py.File(tmp_path / "a.h5") as h5:
        assert h5.attrs["extractor"] == "conch1_5"
    (text,) = told_of(
        lambda: export_store(make_store(tmp_path / "b.nic.zarr", toy), tmp_path / "b.h5", "stamp")
    )
    assert "no extractor called toy" in text


def test_stamp_counts_one_grid_so_patches_off_it_are_moved_and_told(islands, tmp_path):
    texts = told_of(lambda: export_store(islands, tmp_path / "s.h5", "stamp"))
    assert any("12 patches off it" in text for text in texts)
    with h5py.File(tmp_path / "s.h5") as h5:
        coords = h5["coords"][()]
    step = min(np.diff(np.unique(coords[:, axis])).min() for axis in (0, 1))
    index = np.rint(coords / step).astype(int)[:, ::-1]
    np.testing.assert_array_equal(index, np.argwhere(islands.encoded()))


def test_an_array_is_of_one_grid_so_patches_off_it_are_moved_and_told(islands, tmp_path):
    texts = told_of(lambda: export_store(islands, tmp_path / "s.npy", "npy"))
    assert any("12 patches off it" in text for text in texts)


def test_an_array_takes_codes_of_zeros_for_background_and_says_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["features"] = np.repeat(np.array([0, 0, 1, 2], np.float16)[:, None], 3, axis=1)
        file["coords"] = np.arange(4)[:, None] * [256, 0]
        file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20})
    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "test"))
    with import_store(tmp_path / "a.h5", tmp_path / "a.nic.zarr", hints=hints) as store:
        (text,) = told_of(lambda: export_store(store, tmp_path / "a.npy", "npy"))
    assert "2 patches are all 0" in text


# -- Parquet, slideflow, Owkin ---------------------------------------------------------------------------


def test_parquet_is_a_table_that_needs_no_header(full_store, codes, coverage, tmp_path):
    table = parquet.read_table(export_store(full_store, tmp_path, "parquet")[0])
    assert table.column_names == ["x", "y", "row", "col", "features"]
    cells = np.stack([table["row"].to_numpy(), table["col"].to_numpy()], axis=1)
    np.testing.assert_array_equal(cells, np.argwhere(coverage))
    np.testing.assert_array_equal(table["x"].to_numpy(), cells[:, 1] * 8)
    np.testing.assert_array_equal(np.stack(table["features"].to_numpy()), codes[coverage].astype(np.float32))
    described = json.loads(table.schema.metadata[b"patches"])
    assert (described["slide"], described["encoder"], described["stride_level0"]) == ("slide", "toy", 8)


def test_a_folder_of_bags_has_one_configuration(tmp_path, toy, full_store):
    out = tmp_path / "bags"
    bag, index, config = export_store(full_store, out, "slideflow")
    assert [file.name for file in (bag, index, config)] == [
        *("slide.pt", "slide.index.npz", "bags_config.json"),
    ]
    said = json.loads(config.read_text())
    assert (said["tile_px"], said["tile_um"], said["num_features"], said["normalizer"]) == (8, 4, 5, None)
    with np.load(index) as archive:
        np.testing.assert_array_equal(archive["arr_0"], CodeTable.of(full_store).coords_xy + 4)
    other = make_store(tmp_path / "b.nic.zarr", toy, slide_name="b")
    assert export_store(other, out, "slideflow")[0].parent == bag.parent
    wider = make_store(tmp_path / "c.nic.zarr", toy, patch=16, slide_name="c")
    with pytest.raises(StoreError, match=r"(?s)bags of other tiles.*16 px.*8 px"):
        export_store(wider, out, "slideflow")
    assert len(list(bag.parent.iterdir())) == 2 * 2 + 1


def test_owkin_counts_in_tiles_of_deepzoom(tmp_path, toy):
    store = make_store(tmp_path / "a.nic.zarr", toy)
    array = np.load(export_store(store, tmp_path / "out", "owkin")[0])
    assert (array.dtype, array.shape[1]) == (np.float32, 3 + 5)
    assert set(array[:, 0]) == {8}  # 243 x 165 px: 2**8 px hold the longer side
    np.testing.assert_array_equal(array[:, 2:0:-1], np.argwhere(store.encoded()))


# -- AnnData and SpatialData -----------------------------------------------------------------------------


def test_anndata_has_corners_and_centres(full_store, codes, coverage, tmp_path):
    table = anndata.read_h5ad(export_store(full_store, tmp_path, "anndata")[0])
    np.testing.assert_array_equal(table.X, codes[coverage].astype(np.float32))
    np.testing.assert_array_equal(table.obs[["row", "col"]], np.argwhere(coverage))
    np.testing.assert_array_equal(table.obsm["spatial"], table.obs[["x", "y"]])
    np.testing.assert_array_equal(table.obsm["spatial_centre"], table.obsm["spatial"] + 4)
    assert table.uns["spatial"]["slide"]["scalefactors"]["spot_diameter_fullres"] == 8
    assert (table.uns["tile_spec"]["width"], table.uns["slide_properties"]["mpp"]) == (8, 0.5)


def spatial_data(path: Path, corners: np.ndarray, side: int, shape: tuple[int, int]) -> Path:
    """A folder as wsidata leaves it, with tiles of its own, in an order of their own."""
    root = zarr.create_group(
        path,
        attributes={
            "spatialdata_attrs": {"version": "0.2"},
            "slide_properties": {"shape": list(shape), "mpp": 0.5, "raw": "kept"},
            "tile_spec": {"tiles": {"width": side, "height": side, "tissue_name": "tissues"}},
        },
    )
    root.create_group("shapes").create_group("tiles", attributes={"encoding-type": "ngff:shapes"})
    x, y = corners[:, ::-1].T
    boxes = pa.array(shapely.to_wkb(shapely.box(x, y, x + side, y + side)), pa.binary())
    ids = pa.array(np.arange(100, 100 + len(corners)))
    parquet.write_table(pa.table({"tile_id": ids, "geometry": boxes}), path / "shapes/tiles/shapes.parquet")
    root.create_group("tables").create_group("resnet_tiles", attributes={"encoding-type": "anndata"})
    return path


def contents(path: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


def test_codes_are_added_to_a_folder_of_lazyslide_on_its_own_tiles(tmp_path, toy):
    store = make_store(tmp_path / "s.nic.zarr", toy, slide_name="s")
    shuffled = np.random.default_rng(0).permutation(CodeTable.of(store).corners_px)
    path = spatial_data(tmp_path / "s.zarr", shuffled, 8, store.header.slide_shape)
    before = contents(path)
    export_store(store, path, "wsidata")
    table = anndata.read_zarr(path / "tables" / "toy_tiles")
    assert list(table.obs["tile_id"]) == list(range(100, 100 + len(shuffled)))
    np.testing.assert_array_equal(table.obs[["y", "x"]], shuffled)
    cells = table.obs[["row", "col"]].to_numpy()
    np.testing.assert_array_equal(table.X, store.read()[tuple(cells.T)].astype(np.float32))
    after = contents(path)
    assert all(after[name] == content for name, content in before.items() if name != "zarr.json")
    root = json.loads(after["zarr.json"])
    assert root["attributes"]["slide_properties"]["raw"] == "kept"
    assert root["attributes"]["tile_spec"]["tiles"]["tissue_name"] == "tissues"
    assert {"tables/toy_tiles/X", "tables/resnet_tiles"} <= root["consolidated_metadata"]["metadata"].keys()


def test_other_tiles_get_a_name_of_their_own(tmp_path, toy):
    store = make_store(tmp_path / "s.nic.zarr", toy, slide_name="s")
    path = spatial_data(tmp_path / "s.zarr", np.array([[0.0, 0], [0, 16]]), 16, store.header.slide_shape)
    before = contents(path)
    for _ in range(2):
        export_store(store, path, "wsidata", overwrite=True)
        assert sorted(entry.name for entry in (path / "tables").glob("*")) == [
            *("resnet_tiles", "toy_nic_tiles", "zarr.json"),
        ]
    with pytest.raises(StoreError, match="exists"):
        export_store(store, path, "wsidata")
    after = contents(path)
    assert all(after[name] == content for name, content in before.items() if name != "zarr.json")
    assert json.loads(after["zarr.json"])["attributes"]["tile_spec"]["nic_tiles"]["width"] == 8
    again = import_store(path, tmp_path / "again.nic.zarr", hints=ImportHints(features="toy_nic_tiles"))
    np.testing.assert_array_equal(again.read(), store.read())


def test_nothing_of_others_is_replaced(tmp_path, toy):
    store = make_store(tmp_path / "s.nic.zarr", toy, slide_name="s")
    theirs = spatial_data(tmp_path / "a.zarr", np.zeros((1, 2)), 8, (1, 2))
    for path, said in (
        (theirs, "of another slide"),
        (spatial_data(tmp_path / "b.zarr", np.zeros((1, 2)), 8, store.header.slide_shape), "has this name"),
        (tmp_path / "c.zarr", "no SpatialData"),
    ):
        (path / "tables" / "toy_nic_tiles").mkdir(parents=True)
        (path / "tables" / "toy_nic_tiles" / "mine.txt").write_text("kept")
        before = contents(path)
        with pytest.raises(NicError, match=said):
            export_store(store, path, "wsidata", overwrite=True)
        assert contents(path) == before


# -- names -----------------------------------------------------------------------------------------------


@pytest.fixture
def renamed(tmp_path, toy):
    """A store that bore a patient's name, was imported from a file of that name, and does so no more."""
    store = make_store(
        tmp_path / f"{PATIENT}.nic.zarr",
        toy,
        slide_name=PATIENT,
        tissue={"method": f"imported from {PATIENT}.h5"},
        source=f"{PATIENT}.svs",
        origin={"files": {f"{PATIENT}.h5": "0" * 64}, "said": {"slide_shape": None}},
    )
    store.write_preview(np.zeros((*store.grid.shape, 3), np.uint8))
    shutil.copytree(store.path, tmp_path / "turned.nic.zarr")
    shutil.move(tmp_path / "turned.nic.zarr", store.path / "turns" / "1")
    folder = tmp_path / "shared"
    folder.mkdir()
    store.close()
    return CompressedSlide.open(shutil.move(store.path, folder / "case-7.nic.zarr"))


def texts_of(file: Path) -> Iterator[bytes]:
    """Whatever a file says: its bytes, and what is compressed in them."""
    content = file.read_bytes()
    yield str(file).encode()
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if content[:4] == b"PAR1":
        table = parquet.ParquetFile(file)
        yield repr((table.metadata.metadata, table.schema_arrow.metadata)).encode()
        yield repr(table.read().to_pydict()).encode()
    if h5py.is_hdf5(file):
        with h5py.File(file) as h5:
            nodes: dict[str, Any] = {"/": h5}
            h5.visititems(nodes.__setitem__)
            for name, node in nodes.items():
                yield f"{name} {dict(node.attrs)}".encode()
                if isinstance(node, h5py.Dataset) and node.dtype.kind in "OSU":
                    yield repr(node[()]).encode()


def arrays_of(folder: Path) -> Iterator[bytes]:
    """Texts in the arrays of a Zarr folder, which may be compressed."""
    for file in folder.rglob("zarr.json"):
        if json.loads(file.read_text())["node_type"] == "array":
            values = np.asarray(zarr.open_array(file.parent, mode="r")[...])
            if values.dtype.kind not in "fiub":
                yield repr(values.tolist()).encode()


@pytest.mark.parametrize("name", list(EXPORTERS))
def test_no_export_tells_a_name_that_the_slide_bears_no_more(renamed, tmp_path, name):
    out = tmp_path / "given to others"
    export_store(renamed, out, name)
    files = [file for file in out.rglob("*") if file.is_file()]
    assert files
    said = [text for file in files for text in texts_of(file)]
    said += [text for folder in out.rglob("*.zarr") for text in arrays_of(folder)]
    for hidden in (PATIENT, str(tmp_path)):
        content = [text.replace(str(out).encode(), b"") for text in said]
        assert not [text[:200] for text in content if hidden.encode() in text]
    assert any(b"case-7" in text for text in said)


def test_a_copy_of_a_renamed_store_is_whole(renamed, tmp_path):
    copy = CompressedSlide.open(export_store(renamed, tmp_path / "out", "zarr")[0])
    assert (copy.header.slide_name, copy.header.tissue) == ("case-7", {"method": "imported"})
    np.testing.assert_array_equal(copy.read(), renamed.read())
    assert renamed.header.slide_name == PATIENT


def test_names_inside_a_folder_that_was_imported_are_no_names_of_its_slide(tmp_path, toy):
    """Of a Zarr folder the files are called 0, c, zarr.json; these words stand for other things too."""
    store = make_store(
        tmp_path / "new.nic.zarr",
        toy,
        slide_name="new",
        tissue={"method": f"imported from {PATIENT}.zarr", "outlines": "shapes/tissues/shapes.parquet"},
        color={"profile": None, "applied": False, "choice": {"scene": 0, "name": "c 0 of zarr.json"}},
        origin={"files": {"zarr.json": "0" * 64, "shapes/c/0": "1" * 64}, "said": {}},
    )
    header = CompressedSlide.open(export_store(store, tmp_path / "out", "zarr")[0]).header
    assert header.color == store.header.color
    assert header.tissue == {"method": "imported"}


# -- slides without tissue -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(EXPORTERS))
def test_a_slide_without_tissue_is_an_export_without_rows(tmp_path, toy, name):
    store = CompressedSlide.create(tmp_path / "none.nic.zarr", toy.header(), np.zeros((90, 75), bool))
    store.finish()
    assert len(CodeTable.of(store)) == 0
    assert export_store(store, tmp_path / "out", name)[0].exists()
