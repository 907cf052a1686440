"""OME-Zarr of both versions; axes, units, missing chunks."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import zarr

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_both_versions(tmp_path, small_image, make_ome_zarr, version):
    path = make_ome_zarr(tmp_path / "picture.ome.zarr", small_image, version=version)
    with open_slide(path) as slide:
        assert slide.reader == "omezarr"
        assert slide.properties["ome-zarr.version"] == version
        assert slide.require_pixel_size().source == "OME-Zarr scale"
        assert [level.downsample_x for level in slide.levels] == [1, 2]
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_without_a_unit_there_is_no_pixel_size(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "picture.zarr", small_image, unit=None)
    with open_slide(path) as slide:
        assert slide.pixel_size is None


@pytest.mark.parametrize(("unit", "mpp"), [("nanometer", 0.0005), ("millimeter", 500.0)])
def test_units_are_converted(tmp_path, small_image, make_ome_zarr, unit, mpp):
    path = make_ome_zarr(tmp_path / "picture.zarr", small_image, unit=unit)
    with open_slide(path) as slide:
        assert slide.pixel_size is None  # absurd in these units, and the note says the value
        assert f"{mpp:g} x {mpp:g} um/px" in slide.pixel_size_note


def test_missing_chunks_are_background(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "sparse.zarr", small_image, chunk=200)
    shutil.rmtree(path / "0" / "c" / "0" / "1")  # rows 200 to 400
    with open_slide(path) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    assert (pixels[200:400] == 255).all()
    np.testing.assert_array_equal(pixels[:200], small_image[:200])


def test_a_damaged_chunk_is_named(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "damaged.zarr", small_image)
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"nothing of use")
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match=r"chunk \(0, 0\) of level 0"):
        slide.read_tile(0, 0, 0)


def write_axes(path, axes: str, shape: tuple[int, ...], data: np.ndarray) -> None:
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=data.reshape(shape), chunks=tuple(min(side, 64) for side in shape))
    listed = [{"name": axis} for axis in axes]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": listed, "datasets": [{"path": "0"}]}]}


def test_time_and_focus_show_one_plane(tmp_path):
    data = np.random.default_rng(0).integers(1, 255, (2, 3, 5, 90, 70), np.uint8)
    write_axes(tmp_path / "stack.zarr", "tczyx", data.shape, data)
    with open_slide(tmp_path / "stack.zarr") as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    np.testing.assert_array_equal(pixels, np.moveaxis(data[0, :, 2], 0, -1))


def test_grey_without_channels(tmp_path):
    data = np.random.default_rng(0).integers(1, 255, (90, 70), np.uint8)
    write_axes(tmp_path / "grey.zarr", "yx", data.shape, data)
    with open_slide(tmp_path / "grey.zarr") as slide:
        pixels = slide.read_region(0, RegionPx(0, 0, 90, 70))
    np.testing.assert_array_equal(pixels, np.repeat(data[..., None], 3, axis=2))


def test_bioformats_layout(tmp_path, small_image, make_ome_zarr):
    root = zarr.open_group(tmp_path / "converted.zarr", mode="w")
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    make_ome_zarr(tmp_path / "converted.zarr" / "0", small_image)
    with open_slide(tmp_path / "converted.zarr") as slide:
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


@pytest.mark.parametrize(
    ("axes", "shape", "dtype", "reason"),
    [
        ("cyx", (5, 40, 40), np.uint8, "5 channels"),
        ("yx", (40, 40), np.float32, "float32"),
        ("qyx", (1, 40, 40), np.uint8, "not those of a picture"),
    ],
)
def test_what_is_no_brightfield_picture(tmp_path, axes, shape, dtype, reason):
    write_axes(tmp_path / "other.zarr", axes, shape, np.ones(shape, dtype))
    with pytest.raises(UnreadableSlideError, match=reason):
        open_slide(tmp_path / "other.zarr")


def test_a_compressed_slide_is_no_slide(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "made.nic.zarr", small_image)
    zarr.open_group(path, mode="a").attrs["napari_nic"] = {"schema": 1}
    with pytest.raises(UnreadableSlideError, match="a compressed slide"):
        open_slide(path)


def test_a_zarr_that_is_not_ome(tmp_path):
    zarr.open_group(tmp_path / "plain.zarr", mode="w").create_array("a", data=np.ones(3))
    with pytest.raises(UnreadableSlideError, match="without OME multiscale metadata"):
        open_slide(tmp_path / "plain.zarr")


def test_broken_metadata(tmp_path):
    (tmp_path / "zarr.json").write_text("{")
    with pytest.raises(UnreadableSlideError, match="the Zarr metadata cannot be used"):
        open_slide(tmp_path)


def test_fingerprint_sees_a_changed_coarse_chunk(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "picture.zarr", small_image)
    with open_slide(path) as slide:
        before = slide.fingerprint
    chunk = path / "1" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[::-1])
    with open_slide(path) as slide:
        assert slide.fingerprint != before
