"""Contract of all export and import formats, and what each one's own readers look for."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from napari_nic.embeddings import (
    EXPORTERS,
    IMPORTERS,
    CompressedSlide,
    ImportHints,
    export_store,
    export_target,
    import_store,
)
from napari_nic.embeddings.interchange.npy_format import distance_map
from napari_nic.errors import StoreError, UnknownNameError
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

BOTH_WAYS = [name for name in EXPORTERS if name in IMPORTERS and name != "clam-pt"]
"""A tensor alone has no places."""


@pytest.fixture(params=["plain", "coarser level, overlap"])
def any_store(request, tmp_path, toy):
    """A finished store of a simple grid, and one of overlapping patches on a level of an odd scale."""
    if request.param == "plain":
        grid, shape = toy.header().grid, toy.header().slide_shape
    else:
        shape = (1201, 1003)
        levels = [LevelGeometry(*shape), LevelGeometry(300, 250, 1201 / 300, 1003 / 250)]
        grid = PatchGrid.plan(levels, PixelSize(0.25, 0.25, "test"), patch_size=8, stride=6, mpp=1.0)
        assert (grid.level, grid.patch_px, grid.stride_px) == (1, 8, 6)
    coverage = toy.coverage(*grid.shape)
    codes = toy.codes(coverage)
    header = toy.header(grid=grid, slide_shape=shape)
    store = CompressedSlide.create(tmp_path / "slide.nic.zarr", header, coverage)
    toy.fill(store, codes)
    store.finish()
    return store


@pytest.mark.parametrize("name", list(EXPORTERS))
class TestEveryExporter:
    """What holds for all formats."""

    def test_writes_the_files_it_names(self, full_store, tmp_path, name):
        files = export_store(full_store, tmp_path / "out", name)
        assert all(file.exists() for file in files)
        written = {p for p in (tmp_path / "out").rglob("*") if p.is_file() and files[0] not in p.parents}
        assert written == {file for file in files if file.is_file()}
        assert files[0] == export_target(full_store.header, tmp_path / "out", name)

    def test_writes_to_a_name_that_is_given(self, full_store, tmp_path, name):
        target = tmp_path / "deep" / f"mine{EXPORTERS.get(name).suffix}"
        assert export_store(full_store, target, name)[0] == target
        assert target.exists()

    def test_does_not_overwrite_unasked(self, full_store, tmp_path, name):
        target = tmp_path / f"mine{EXPORTERS.get(name).suffix}"
        export_store(full_store, target, name)
        with pytest.raises(StoreError, match="exists"):
            export_store(full_store, target, name)
        export_store(full_store, target, name, overwrite=True)

    def test_refuses_a_partial_store_unless_told(self, store, codes, tmp_path, toy, name):
        with pytest.raises(StoreError, match="nothing to export"):
            export_store(store, tmp_path / "a", name)
        toy.fill(store, codes, [(2, 2)])
        wanted, there = int(store.coverage.sum()), int(store.encoded().sum())
        with pytest.raises(StoreError, match=rf"(?s){wanted} cells.*{there} encoded"):
            export_store(store, tmp_path / "a", name)
        assert not (tmp_path / "a").exists()
        assert export_store(store, tmp_path / "a", name, allow_partial=True)[0].exists()

    def test_refuses_another_suffix(self, full_store, tmp_path, name):
        with pytest.raises(StoreError, match="ends in"):
            export_store(full_store, tmp_path / "out.xlsx", name)

    def test_full_disk_leaves_nothing_half_done(self, full_store, tmp_path, monkeypatch, name):
        def full(*_args, **_kwargs):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        folder = tmp_path / "out"
        for owner in (Path, os):
            monkeypatch.setattr(owner, "replace", full)
        monkeypatch.setattr(Path, "rename", full)
        with pytest.raises(StoreError, match="no space left"):
            export_store(full_store, folder, name)
        assert [path for path in folder.rglob("*") if path.is_file()] == []

    def test_says_what_it_is(self, name):
        exporter = EXPORTERS.get(name)
        assert exporter.label
        assert exporter.suffix.startswith(".")


@pytest.mark.parametrize("name", BOTH_WAYS)
class TestBothWays:
    """Formats that can be read again."""

    def test_round_trip_keeps_cells_codes_and_description(self, any_store, tmp_path, name):
        if name == "owkin" and any_store.grid.level:
            with pytest.raises(StoreError, match="no tiles of DeepZoom"):
                export_store(any_store, tmp_path / "out", name)
            return
        file = export_store(any_store, tmp_path / "out", name)[0]
        again = import_store(file, tmp_path / "again.nic.zarr")
        assert again.header == any_store.header
        assert again.status == "complete"
        np.testing.assert_array_equal(again.coverage, any_store.coverage)
        np.testing.assert_array_equal(again.read(), any_store.read())

    def test_is_recognised(self, full_store, tmp_path, name):
        file = export_store(full_store, tmp_path / "out", name)[0]
        recognised = [other for other in IMPORTERS if IMPORTERS.get(other).recognises(file)]
        assert recognised[:1] == [name]
        assert recognised[1:] in ([], ["npy"])  # which tables of numbers are too, of no place

    def test_partial_export_imports_what_is_there(self, store, codes, tmp_path, toy, name):
        toy.fill(store, codes, [(2, 2), (4, 1)])
        file = export_store(store, tmp_path / "out", name, allow_partial=True)[0]
        again = import_store(file, tmp_path / "again.nic.zarr", format=name)
        np.testing.assert_array_equal(again.encoded(), store.encoded())
        np.testing.assert_array_equal(again.read(), store.read())

    def test_truncated_file_is_said(self, full_store, tmp_path, name):
        file = export_store(full_store, tmp_path / "out", name)[0]
        parts = [part for part in (file, *file.rglob("*")) if part.is_file()]
        part = max(parts, key=lambda part: part.stat().st_size)
        content = part.read_bytes()
        part.write_bytes(content[: len(content) // 3])
        with pytest.raises(StoreError, match=file.name):
            import_store(file, tmp_path / "again.nic.zarr", format=name)
        assert not (tmp_path / "again.nic.zarr").exists()


def test_unknown_formats_and_files_are_said(full_store, tmp_path):
    with pytest.raises(UnknownNameError, match="trident"):
        export_store(full_store, tmp_path / "out", "xls")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(StoreError, match=r"(?s)not recognised.*TRIDENT"):
        import_store(tmp_path / "notes.txt", tmp_path / "a.nic.zarr")
    with pytest.raises(StoreError, match="no such file"):
        import_store(tmp_path / "none.h5", tmp_path / "a.nic.zarr")


# -- the store itself ------------------------------------------------------------------------------------


def test_zarr_copy_is_a_store(full_store, codes, tmp_path):
    copy = CompressedSlide.open(export_store(full_store, tmp_path / "out", "zarr")[0])
    assert copy.header == full_store.header
    np.testing.assert_array_equal(copy.read(), codes)
    with pytest.raises(StoreError, match="onto itself"):
        export_store(full_store, full_store.path, "zarr", overwrite=True)
    np.testing.assert_array_equal(CompressedSlide.open(full_store.path).read(), codes)


def test_zarr_copy_never_replaces_what_is_not_ours(full_store, tmp_path):
    target = tmp_path / "mine.nic.zarr"
    target.mkdir()
    (target / "holiday.jpg").write_bytes(b"sea")
    with pytest.raises(StoreError, match="not a compressed slide"):
        export_store(full_store, target, "zarr", overwrite=True)
    assert (target / "holiday.jpg").exists()


# -- NIC arrays ------------------------------------------------------------------------------------------


def test_npy_is_what_the_authors_code_reads(full_store, codes, coverage, tmp_path):
    array_file, map_file, _ = export_store(full_store, tmp_path / "out", "npy")
    assert array_file.name == "slide_features.npy"
    assert map_file.name == "slide_features_distance_map.npy"
    array = np.load(array_file)
    assert array.dtype == np.float16
    assert array.shape == (5, 90, 75)
    np.testing.assert_array_equal(array[3], codes[:, :, 3])
    probability = np.load(map_file)
    distance = distance_transform_edt(coverage)
    expected = (distance / distance.max()) ** 2
    np.testing.assert_allclose(probability, expected / expected.sum(), rtol=1e-4)
    assert probability.sum() == pytest.approx(1, abs=1e-12)


def test_distance_map_where_nothing_or_everything_is_tissue():
    np.testing.assert_allclose(distance_map(np.ones((4, 5), bool)), 1 / 20)
    assert not distance_map(np.zeros((4, 5), bool)).any()


def test_npy_of_the_authors_lies_where_the_hints_say(full_store, codes, coverage, tmp_path):
    array_file, _, header_file = export_store(full_store, tmp_path / "out", "npy")
    header_file.unlink()
    hints = ImportHints(slide_name="s1", pixel_size=PixelSize(0.25, 0.25), patch_size=128, stride=64)
    store = import_store(array_file, tmp_path / "a.nic.zarr", hints=hints)
    assert (store.grid.patch_px, store.grid.stride_px) == (256, 128)
    assert store.header.slide_name == "s1"
    np.testing.assert_array_equal(store.coverage, coverage)
    np.testing.assert_array_equal(store.read(), codes)


@pytest.mark.parametrize("bad", [np.full((3, 4), 0.5), np.zeros((3, 4, 5), int), np.array([None])])
def test_npy_of_something_else_is_said(tmp_path, bad):
    np.save(tmp_path / "a.npy", bad)
    with pytest.raises(StoreError, match=r"not a(n| readable)|without places"):
        import_store(tmp_path / "a.npy", tmp_path / "a.nic.zarr")


# -- TRIDENT ---------------------------------------------------------------------------------------------


def test_trident_file_has_the_names_and_attributes_of_the_format(any_store, tmp_path):
    file = export_store(any_store, tmp_path / "job", "trident")[0]
    grid = any_store.grid
    overlap = 0 if grid.level == 0 else 2
    cut = f"{20 if grid.level == 0 else 10}x_8px_{overlap}px_overlap"
    assert file == tmp_path / "job" / cut / "features_toy" / "slide.h5"
    encoded = any_store.encoded()
    with h5py.File(file) as h5:
        features, coords = h5["features"], h5["coords"]
        assert (features.dtype, coords.dtype) == (np.float32, np.int64)
        assert set(features.attrs) == {"name", "encoder", "savetodir"}
        assert (features.attrs["encoder"], features.attrs["name"]) == ("toy", "slide")
        np.testing.assert_array_equal(features[()], any_store.read()[encoded].astype(np.float32))
        attributes = dict(coords.attrs)
        assert set(attributes) == {
            "patch_size",
            "patch_size_level0",
            "patch_side_level0",
            "patch_size_lv0",
            "level0_magnification",
            "target_magnification",
            "overlap",
            "name",
            "savetodir",
            "level0_width",
            "level0_height",
        }
        height, width = any_store.header.slide_shape
        assert (attributes["level0_width"], attributes["level0_height"]) == (width, height)
        assert (attributes["patch_size"], attributes["overlap"]) == (8, overlap)
        assert attributes["patch_size_level0"] == (8 if grid.level == 0 else 32)
        for (x, y), (row, col) in zip(coords[()], np.argwhere(encoded), strict=True):
            assert (y, x) == tuple(round(corner) for corner in grid.patch_corner_px(row, col))


def _write_trident(path, cells, *, step=192, patch=256, offset=(0, 0), **attributes):
    """A file as the format's own program writes it: 20x patches of 256 px cut at 40x, overlap 64."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (len(cells), 7)).astype(np.float32)
    with h5py.File(path, "w") as h5:
        h5.create_dataset("features", data=features).attrs["encoder"] = "conch_v1"
        coords = h5.create_dataset("coords", data=cells[:, ::-1] * 2 * step + offset)
        coords.attrs.update(
            {
                "patch_size": patch,
                "patch_size_level0": 2 * patch,
                "level0_magnification": 40,
                "target_magnification": 20,
                "overlap": patch - step,
                "name": "case-1",
                "level0_width": 9000,
                "level0_height": 8000,
                **attributes,
            }
        )
    return features


