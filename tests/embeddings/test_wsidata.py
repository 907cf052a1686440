"""Tables of LazySlide, SOPA and AnnData: joined with their tiles by number, never by the order of rows."""

from __future__ import annotations

import json
import shutil
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import zarr

from napari_nic.embeddings import CompressedSlide, ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import MissingDependencyError, StoreError
from napari_nic.geometry import PixelSize
from napari_nic.telling import telling

HINTS = ImportHints(pixel_size=PixelSize(0.25, 0.25, "given"))
_ANNDATA_WARNS = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
SCALE = {"type": "scale", "scale": [2.0, 2.0], "output": {"name": "global"}}


def check_places(store: CompressedSlide, xy: np.ndarray, count: int = 24) -> None:
    """Each code must lie where the tile of its number was cut."""
    table = CodeTable.of(store)
    numbers = store.read()[tuple(table.cells.T)][:, 0].astype(int)
    assert sorted(numbers) == list(range(count))
    assert np.abs(table.corners_px[:, ::-1] - xy[numbers]).max() <= 0.5


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_rows_are_joined_with_tiles_by_number(spatial_writers, tmp_path, zarr_format, is_sparse):
    order = np.random.default_rng(1).permutation(24)
    tables = {"uni_tiles": {"is_sparse": is_sparse}}
    path = spatial_writers.write_store(
        tmp_path / "S.1.zarr", zarr_format=zarr_format, tables=tables, order=order
    )
    assert recognised_format(path) == "wsidata"
    store = import_store(path, tmp_path / "a.nic.zarr")
    check_places(store, spatial_writers.corners())
    assert store.header.encoder_name == "uni"
    assert store.header.slide_name == "S.1"
    assert store.header.slide_shape == (4000, 6000)
    assert (store.grid.pixel_size.mean, store.grid.mpp, store.header.encoder["mpp"]) == (0.25, 0.5, 0.5)
    assert (store.grid.patch_px, store.grid.patch_size, store.grid.stride_px) == (448, 224, 448)


def test_shuffled_rows_give_the_same_store(spatial_writers, tmp_path):
    stores = []
    for name, order in (("a", np.arange(24)), ("b", np.arange(24)[::-1])):
        path = spatial_writers.write_store(tmp_path / f"{name}.zarr", order=order)
        stores.append(import_store(path, tmp_path / f"{name}.nic.zarr"))
    first, second = stores
    assert (first.read() == second.read()).all()
    cells = CodeTable.of(first).cells
    assert (first.offsets(cells) == second.offsets(cells)).all()


def test_first_versions_kept_descriptions_in_a_table(spatial_writers, tmp_path):
    said = {
        "slide_properties": {"shape": np.array([4000, 6000]), "mpp": 0.25},
        "tile_spec": {"width": 224, "height": 224, "raw_width": 448, "raw_stride_width": 448, "mpp": 0.5},
    }
    path = spatial_writers.write_store(
        tmp_path / "s.zarr", zarr_format=2, attributes={}, tables={"uni_tiles": {"uns": said}}, columns=True
    )
    store = import_store(path, tmp_path / "a.nic.zarr")
    check_places(store, spatial_writers.corners())
    assert (store.header.slide_shape, store.grid.mpp) == ((4000, 6000), 0.5)
    text = {name: json.dumps(value, default=np.ndarray.tolist) for name, value in said.items()}
    path = spatial_writers.write_store(
        tmp_path / "t.zarr", attributes={}, tables={"uni_tiles": {"uns": text}}
    )
    assert import_store(path, tmp_path / "b.nic.zarr").header.slide_shape == (4000, 6000)


