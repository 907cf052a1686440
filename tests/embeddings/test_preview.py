"""The picture in a store, read as any OME-Zarr viewer would: from its metadata alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import InvalidParameterError


def _read_ngff(path):
    """Read an OME-NGFF 0.5 image by its specification: [(array, {axis: (scale, translation, unit)})]."""
    ome = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert ome["version"] == "0.5"
    image = ome["multiscales"][0]
    levels = []
    for dataset in image["datasets"]:
        array = zarr.open_array(path / dataset["path"], mode="r")
        assert array.metadata.dimension_names == tuple(axis["name"] for axis in image["axes"])
        scale, translation = dataset["coordinateTransformations"]
        assert (scale["type"], translation["type"]) == ("scale", "translation")
        frame = {
            axis["name"]: (scale["scale"][index], translation["translation"][index], axis.get("unit"))
            for index, axis in enumerate(image["axes"])
        }
        levels.append((array[:], frame))
    return levels


@pytest.fixture
def picture(store):
    rows, cols = store.grid.shape
    y, x = np.mgrid[:rows, :cols]
    return np.stack([y * 2, x * 3, np.full_like(x, 50)], axis=-1).astype(np.uint8)


def test_preview_is_found_through_its_metadata(store, picture):
    store.write_preview(picture)
    levels = _read_ngff(store.path)
    assert [array.shape for array, _ in levels] == [(3, 90, 75), (3, 45, 38)]
    np.testing.assert_array_equal(np.moveaxis(levels[0][0], 0, -1), picture)


def test_preview_lies_where_the_patches_are(store, picture):
    store.write_preview(picture)
    grid = store.grid
    for array, frame in _read_ngff(store.path):
        factor = 2 if array.shape[1] == 45 else 1
        for axis, pixel in (("y", grid.pixel_size.y), ("x", grid.pixel_size.x)):
            scale, translation, unit = frame[axis]
            assert unit == "micrometer"
            # Centre of element 7: of the cells factor * 7 and those averaged with it, in level-0 pixels,
            # where the centre of pixel 0 is 0.
            first = grid.patch_region(factor * 7, 0).y
            last = grid.patch_region(factor * 8 - 1, 0).bottom
            centre = (first + last - 1) / 2 * pixel
            assert translation + 7 * scale == pytest.approx(centre)
        assert frame["c"] == (1.0, 0.0, None)


def test_coarser_levels_are_means(store, picture):
    store.write_preview(picture)
    fine, coarse = (array.astype(float) for array, _ in _read_ngff(store.path))
    mean = fine[:, :90, :74].reshape(3, 45, 2, 37, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse[:, :, :37], mean, atol=0.5)


def test_preview_may_be_replaced_and_the_store_stays_itself(full_store, codes, picture):
    full_store.write_preview(picture)
    full_store.write_preview(picture[::-1].copy())
    np.testing.assert_array_equal(np.moveaxis(_read_ngff(full_store.path)[0][0], 0, -1), picture[::-1])
    again = CompressedSlide.open(full_store.path)
    assert again.status == "complete"
    np.testing.assert_array_equal(again.read(), codes)


def test_finishing_keeps_the_preview(store, codes, picture, toy):
    store.write_preview(picture)
    toy.fill(store, codes)
    store.finish()
    assert len(_read_ngff(store.path)) == 2


@pytest.mark.parametrize("bad", [np.zeros((3, 90, 75), np.uint8), np.zeros((90, 75, 3), np.float32)])
def test_wrong_pictures_are_refused(store, bad):
    with pytest.raises(InvalidParameterError, match="preview"):
        store.write_preview(bad)