AT_40X = ImportHints(pixel_size=PixelSize(0.25, 0.25, "given"))


@pytest.fixture
def cells():
    return np.array([[2, 3], [2, 4], [7, 0], [19, 22]])


def test_trident_file_of_others_is_laid_on_a_grid(tmp_path, cells):
    features = _write_trident(tmp_path / "case-1.h5", cells)
    with pytest.raises(StoreError, match=r"(?s)pixel size of the slide is needed.*--slides"):
        import_store(tmp_path / "case-1.h5", tmp_path / "a.nic.zarr")
    store = import_store(tmp_path / "case-1.h5", tmp_path / "a.nic.zarr", hints=AT_40X)
    grid, header = store.grid, store.header
    assert (grid.patch_px, grid.stride_px, grid.patch_size) == (512, 384, 256)
    assert grid.pixel_size == AT_40X.pixel_size
    assert grid.shape == (8000 // 384, 9000 // 384)
    assert (header.slide_name, header.slide_shape) == ("case-1", (8000, 9000))
    assert (header.encoder_name, header.code_size) == ("conch_v1", 7)
    np.testing.assert_array_equal(np.argwhere(store.coverage), cells)
    np.testing.assert_array_equal(store.read()[tuple(cells.T)], features.astype(np.float16))


def test_hints_say_what_the_file_does_not(tmp_path, cells):
    _write_trident(tmp_path / "a.h5", cells)

    class Slide:
        name, fingerprint = "case-1", "sha256:1234"
        level_geometries = (LevelGeometry(8000, 9000),)
        pixel_size = PixelSize(0.2525, 0.2525, "aperio.MPP")

    encoder = {"name": "conch", "code_size": 7, "architecture": "vit"}
    hints = ImportHints.of_slide(Slide(), encoder=encoder)
    store = import_store(tmp_path / "a.h5", tmp_path / "a.nic.zarr", hints=hints)
    store.check_slide(Slide())
    assert store.grid.pixel_size == Slide.pixel_size
    assert store.header.encoder == encoder
    wrong = replace(hints, encoder=encoder | {"code_size": 8})
    with pytest.raises(StoreError, match=r"(?s)code size 8.*7"):
        import_store(tmp_path / "a.h5", tmp_path / "b.nic.zarr", hints=wrong)


def test_the_grid_starts_where_the_patches_do(tmp_path, cells):
    _write_trident(tmp_path / "a.h5", cells, offset=(100, 0))
    store = import_store(tmp_path / "a.h5", tmp_path / "a.nic.zarr", hints=AT_40X)
    assert store.grid.origin_px == (0, 100)
    np.testing.assert_array_equal(np.argwhere(store.coverage), cells)
    assert store.grid.patch_corner_px(2, 3) == (2 * 384, 100 + 3 * 384)
    assert store.grid.placement.origin_um == ((512 - 384) / 2 * 0.25, (100 + (512 - 384) / 2) * 0.25)


def test_patches_that_form_no_grid_are_refused(tmp_path, cells):
    features = _write_trident(tmp_path / "b.h5", np.vstack([cells, cells[:1]]))
    with pytest.raises(StoreError, match=r"(?s)share a place.*rows 0 and 4 at"):
        import_store(tmp_path / "b.h5", tmp_path / "b.nic.zarr", hints=AT_40X)
    with h5py.File(tmp_path / "b.h5", "r+") as h5:
        h5["features"][4] = features[0]
    assert import_store(tmp_path / "b.h5", tmp_path / "same.nic.zarr", hints=AT_40X).encoded().sum() == 4
    anywhere = np.unique(np.random.default_rng(1).integers(0, 2000, (80, 2)), axis=0)
    with h5py.File(tmp_path / "r.h5", "w") as h5:
        h5["features"] = np.random.default_rng(0).normal(0, 1, (len(anywhere), 4))
        h5["coords"] = anywhere
        h5["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 256})
    with pytest.raises(StoreError, match="form no grid"):
        import_store(tmp_path / "r.h5", tmp_path / "r.nic.zarr", hints=replace(AT_40X, slide_shape=None))
    _write_trident(tmp_path / "c.h5", cells - [4, 0])
    with pytest.raises(StoreError, match="outside"):
        import_store(tmp_path / "c.h5", tmp_path / "c.nic.zarr", hints=AT_40X)
    assert [path.name for path in tmp_path.glob("*.zarr")] == ["same.nic.zarr"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda h5: h5["coords"].attrs.__delitem__("patch_size"), "patch_size"),
        (lambda h5: h5.__delitem__("features"), "features"),
        (lambda h5: h5.move("features", "other"), "features"),
        (
            lambda h5: (h5.__delitem__("features"), h5.create_dataset("features", data=np.ones(3))),
            "one vector of the whole slide",
        ),
        (
            lambda h5: (h5.__delitem__("features"), h5.create_dataset("features", data=np.ones((2, 3)))),
            "do not fit together",
        ),
        (
            lambda h5: (h5.__delitem__("coords"), h5.create_dataset("coords", data=np.ones((4, 3)))),
            "patch_size",
        ),
        (lambda h5: h5.attrs.__setitem__("napari_nic", "{"), "damaged"),
    ],
)
def test_damaged_trident_file_is_said(tmp_path, cells, change, said):
    _write_trident(tmp_path / "a.h5", cells)
    with h5py.File(tmp_path / "a.h5", "r+") as h5:
        change(h5)
    with pytest.raises(StoreError, match=said):
        import_store(tmp_path / "a.h5", tmp_path / "a.nic.zarr", format="trident")