def test_one_of_several_tables_is_named(spatial_writers, tmp_path):
    path = spatial_writers.write_store(tmp_path / "s.zarr", tables={"uni_tiles": {}, "conch_tiles": {}})
    with pytest.raises(StoreError, match=r"(?s)several kinds.*conch_tiles, uni_tiles.*--features"):
        import_store(path, tmp_path / "a.nic.zarr")
    for named in ("conch", "conch_tiles"):
        store = import_store(path, tmp_path / f"{named}.nic.zarr", hints=ImportHints(features=named))
        assert store.header.encoder_name == "conch"
        assert not any("uni_tiles" in name for name in store.header.origin["files"])
    with pytest.raises(StoreError, match=r"(?s)no features 'virchow'.*conch_tiles, uni_tiles"):
        import_store(path, tmp_path / "b.nic.zarr", hints=ImportHints(features="virchow"))


def test_tables_of_cells_are_none_of_tiles(spatial_writers, tmp_path):
    path = spatial_writers.write_store(
        tmp_path / "s.zarr", tables={"uni_tiles": {}, "measured": {"region": "cells"}}
    )
    assert import_store(path, tmp_path / "a.nic.zarr").header.encoder_name == "uni"
    only = spatial_writers.write_store(
        tmp_path / "t.zarr", tables={"measured": {"region": "cells"}}, attributes={}
    )
    with pytest.raises(StoreError, match="without the places"):
        import_store(only, tmp_path / "b.nic.zarr", hints=HINTS)


def test_tiles_without_features_are_told_and_features_without_tiles_refused(spatial_writers, tmp_path):
    path = spatial_writers.write_store(tmp_path / "s.zarr", order=np.arange(20))
    told = []
    with telling(told.append):
        store = import_store(path, tmp_path / "a.nic.zarr")
    assert store.encoded().sum() == 20
    assert any("4 of 24 tiles have no features" in text for text in told[0].texts)
    path = spatial_writers.write_store(tmp_path / "t.zarr", ids=np.arange(5, 29))
    with pytest.raises(StoreError, match=r"(?s)places are not there.*5 of 24"):
        import_store(path, tmp_path / "b.nic.zarr")
    path = spatial_writers.write_store(tmp_path / "u.zarr", ids=np.arange(24) // 2)
    with pytest.raises(StoreError, match=r"places are not there|one number"):
        import_store(path, tmp_path / "c.nic.zarr")


def sopa(writers: SimpleNamespace, path, *, transformation, with_shapes: bool = True):
    """SOPA's embeddings: text instead of numbers, boxes in pixels of a level, centres beside them."""
    names = np.array([f"tile-{k:03}" for k in range(24)])
    order = np.random.default_rng(2).permutation(24)
    root = zarr.open_group(path, mode="w")
    table = root.create_group("tables").create_group("hoptimus_embeddings")
    centres = writers.corners()[order] / 2 + writers.SIDE / 4
    writers.write_table(
        table,
        writers.features()[order],
        names[order],
        region="embeddings_patches",
        key="instance",
        spatial=centres,
        uns={"embedding_config": {"patch_width": 224, "magnification": 20}},
    )
    root.create_group("shapes")
    if with_shapes:
        writers.write_boxes(
            path / "shapes" / "embeddings_patches",
            writers.corners() / 2,
            names,
            side=writers.SIDE // 2,
            key=None,
            transformation=transformation,
        )
    return path


def test_sopas_tiles_are_boxes_and_its_places_are_centres(spatial_writers, tmp_path):
    path = sopa(spatial_writers, tmp_path / "s.zarr", transformation=SCALE)
    with pytest.raises(StoreError, match=r"(?s)pixel size.*--slides"):
        import_store(path, tmp_path / "a.nic.zarr")
    store = import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    check_places(store, spatial_writers.corners())
    assert store.grid.stride_px * store.grid.downsample[0] == 448
    assert store.header.encoder_name == "hoptimus_embeddings"


@pytest.mark.parametrize(
    "transformation",
    [
        {"type": "affine", "affine": [[1, 0, 5], [0, 1, 7]], "output": {"name": "global"}},
        {"type": "scale", "scale": [0.0, 2.0], "output": {"name": "global"}},
        {"type": "scale", "scale": "large", "output": {"name": "global"}},
        {"type": "sequence", "transformations": [SCALE, {"type": "rotation"}], "output": {"name": "global"}},
    ],
)
def test_tiles_that_lie_otherwise_are_refused(spatial_writers, tmp_path, transformation):
    path = sopa(spatial_writers, tmp_path / "s.zarr", transformation=transformation)
    with pytest.raises(StoreError, match="turned, moved or bent"):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)


