"""Features as STAMP's versions write them: places that come near to pixels, and are found exactly."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.embeddings.interchange import origin_of
from napari_nic.embeddings.interchange.stamp_tiles import place_tiles
from napari_nic.errors import StoreError


def cells(rows: int, cols: int, col: int = 1, row: int = 0) -> np.ndarray:
    """(column, row) of tiles, row by row."""
    return np.array([(col + c, row + r) for r in range(rows) for c in range(cols)])


@pytest.mark.parametrize("version", ["2.0.0", "2.1.0", "2.2.0", "2.5.0"])
@pytest.mark.parametrize("mpp", [0.2431, 0.25, 0.499, 0.5025, 1.0])
def test_tiles_lie_to_the_pixel_where_they_were_cut(hdf5_writers, imported, expected, tmp_path, version, mpp):
    file, places = hdf5_writers.stamp(tmp_path / "s.h5", cells(7, 9), mpp, version=version)
    found = imported(file, mpp)
    side, _ = hdf5_writers.stamp_geometry(mpp)
    with h5py.File(file) as h5:
        assert found.codes == expected(places, h5["feats"][()])
    grid = found.store.grid
    assert (grid.patch_px, grid.stride_px, grid.patch_size) == (side, side, 224)
    assert found.store.header.encoder["mpp"] == pytest.approx(256 / 224)
    assert found.store.header.encoder_name == ("tiny16-d249c29a" if version == "2.0.0" else "tiny16")
    assert [("224" in text) for text in found.told] == ([True] if version == "2.0.0" else [])


@settings(max_examples=200, deadline=None)
@given(
    mpp=st.one_of(st.sampled_from([0.125, 0.25, 0.5, 1.0]), st.floats(0.1, 1.2)),
    tile_um=st.one_of(st.sampled_from([14.0, 112.0, 128.0, 256.0, 512.0]), st.floats(5, 600)),
    noise=st.floats(-1e-9, 1e-9),
)
def test_every_tile_of_every_size_is_found(hdf5_writers, mpp, tile_um, noise):
    side, count = hdf5_writers.stamp_geometry(mpp, tile_um)
    wanted = np.random.default_rng(0).integers(0, 400 * count, (60, 2))
    supertile, within = np.divmod(wanted, count)
    um = (supertile * count * side * mpp + within * tile_um).astype(np.float32).astype(float)
    found = place_tiles(um, tile_um, mpp * (1 + noise), "s.h5")
    np.testing.assert_array_equal(found.corners, wanted * side)
    assert found.side == side


@pytest.mark.parametrize(("made", "given"), [(0.2431, 0.25), (0.499, 0.5), (0.5025, 0.5), (0.25, 0.2525)])
def test_another_pixel_size_than_the_tiles_were_cut_by_is_refused(
    hdf5_writers, imported, tmp_path, made, given
):
    file, _ = hdf5_writers.stamp(tmp_path / "s.h5", cells(5, 6), made)
    with pytest.raises(StoreError, match=rf"(?s)do not lie where STAMP.*256 um at {given:g} um/px.*--mpp"):
        imported(file, given)


def test_micrometres_need_the_slide(hdf5_writers, imported, tmp_path):
    for file in (
        hdf5_writers.stamp(tmp_path / "s.h5", cells(2, 2), 0.5)[0],
        hdf5_writers.stamp_1(tmp_path / "old" / "s.h5", cells(2, 2)),
    ):
        with pytest.raises(StoreError, match=r"pixel size of the slide is needed[\s\S]*--slides"):
            imported(file, None)


def test_a_single_tile_is_no_vector_of_a_slide(hdf5_writers, imported, tmp_path):
    file, places = hdf5_writers.stamp(tmp_path / "s.h5", cells(1, 1, 3, 2), 0.5)
    assert set(imported(file, 0.5).codes) == {tuple(place) for place in places.tolist()}


@pytest.mark.parametrize("shape", [(8,), (1, 8)])
@pytest.mark.parametrize(("kind", "said"), [("slide", "the whole slide"), ("patient", "a whole patient")])
def test_vectors_of_slides_and_patients_are_named(hdf5_writers, imported, tmp_path, shape, kind, said):
    file = hdf5_writers.stamp_whole(tmp_path / "titan-slide" / "s.h5", kind, shape)
    with pytest.raises(StoreError, match=f"one vector of {said}"):
        imported(file, 0.5)
    with h5py.File(file, "r+") as h5:
        h5["coords"] = np.zeros((1, 2), np.float32)
    with pytest.raises(StoreError, match=f"one vector of {said}"):
        imported(file, 0.5)


def test_tiles_without_places_are_named(hdf5_writers, imported, tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as h5:
        h5["feats"] = hdf5_writers.codes(9)
        h5.attrs["feat_type"] = "tile"
    with pytest.raises(StoreError, match="features without the places"):
        imported(tmp_path / "s.h5", 0.5)
    with h5py.File(tmp_path / "k.h5", "w") as h5:
        h5["patch_embeddings"] = hdf5_writers.codes(9)
    with pytest.raises(StoreError, match=r"(?s)no features.*patch_embeddings \(9, 8\)"):
        imported(tmp_path / "k.h5", 0.5)


def test_another_unit_is_refused(hdf5_writers, imported, tmp_path):
    file, _ = hdf5_writers.stamp(tmp_path / "s.h5", cells(2, 2), 0.5)
    with h5py.File(file, "r+") as h5:
        h5.attrs["unit"] = "px"
    with pytest.raises(StoreError, match="unknown unit"):
        imported(file, 0.5)


def test_pixels_of_a_picture_of_the_slide(hdf5_writers, imported, expected, tmp_path):
    """Version 1: 224 px of 256/224 um are 1,053 level-0 pixels and a bit."""
    file = hdf5_writers.stamp_1(tmp_path / "s.h5", cells(5, 6))
    found = imported(file, 0.2431, slide_shape=(7000, 9000))
    places = np.rint(cells(5, 6) * 256 / 0.2431).astype(int)
    assert found.codes == expected(places, hdf5_writers.codes(30))
    grid = found.store.grid
    assert (grid.patch_px, grid.stride_px, grid.patch_size) == (224, 224, 224)
    assert grid.downsample[0] == pytest.approx(256 / 224 / 0.2431)
    assert grid.mpp == pytest.approx(256 / 224)
    assert sorted(origin_of(file)["files"]) == ["info.json", "s.h5"]
    assert found.told == ()


def test_the_description_beside_it_decides(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.stamp_1(tmp_path / "s.h5", cells(4, 4, 0), info={"microns": 112, "patch_size": 224})
    assert imported(file, 0.25).store.grid.mpp == pytest.approx(0.5)
    hdf5_writers.stamp_1(file, cells(4, 4, 0), info={})
    (tmp_path / "info.json").unlink()
    found = imported(file, 0.25)
    assert found.store.grid.mpp == pytest.approx(256 / 224)
    assert "no info.json" in found.told[0]
    for text in ("[]", "{", '{"microns": "x", "patch_size": 224}', '{"microns": 1e9, "patch_size": 1}'):
        (tmp_path / "info.json").write_text(text)
        with pytest.raises(StoreError):
            imported(file, 0.25)


def test_augmented_tiles_are_left_out(hdf5_writers, imported, expected, tmp_path):
    plain = imported(hdf5_writers.stamp_1(tmp_path / "a" / "s.h5", cells(4, 5)))
    file = hdf5_writers.stamp_1(tmp_path / "b" / "s.h5", cells(4, 5), augmented=3)
    assert imported(file).codes == plain.codes
    for augmented in (np.zeros(3, bool), np.zeros(80)):
        with h5py.File(file, "r+") as h5:
            del h5["augmented"]
            h5["augmented"] = augmented
        with pytest.raises(StoreError, match="'augmented' does not fit"):
            imported(file)


def test_places_between_the_tiles_of_version_1_are_refused(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.stamp_1(tmp_path / "s.h5", cells(4, 5))
    with h5py.File(file, "r+") as h5:
        h5["coords"][3] += 7
    with pytest.raises(StoreError, match="multiples of 224 px"):
        imported(file)


@pytest.mark.parametrize(
    "changes",
    [
        {"tile_size_um": np.nan},
        {"tile_size_um": -1.0},
        {"tile_size_um": 1e9},
        {"tile_size_px": 0},
        {"tile_size_px": "x"},
    ],
)
def test_hostile_attributes_are_one_sentence(hdf5_writers, imported, tmp_path, changes):
    file, _ = hdf5_writers.stamp(tmp_path / "s.h5", cells(2, 2), 0.5)
    with h5py.File(file, "r+") as h5:
        h5.attrs.update(changes)
    with pytest.raises(StoreError):
        imported(file, 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, -300.0])
def test_hostile_places_are_one_sentence(hdf5_writers, imported, tmp_path, value):
    file, _ = hdf5_writers.stamp(tmp_path / "s.h5", cells(2, 2), 0.5)
    with h5py.File(file, "r+") as h5:
        h5["coords"][0] = value
    with pytest.raises(StoreError):
        imported(file, 0.5, slide_shape=(5000, 6000))