# -- CLAM and STAMP --------------------------------------------------------------------------------------


def test_clam_files(full_store, codes, coverage, tmp_path):
    file = export_store(full_store, tmp_path, "clam")[0]
    assert file == tmp_path / "h5_files" / "slide.h5"
    with h5py.File(file) as h5:
        attributes = dict(h5["coords"].attrs)
        assert (attributes["patch_size"], attributes["patch_level"]) == (8, 0)
        assert tuple(attributes["level_dim"]) == (605, 723)
        assert h5["features"].dtype == np.float32
    tensor = torch.load(export_store(full_store, tmp_path / "pt", "clam-pt")[0], weights_only=True)
    np.testing.assert_array_equal(tensor.numpy(), codes[coverage].astype(np.float32))


def test_clam_file_of_others_needs_the_pixel_size(full_store, tmp_path):
    file = export_store(full_store, tmp_path, "clam")[0]
    with h5py.File(file, "r+") as h5:
        del h5.attrs["napari_nic"]
    with pytest.raises(StoreError, match="pixel size"):
        import_store(file, tmp_path / "a.nic.zarr")
    store = import_store(file, tmp_path / "a.nic.zarr", hints=ImportHints(pixel_size=PixelSize(0.5, 0.5)))
    np.testing.assert_array_equal(np.argwhere(store.coverage), np.argwhere(full_store.coverage))


