"""Features as CLAM writes them: no attribute, the rest in a file of patches in another folder."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange import origin_of, recognised_format
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.geometry import PixelSize

SLIDE = "TCGA-AA-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"


@pytest.fixture
def pair(hdf5_writers, tmp_path):
    """(features, patches) in the two folders of a run."""
    places = hdf5_writers.islands()
    features = hdf5_writers.clam_features(tmp_path / "FEAT" / "h5_files" / f"{SLIDE}.h5", places)
    return features, hdf5_writers.clam_patches(tmp_path / "RESULTS" / "patches" / f"{SLIDE}.h5", places)


@pytest.mark.parametrize("folder", ["R/feat/h5_files", "R/h5_files"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_the_file_of_patches_beside_it_is_read(hdf5_writers, imported, expected, tmp_path, folder, dtype):
    places = hdf5_writers.islands()
    features = hdf5_writers.clam_features(tmp_path / folder / f"{SLIDE}.h5", places, dtype=dtype)
    patches = hdf5_writers.clam_patches(tmp_path / "R/patches" / f"{SLIDE}.h5", places)
    found = imported(features)
    assert found.codes == expected(places, hdf5_writers.codes(len(places)))
    header, grid = found.store.header, found.store.grid
    assert (grid.patch_px, grid.stride_px, grid.patch_size) == (256, 256, 256)
    assert (header.slide_name, header.slide_shape) == (SLIDE, (5000, 6000))
    assert len(found.told) == 1
    assert "lie off the grid" in found.told[0]
    assert len(origin_of(features)["files"]) == 2
    patches.unlink()
    assert len(origin_of(features)["files"]) == 1


def test_the_file_of_patches_elsewhere_is_named(hdf5_writers, imported, expected, pair):
    features, patches = pair
    places = hdf5_writers.islands()
    without = imported(features)
    assert without.codes == expected(places, hdf5_writers.codes(len(places)))
    assert "does not state the side" in without.told[0]
    for named in (patches, patches.parent, patches.parent.parent):
        assert imported(features, coords=named).store.header.slide_shape == (5000, 6000)
    with pytest.raises(StoreError, match="no places of these features in the folder"):
        imported(features, coords=features.parent.parent)


def test_overlap_is_seen_with_the_file_of_patches_alone(hdf5_writers, imported, tmp_path):
    """Steps of 128 px: without it, patches would be thought to be 128 px wide."""
    places = hdf5_writers.grid(6, 6, 128, 17, 33)
    features = hdf5_writers.clam_features(tmp_path / "R/h5_files/s.h5", places)
    hdf5_writers.clam_patches(tmp_path / "R/patches/s.h5", places)
    grid = imported(features).store.grid
    assert (grid.patch_px, grid.stride_px, grid.origin_px) == (256, 128, (33, 17))


def test_a_coarser_level_tells_no_size_of_the_slide(hdf5_writers, imported, tmp_path):
    """256 px of level 1 are 1,024 of level 0: the scale is truncated, as the patches are cut."""
    places = hdf5_writers.grid(4, 4, 1024, 40, 8)
    features = hdf5_writers.clam_features(tmp_path / "R/h5_files/s.h5", places)
    hdf5_writers.clam_patches(
        tmp_path / "R/patches/s.h5", places, level=1, downsample=4.00037, level_dim=(1500, 1250)
    )
    found = imported(features, slide_shape=(5001, 6003))
    assert (found.store.grid.patch_px, found.store.grid.patch_size) == (1024, 256)
    assert found.store.header.slide_shape == (5001, 6003)


def test_patches_of_another_slide_or_run_are_refused(hdf5_writers, imported, pair):
    features, patches = pair
    with pytest.raises(StoreMismatchError, match="of another slide"):
        imported(features, coords=patches, slide_name="s", slide_shape=(5000, 6001))
    hdf5_writers.clam_patches(patches, hdf5_writers.islands() + 1)
    with pytest.raises(StoreError, match=r"(?s)two runs.*83 places.*--coords"):
        imported(features, coords=patches)


def test_an_interrupted_extraction_is_said(hdf5_writers, imported, pair):
    features, patches = pair
    places = hdf5_writers.islands()
    hdf5_writers.clam_features(features, places[:64])
    with pytest.raises(StoreError, match=r"(?s)interrupted.*83 features.*64.*extract the features"):
        imported(features, coords=patches)
    hdf5_writers.clam_features(features, places[:64], hdf5_writers.codes(50))
    with pytest.raises(StoreError, match=r"(?s)do not fit together.*50 features, 64 coordinates"):
        imported(features)


def test_rows_in_any_order_give_the_same_store(hdf5_writers, imported, tmp_path):
    places = hdf5_writers.islands()
    order = np.random.default_rng(3).permutation(len(places))
    file = tmp_path / "R/h5_files/s.h5"
    hdf5_writers.clam_patches(tmp_path / "R/patches/s.h5", places)
    first = imported(hdf5_writers.clam_features(file, places))
    hdf5_writers.clam_features(file, places[order], hdf5_writers.codes(len(places))[order])
    second = imported(file)
    assert first.codes == second.codes
    np.testing.assert_array_equal(first.store.read(), second.store.read())
    assert first.store.grid == second.store.grid


def test_tensors_take_the_places_of_the_files_beside_them(hdf5_writers, imported, expected, tmp_path):
    import torch

    places = hdf5_writers.islands()
    codes = hdf5_writers.codes(len(places))
    file = hdf5_writers.tensor(tmp_path / "R/pt_files/s.pt", torch.from_numpy(codes))
    assert recognised_format(file) == "clam-pt"
    with pytest.raises(StoreError, match=r"(?s)without the places.*83 rows of 8 numbers.*--coords"):
        imported(file)
    hdf5_writers.clam_patches(tmp_path / "R/patches/s.h5", places)
    assert imported(file).codes == expected(places, codes)
    hdf5_writers.clam_features(tmp_path / "R/h5_files/s.h5", places, np.zeros_like(codes))
    found = imported(file)
    assert found.codes == expected(places, codes)
    assert found.store.grid.patch_size == 256
    assert len(found.store.header.origin["files"]) == 3
    other = hdf5_writers.clam_patches(tmp_path / "elsewhere.h5", places)
    assert imported(file, coords=other).codes == expected(places, codes)
    hdf5_writers.tensor(file, torch.from_numpy(codes[:20]).bfloat16())
    with pytest.raises(StoreError, match="20 features, 83 coordinates"):
        imported(file)


def test_tensors_of_others_are_said(hdf5_writers, imported, tmp_path):
    import torch

    for value, said in (
        (torch.ones(8), "one vector of the whole slide"),
        ({"features": torch.ones(2, 8)}, "weights of a network: features"),
        (torch.ones(2, 3, 4), r"no table.*\n.*\(2, 3, 4\)"),
        (torch.ones(1, 8).expand(10**9, 8), "not stored in full"),
        (hdf5_writers.codes(4), r"(?s)pickled NumPy.*TRIDENT.*\.h5"),
        (print, "may hold a program"),
    ):
        file = hdf5_writers.tensor(tmp_path / "s.pt", value)
        with pytest.raises(StoreError, match=said):
            imported(file)
    packed = tmp_path / "s.pt"
    whole = hdf5_writers.tensor(tmp_path / "whole.pt", torch.ones(4, 8))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(StoreError, match="packed"):
        imported(packed)
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("net/constants.pkl", b"")
    with pytest.raises(StoreError, match="TorchScript"):
        imported(packed)
    (tmp_path / "s.pt").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(StoreError, match="not a readable tensor"):
        imported(tmp_path / "s.pt")


@pytest.mark.parametrize("custom", [1, 2])
def test_old_files_hold_places_on_the_level_of_their_pictures(hdf5_writers, imported, tmp_path, custom):
    unit = 4 * custom
    places = hdf5_writers.grid(5, 4, 4 * unit, 3 * unit, 2 * unit)
    features = hdf5_writers.clam_features(tmp_path / "R/h5_files/s.h5", places // unit)
    hdf5_writers.clam_pictures(tmp_path / "R/patches/s.h5", places, custom=custom)
    found = imported(features)
    assert set(found.codes) == {tuple(place) for place in places.tolist()}
    assert found.store.grid.downsample == (unit, unit)
    assert found.store.grid.patch_px == 4


def test_old_places_without_their_file_are_told_of(hdf5_writers, imported, tmp_path):
    file = tmp_path / "s.h5"
    with h5py.File(file, "w") as h5:
        h5["features"] = hdf5_writers.codes(9)
        h5.create_dataset("coords", data=hdf5_writers.grid(3, 3, 64).astype(np.int32), chunks=(1, 2))
    assert "before 2021" in imported(file).told[0]


def test_what_holds_no_features_is_named(hdf5_writers, imported, tmp_path):
    places = hdf5_writers.islands()
    for file, said in (
        (hdf5_writers.clam_patches(tmp_path / "a.h5", places), "places of 83 patches, no features"),
        (hdf5_writers.clam_pictures(tmp_path / "b.h5", places), "places and pictures of 83 patches"),
        (hdf5_writers.clam_block_map(tmp_path / "c.h5", places), "attention scores"),
    ):
        with pytest.raises(StoreError, match=said):
            imported(file)
        with pytest.raises(StoreError, match=said):
            import_store(file, tmp_path / "x.nic.zarr", format="clam")


def test_other_names_are_listed(hdf5_writers, imported, tmp_path):
    file = tmp_path / "x.h5"
    with h5py.File(file, "w") as h5:
        h5["patch_features"] = hdf5_writers.codes(9)
        h5["locations"] = hdf5_writers.grid(3, 3, 64)
    with pytest.raises(StoreError, match=r"(?s)locations \(9, 2\) int64, patch_features \(9, 8\) float32"):
        imported(file)
    with h5py.File(file, "w") as h5:
        h5["features"] = hdf5_writers.codes(9)
    with pytest.raises(StoreError, match="features without the places"):
        imported(file)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 9), r"on their side[\s\S]*\(9, C\)[\s\S]*\(8, 9\)"),
        ((8,), "one vector of the whole slide"),
        ((1, 8), "one vector of the whole slide"),
        ((2, 9, 8), "no matrix"),
        ((9, 8, 2), "no matrix"),
    ],
)
def test_features_of_another_shape_are_said(hdf5_writers, imported, tmp_path, shape, said):
    file = hdf5_writers.clam_features(
        tmp_path / "s.h5", hdf5_writers.grid(3, 3, 64), np.ones(shape, np.float32)
    )
    with pytest.raises(StoreError, match=said):
        imported(file)


@pytest.mark.parametrize("said", [{"target_magnification": 20}, {"patch_level": 1}])
def test_a_side_whose_scale_is_not_stated_is_not_taken(hdf5_writers, imported, tmp_path, said):
    file = hdf5_writers.clam_features(tmp_path / "s.h5", hdf5_writers.grid(3, 3, 512))
    with h5py.File(file, "r+") as h5:
        h5["coords"].attrs.update({"patch_size": 256, **said})
    found = imported(file)
    assert (found.store.grid.patch_px, found.store.grid.patch_size) == (512, 256)
    assert "does not state the side" in found.told[0]


def test_a_batch_of_one_slide_is_its_patches(hdf5_writers, imported, expected, tmp_path):
    places = hdf5_writers.grid(4, 5, 512)
    found = imported(hdf5_writers.gigapath(tmp_path / "s.h5", places), 0.25)
    assert found.codes == expected(places, hdf5_writers.codes(20))


@pytest.mark.parametrize(
    "changes",
    [
        {"patch_size": 0},
        {"patch_size": "much"},
        {"downsample": np.array([np.nan, 1.0])},
        {"downsample": np.array([0.2, 0.2])},
        {"downsample": np.zeros(3)},
        {"level_dim": np.array([0, 5])},
        {"level_dim": np.array([6000, 5000, 3])},
        {"custom_downsample": "x"},
        {"patch_level": np.inf},
    ],
)
def test_hostile_files_of_patches_are_one_sentence(hdf5_writers, imported, pair, changes):
    features, patches = pair
    hdf5_writers.clam_patches(patches, hdf5_writers.islands(), **changes)
    with pytest.raises(StoreError):
        imported(features, coords=patches)


def test_patches_that_were_made_smaller_are_as_wide_as_before(hdf5_writers, imported, tmp_path):
    """`custom_downsample`: 512 px were read and made 256."""
    places = hdf5_writers.grid(3, 3, 512)
    features = hdf5_writers.clam_features(tmp_path / "s.h5", places)
    with h5py.File(features, "r+") as h5:
        h5["coords"].attrs.update({"patch_size": 256, "patch_level": 0, "custom_downsample": 2})
        h5["features"].attrs["encoder"] = "uni_v1"
    found = imported(features)
    assert (found.store.grid.patch_px, found.store.grid.patch_size) == (512, 256)
    assert found.store.header.encoder_name == "uni_v1"


@pytest.mark.parametrize("part", [2, 3])
def test_a_checkerboard_is_a_grid_of_which_not_every_cell_is_taken(
    hdf5_writers, imported, expected, tmp_path, part
):
    """Every second patch, or third along a diagonal: neighbours lie a multiple of the step apart."""
    places = np.array([(c, r) for c in range(12) for r in range(12) if (r + c) % part == 0]) * 256 + (96, 32)
    found = imported(hdf5_writers.clam_features(tmp_path / "h5_files" / f"{SLIDE}.h5", places))
    assert found.codes == expected(places, hdf5_writers.codes(len(places)))
    assert (found.store.grid.stride_px, found.store.grid.patch_px) == (256, 256)
    assert not found.store.offsets(np.argwhere(found.store.encoded())).any()
    assert found.told == (
        "the file does not state the side of its patches: 256 px, their distance, is taken",
    )


def test_patches_at_random_places_are_no_denser_grid(hdf5_writers, tmp_path):
    places = np.unique(np.random.default_rng(0).integers(0, 40, (300, 2)) * 64, axis=0)
    file = hdf5_writers.clam_features(
        tmp_path / "s.h5", places[::2] + np.arange(len(places[::2]))[:, None] % 3
    )
    hints = ImportHints(pixel_size=PixelSize(0.5, 0.5, "given"))
    with pytest.raises(StoreError, match=r"form no grid|tell how far they lie apart|another distance"):
        import_store(file, tmp_path / "s.nic.zarr", hints=hints)
