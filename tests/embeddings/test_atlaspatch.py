"""Features as AtlasPatch writes them: one file for all encoders of a slide."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import import_store
from napari_nic.embeddings.interchange import recognised_format
from napari_nic.errors import StoreError


def test_the_only_encoder_is_read(hdf5_writers, imported, expected, tmp_path):
    places, codes = hdf5_writers.islands(512), hdf5_writers.codes(83)
    file = hdf5_writers.atlaspatch(tmp_path / "patches" / "s.h5", places, {"uni_v2": codes})
    assert recognised_format(file) == "atlaspatch"
    found = imported(file)
    grid, header = found.store.grid, found.store.header
    assert found.codes == expected(places, codes)
    assert (grid.patch_px, grid.stride_px, grid.patch_size) == (512, 512, 256)
    assert (header.encoder_name, header.encoder["mpp"]) == ("uni_v2", 0.5)
    assert (header.slide_name, header.slide_shape) == ("s", (8000, 9000))


def test_one_of_several_is_named(hdf5_writers, imported, expected, tmp_path):
    places, codes = hdf5_writers.grid(3, 4, 512), hdf5_writers.codes(12)
    file = hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {"uni": codes, "conch": codes + 100})
    with pytest.raises(StoreError, match=r"(?s)several encoders.*one of conch, uni.*--features"):
        imported(file)
    with pytest.raises(StoreError, match=r"(?s)no features of that encoder.*one of conch, uni.*gigapath"):
        imported(file, features="gigapath")
    found = imported(file, features="conch")
    assert found.codes == expected(places, codes + 100)
    assert found.store.header.encoder_name == "conch"


def test_features_that_are_half_written_are_none(hdf5_writers, imported, tmp_path):
    places = hdf5_writers.grid(3, 4, 512)
    file = hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {"__tmp_uni": hdf5_writers.codes(5)})
    with pytest.raises(StoreError, match="half written"):
        imported(file)
    with pytest.raises(StoreError, match=r"(?s)places of patches, no features.*empty group"):
        imported(hdf5_writers.atlaspatch(file, places, {}))
    with h5py.File(file, "r+") as h5:
        del h5["features"]
    with pytest.raises(StoreError, match="places of 12 patches, no features"):
        imported(file)
    short = hdf5_writers.atlaspatch(file, places, {"uni": hdf5_writers.codes(5)})
    with pytest.raises(StoreError, match="5 features, 12 coordinates"):
        imported(short)


def test_no_patches_are_an_empty_slide(hdf5_writers, imported, tmp_path):
    none = np.zeros((0, 2), int)
    found = imported(hdf5_writers.atlaspatch(tmp_path / "s.h5", none, {"uni": np.zeros((0, 8), np.float32)}))
    assert found.codes == {}
    assert found.store.code_size == 8


def test_places_of_other_columns_are_refused(hdf5_writers, imported, tmp_path):
    file = hdf5_writers.atlaspatch(
        tmp_path / "s.h5", hdf5_writers.grid(2, 2, 512), {"uni": hdf5_writers.codes(4)}
    )
    with h5py.File(file, "r+") as h5:
        columns = h5["coords"][:, :4]
        del h5["coords"]
        h5["coords"] = columns
    with pytest.raises(StoreError, match=r"neither five columns nor two[\s\S]*\(4, 4\)"):
        imported(file)


@pytest.mark.parametrize("name", [b"uni", b"features", b"patch_size"])
def test_names_that_are_no_text_are_one_sentence(hdf5_writers, imported, tmp_path, name):
    places, codes = hdf5_writers.grid(2, 2, 512), hdf5_writers.codes(4)
    file = hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {"uni": codes})
    content = file.read_bytes()
    assert name in content
    file.write_bytes(content.replace(name, b"\xff" + name[1:]))
    with pytest.raises(StoreError):
        imported(file)


@pytest.mark.parametrize("overlap", [2.0**62, 256, -(2.0**62)])
def test_an_overlap_that_cannot_be_is_not_taken(hdf5_writers, imported, tmp_path, overlap):
    places, codes = hdf5_writers.grid(3, 3, 512), hdf5_writers.codes(9)
    file = hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {"uni": codes})
    with h5py.File(file, "r+") as h5:
        h5.attrs["overlap"] = overlap
    assert imported(file).store.grid.stride_px == 512


def test_no_other_file_is_read(hdf5_writers, imported, tmp_path):
    codes, places = hdf5_writers.codes(4), hdf5_writers.grid(2, 2, 512)
    other = hdf5_writers.atlaspatch(tmp_path / "o.h5", places, {"uni": codes})
    file = hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {})
    for name, target in (("features", "features"), ("features/uni", "features/uni")):
        with h5py.File(file, "r+") as h5:
            if name in h5 or name == "features":
                del h5[name]
            h5[name] = h5py.ExternalLink(str(other), target)
        with pytest.raises(StoreError, match="leads elsewhere"):
            import_store(file, tmp_path / "x.nic.zarr", format="atlaspatch")
        hdf5_writers.atlaspatch(file, places, {})


def test_rows_in_any_order_give_the_same_store(hdf5_writers, imported, tmp_path):
    places, codes = hdf5_writers.islands(512), hdf5_writers.codes(83)
    order = np.random.default_rng(0).permutation(83)
    first = imported(hdf5_writers.atlaspatch(tmp_path / "s.h5", places, {"uni": codes}))
    second = imported(hdf5_writers.atlaspatch(tmp_path / "s.h5", places[order], {"uni": codes[order]}))
    assert first.codes == second.codes
    np.testing.assert_array_equal(first.store.read(), second.store.read())