def test_stamp_file_is_in_micrometres(any_store, tmp_path):
    file = export_store(any_store, tmp_path, "stamp")[0]
    with h5py.File(file, "r+") as h5:
        assert h5.attrs["unit"] == "um"
        assert h5["feats"].dtype == np.float16
        placement, grid = any_store.grid.placement, any_store.grid
        inset = (grid.patch_px - grid.stride_px) / 2 * np.array(grid.downsample) * grid.pixel_size.mean
        row, col = np.argwhere(any_store.coverage)[-1]
        corner = np.array(placement.corner_um(row, col)) - inset
        np.testing.assert_allclose(h5["coords"][-1], corner[::-1])
        assert h5.attrs["tile_size_um"] == pytest.approx(grid.mpp * 8)
        del h5.attrs["napari_nic"]
        h5.attrs["unit"] = "px"
    with pytest.raises(StoreError, match="unit"):
        import_store(file, tmp_path / "a.nic.zarr")


def test_stamp_file_of_others(full_store, tmp_path):
    file = export_store(full_store, tmp_path, "stamp")[0]
    with h5py.File(file, "r+") as h5:
        del h5.attrs["napari_nic"]
    hints = ImportHints(pixel_size=full_store.grid.pixel_size)
    store = import_store(file, tmp_path / "a.nic.zarr", hints=hints)
    np.testing.assert_array_equal(np.argwhere(store.coverage), np.argwhere(full_store.coverage))
    assert store.grid.mpp == pytest.approx(0.5)