def test_places_alone_may_be_corners_or_centres(spatial_writers, tmp_path):
    path = sopa(spatial_writers, tmp_path / "s.zarr", transformation=None, with_shapes=False)
    with pytest.raises(StoreError, match=r"(?s)corners or centres.*tile_spec"):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)


def test_a_table_alone_has_its_places_and_wsidatas_description(spatial_writers, tmp_path):
    said = {
        "slide_properties": {"shape": np.array([4000, 6000]), "mpp": 0.25},
        "tile_spec": spatial_writers.SPEC,
    }
    xy = spatial_writers.corners()
    group = zarr.open_group(tmp_path / "S.svs.zarr", mode="w")
    spatial_writers.write_table(group, spatial_writers.features(), np.arange(24), spatial=xy, uns=said)
    assert recognised_format(tmp_path / "S.svs.zarr") == "anndata"
    store = import_store(tmp_path / "S.svs.zarr", tmp_path / "a.nic.zarr")
    check_places(store, xy)
    assert (store.grid.mpp, store.header.slide_shape) == (0.5, (4000, 6000))


@pytest.mark.parametrize("is_described", [True, False])
def test_an_h5ad_of_wsidata(spatial_writers, tmp_path, is_described):
    xy, features = spatial_writers.corners(), spatial_writers.features()
    with h5py.File(tmp_path / "S.h5ad", "w") as file:
        file["X"], file["obsm/spatial"] = features, xy
        file["obs/tile_id"] = np.arange(24)
        if is_described:
            for name, value in spatial_writers.SPEC.items():
                file[f"uns/tile_spec/{name}"] = value
            file["uns/slide_properties/shape"] = [4000, 6000]
            file["uns/slide_properties/mpp"] = 0.25
    if not is_described:
        with pytest.raises(StoreError, match="corners or centres"):
            import_store(tmp_path / "S.h5ad", tmp_path / "a.nic.zarr")
        return
    store = import_store(tmp_path / "S.h5ad", tmp_path / "a.nic.zarr")
    check_places(store, xy)
    assert (store.header.slide_name, store.grid.mpp) == ("S", 0.5)


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.filterwarnings(
    "ignore::FutureWarning:anndata", "ignore::UserWarning:zarr", "ignore::UserWarning:anndata"
)
def test_what_the_package_anndata_writes(spatial_writers, tmp_path, suffix, is_sparse):
    anndata, sparse = pytest.importorskip("anndata"), pytest.importorskip("scipy.sparse")
    pandas = pytest.importorskip("pandas")
    features, order = spatial_writers.features(), np.random.default_rng(5).permutation(24)
    names = pandas.DataFrame({"tile_id": order, "kind": ["a", "b"] * 12}, index=[f"tile {k}" for k in order])
    table = anndata.AnnData(
        X=sparse.csr_matrix(features[order]) if is_sparse else features[order],
        obs=names,
        obsm={"spatial": spatial_writers.corners()[order]},
        uns={
            "tile_spec": spatial_writers.SPEC | {"tissue_name": "tissues"},
            "slide_properties": {"shape": [4000, 6000], "mpp": 0.25, "scene": None, "raw": "{}"},
        },
    )
    table.obs.index = table.obs.index.astype(object)  # anndata does not write the text of pandas 3
    table.obs["kind"] = table.obs["kind"].astype(object)
    table.var.index = table.var.index.astype(object)
    path = tmp_path / f"S.1{suffix}"
    table.write_h5ad(path) if suffix == ".h5ad" else table.write_zarr(path)
    store = import_store(path, tmp_path / "a.nic.zarr")
    check_places(store, spatial_writers.corners())
    assert (store.header.slide_name, store.header.slide_shape, store.grid.mpp) == ("S.1", (4000, 6000), 0.5)


