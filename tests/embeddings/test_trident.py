"""Features as TRIDENT's versions write them: attributes of many kinds, of which the places are right."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.geometry import PixelSize
from napari_nic.telling import telling


@pytest.mark.parametrize("version", [(0, 0, 1), (0, 1, 0), (0, 2, 2), (0, 2, 4), (0, 3, 1)])
def test_attributes_of_every_version_are_read(hdf5_writers, imported, expected, tmp_path, version):
    places = hdf5_writers.grid(5, 6, 512)
    file = hdf5_writers.trident(tmp_path / "features_uni_v1" / "s.h5", places, version=version)
    found = imported(file)
    grid, header = found.store.grid, found.store.header
    assert found.codes == expected(places, hdf5_writers.codes(30))
    assert (grid.patch_px, grid.stride_px, grid.patch_size, grid.mpp) == (512, 512, 256, 0.5)
    assert header.slide_shape == ((8000, 9000) if version >= (0, 2, 2) else (5 * 512, 6 * 512))
    assert (header.encoder_name, header.encoder["mpp"]) == ("uni_v1", 0.5)
    assert found.told == ()


@pytest.mark.parametrize("encoder", [None, "None", ""])
def test_an_encoder_that_is_not_stated_is_named_by_the_folder(hdf5_writers, imported, tmp_path, encoder):
    places = hdf5_writers.grid(2, 2, 512)
    folder = "20.0x_256px_0px_overlap/features_conch_v1_5"
    found = imported(hdf5_writers.trident(tmp_path / folder / "s.h5", places, encoder=encoder))
    assert found.store.header.encoder_name == "conch_v1_5"
    loose = imported(hdf5_writers.trident(tmp_path / "s.h5", places, encoder=encoder))
    assert loose.store.header.encoder_name == "unknown"


def test_attributes_may_be_arrays_of_one(hdf5_writers, imported, expected, tmp_path):
    places = hdf5_writers.grid(3, 3, 512)
    whole = hdf5_writers.trident_attributes()
    arrays = {name: np.array([value]) for name, value in whole.items() if name not in ("name", "savetodir")}
    found = imported(hdf5_writers.trident(tmp_path / "s.h5", places, **arrays, name=np.bytes_(b"t")))
    assert found.codes == expected(places, hdf5_writers.codes(9))
    assert found.store.header.slide_name == "t"


@pytest.mark.parametrize("old", [False, True])
def test_overlap_by_the_old_rule_and_the_new_one(hdf5_writers, imported, expected, tmp_path, old):
    places = hdf5_writers.trident_overlapping(7, 8, 512, 128, old=old)
    version = (0, 1, 0) if old else (0, 3, 1)
    found = imported(hdf5_writers.trident(tmp_path / "s.h5", places, version=version, overlap=64))
    assert found.codes == expected(places, hdf5_writers.codes(56))
    assert (found.store.grid.patch_px, found.store.grid.stride_px) == (512, 384)


def test_sides_that_are_stated_rounded_down_are_what_was_cut(hdf5_writers, imported, expected, tmp_path):
    """256 px at 15x of 40x: 682 are stated, 683 cut; alone it is a patch of 683 too."""
    stated = {"patch_size_level0": 682.0, "target_magnification": 15.0}
    for places in (hdf5_writers.grid(5, 5, 683), hdf5_writers.grid(1, 1, 1, 683, 1366)):
        found = imported(hdf5_writers.trident(tmp_path / "s.h5", places, **stated))
        assert found.codes == expected(places, hdf5_writers.codes(len(places)))
        assert (found.store.grid.patch_px, found.store.grid.stride_px) == (683, 683)


def test_the_magnification_of_the_slide_is_no_pixel_size(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.trident(tmp_path / "s.h5", hdf5_writers.grid(2, 2, 512))
    with pytest.raises(StoreError, match="pixel size of the slide is needed"):
        imported(file, None)
    assert imported(file, 0.2431).store.grid.mpp == pytest.approx(0.4862)


def test_half_precision_is_kept_as_it_is(hdf5_writers, imported, expected, tmp_path):
    places, codes = hdf5_writers.grid(4, 4, 512), hdf5_writers.codes(16, np.float16)
    assert imported(hdf5_writers.trident(tmp_path / "s.h5", places, codes)).codes == expected(places, codes)


@pytest.mark.parametrize(("shape", "size"), [((0, 8), 8), ((0,), 1)])
def test_a_slide_without_patches_is_empty(hdf5_writers, imported, tmp_path, shape, size):
    file = hdf5_writers.trident(tmp_path / "s.h5", np.zeros((0, 2), np.int64), np.zeros(shape, np.float32))
    found = imported(file)
    assert found.codes == {}
    assert found.store.is_complete
    assert found.store.code_size == size
    assert "no patches" in found.told[0]
    encoder = {"name": "uni", "code_size": 8}
    assert imported(file, encoder=encoder).store.code_size == 8


def test_features_of_a_slide_are_named(hdf5_writers, imported, tmp_path):
    places = hdf5_writers.grid(5, 5, 512)
    for features in (np.ones(8, np.float32), np.ones((1, 8), np.float32)):
        file = hdf5_writers.trident(tmp_path / "slide_features_titan" / "s.h5", places, features)
        with pytest.raises(StoreError, match="one vector of the whole slide"):
            imported(file)
    with h5py.File(tmp_path / "pooled.h5", "w") as file:
        file["features"] = np.ones(8, np.float32)
    with pytest.raises(StoreError, match="one vector of the whole slide"):
        imported(tmp_path / "pooled.h5")
    one = hdf5_writers.trident(tmp_path / "s.h5", places[:1], np.ones((1, 8), np.float32))
    assert len(imported(one).codes) == 1


def test_places_alone_are_named(hdf5_writers, imported, tmp_path):
    file = tmp_path / "patches" / "s_patches.h5"
    file.parent.mkdir()
    with h5py.File(file, "w") as h5:
        h5["coords"] = hdf5_writers.grid(3, 3, 512)
        h5["coords"].attrs.update(hdf5_writers.trident_attributes())
    with pytest.raises(StoreError, match=r"(?s)places of 9 patches, no features.*--coords"):
        imported(file)
    with pytest.raises(StoreError, match="places of 9 patches"):
        import_store(file, tmp_path / "x.nic.zarr", format="trident")


def test_a_lock_beside_it_is_told(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.trident(tmp_path / "s.h5", hdf5_writers.grid(3, 3, 512))
    file.with_name("s.h5.lock").touch()
    assert "may still be written" in imported(file).told[0]


def test_rows_in_any_order_give_the_same_store(hdf5_writers, imported, tmp_path):
    """Column by column up to 0.2.4, row by row since."""
    places = hdf5_writers.trident_overlapping(6, 6, 512, 128, old=True)
    order = np.lexsort((places[:, 0], places[:, 1]))
    first = imported(hdf5_writers.trident(tmp_path / "a.h5", places))
    second = imported(hdf5_writers.trident(tmp_path / "a.h5", places[order], hdf5_writers.codes(36)[order]))
    assert first.codes == second.codes
    np.testing.assert_array_equal(first.store.read(), second.store.read())


def test_the_size_that_it_states_tells_slides_apart(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.trident(tmp_path / "s.h5", hdf5_writers.grid(3, 3, 512))
    assert imported(file, slide_name="s", slide_shape=(8000, 9000)).store.header.slide_name == "s"
    with pytest.raises(StoreMismatchError, match=r"(?s)another slide.*9,001.*9,000"):
        imported(file, slide_name="s", slide_shape=(8000, 9001))


def test_pixels_that_are_not_square_keep_places(hdf5_writers, tmp_path):
    from napari_nic.embeddings import ImportHints
    from napari_nic.embeddings.interchange import CodeTable

    places = hdf5_writers.grid(3, 4, 512)
    file = hdf5_writers.trident(tmp_path / "s.h5", places)
    hints = ImportHints(pixel_size=PixelSize(0.25, 0.26, "given"))
    table = CodeTable.of(import_store(file, tmp_path / "s.nic.zarr", hints=hints))
    assert {tuple(place) for place in table.coords_xy} == {tuple(place) for place in places}


def test_how_long_features_of_no_patch_would_be_is_told_by_those_beside_it(hdf5_writers, imported, tmp_path):
    empty = hdf5_writers.trident(tmp_path / "features_uni_v1" / "s.h5", np.zeros((0, 2), int))
    with h5py.File(empty, "a") as file:
        del file["features"]
        file["features"] = np.zeros(0, np.float32)
    alone = imported(empty)
    assert alone.store.code_size == 1
    assert "how long its features would be is not said" in alone.told[-1]
    hdf5_writers.trident(empty.with_name("t.h5"), hdf5_writers.grid(2, 2, 512))
    beside = imported(empty)
    assert (beside.store.code_size, beside.store.encoded().sum()) == (8, 0)
    assert beside.told == ("it holds no patches: the slide counts as empty",)


def test_a_given_pixel_size_that_the_file_contradicts_is_refused(hdf5_writers, imported, tmp_path):
    """One --mpp for a cohort of 20x and 40x: half of it would be shown at twice its size."""
    file = hdf5_writers.trident(tmp_path / "s.h5", hdf5_writers.grid(2, 2, 512))
    with pytest.raises(StoreMismatchError, match="is not that of the file") as refused:
        imported(file, 0.5)
    assert "about 0.25 um/px" in str(refused.value)
    assert imported(file, 0.16).store.grid.mpp == pytest.approx(0.32)


def test_a_slide_that_the_file_contradicts_is_told(hdf5_writers, tmp_path):
    file = hdf5_writers.trident(tmp_path / "s.h5", hdf5_writers.grid(2, 2, 512))
    of_slide = ImportHints(pixel_size=PixelSize(0.5, 0.5, "aperio.MPP"))
    told = []
    with telling(told.append):
        import_store(file, tmp_path / "s.nic.zarr", hints=of_slide).close()
    (notices,) = told
    assert any(
        "its slide has 0.5 um/px, but the file says about 0.25 um/px" in text for text in notices.texts
    )