@pytest.mark.filterwarnings(
    "ignore::FutureWarning:anndata", "ignore::UserWarning:zarr", "ignore::UserWarning:anndata"
)
def test_a_table_of_tiles_called_by_text_as_the_package_anndata_writes_it(spatial_writers, tmp_path):
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    features, order = spatial_writers.features(), np.random.default_rng(5).permutation(24)
    called = np.array([f"tile {k}" for k in range(24)])
    path = spatial_writers.write_store(tmp_path / "S.zarr", ids=called)
    shutil.rmtree(path / "tables" / "uni_tiles")
    for kind in ("text", "category"):
        texts = pandas.Index(called, dtype=object)
        categories = pandas.Categorical.from_codes(order, categories=texts)
        column = categories if kind == "category" else texts[order]
        obs = pandas.DataFrame({"tile_id": column}, index=order.astype(str))
        said = {"region": "tiles", "region_key": "library_id", "instance_key": "tile_id"}
        table = anndata.AnnData(X=features[order], obs=obs, uns={"spatialdata_attrs": said})
        table.obs.index = table.obs.index.astype(object)
        table.var.index = table.var.index.astype(object)
        table.write_zarr(path / "tables" / "uni_tiles")
        store = import_store(path, tmp_path / f"{kind}.nic.zarr")
        check_places(store, spatial_writers.corners())


def test_without_pyarrow_the_command_is_said(spatial_writers, tmp_path, monkeypatch):
    path = spatial_writers.write_store(tmp_path / "s.zarr")
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match=r"pyarrow.*SpatialData") as caught:
        import_store(path, tmp_path / "a.nic.zarr")
    assert caught.value.hint == 'pip install "napari-nic[interchange]"'
    assert "napari_nic.embeddings.interchange.geoparquet" in sys.modules


def test_shapes_that_are_no_boxes_are_refused(spatial_writers, tmp_path):
    import pyarrow as pa
    import shapely
    from pyarrow import parquet

    path = spatial_writers.write_store(tmp_path / "s.zarr")
    xy = spatial_writers.corners()
    circles = shapely.to_wkb(shapely.points(xy).tolist())
    for geometry in (
        circles,
        shapely.to_wkb(shapely.buffer(shapely.points(xy), 224)),
        np.array([b"no"] * 24),
    ):
        table = pa.table({"tile_id": np.arange(24), "geometry": list(geometry)})
        parquet.write_table(table, path / "shapes" / "tiles" / "shapes.parquet")
        with pytest.raises(StoreError, match=r"boxes|cannot be read"):
            import_store(path, tmp_path / "a.nic.zarr")
    (path / "shapes" / "tiles" / "shapes.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match="cannot be read"):
        import_store(path, tmp_path / "a.nic.zarr")
    (path / "shapes" / "tiles" / "shapes.parquet").unlink()
    with pytest.raises(StoreError, match="without the places"):
        import_store(path, tmp_path / "a.nic.zarr")


@pytest.mark.parametrize(
    "attributes",
    [
        {"tile_spec": {"tiles": {"width": 224, "height": 256}}},
        {"tile_spec": {"tiles": {"width": "wide", "height": "wide"}}},
        {"tile_spec": {"tiles": {"width": 224, "height": 224, "mpp": -1}}},
        {"slide_properties": {"shape": [4000]}},
        {"slide_properties": {"shape": [0, -4]}},
        {"slide_properties": {"mpp": 10_000}},
        {"slide_properties": {"mpp": [1, 2]}},
    ],
)
def test_descriptions_that_cannot_be_are_one_sentence(spatial_writers, tmp_path, attributes):
    path = spatial_writers.write_store(tmp_path / "s.zarr", attributes=attributes)
    with pytest.raises(StoreError, match=r"cannot be|no squares"):
        import_store(path, tmp_path / "a.nic.zarr", hints=HINTS)
    assert not (tmp_path / "a.nic.zarr").exists()
