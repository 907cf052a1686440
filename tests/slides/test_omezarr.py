"""OME-Zarr of both versions; axes, units, missing chunks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    NicError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.geometry import RegionPx
from napari_nic.slides import Selection, open_slide


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


def write_axes(path, axes: str, shape: tuple[int, ...], data: np.ndarray, chunks=None, **ome) -> Path:
    group = zarr.open_group(path, mode="w")
    chunks = chunks or tuple(min(side, 64) for side in shape)
    group.create_array("0", data=data.reshape(shape), chunks=chunks)
    listed = [{"name": axis} for axis in axes]
    multiscale = {"axes": listed, "datasets": [{"path": "0"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale], **ome}
    return path


def test_time_and_focus_show_one_plane(tmp_path):
    data = np.random.default_rng(0).integers(1, 255, (2, 3, 5, 90, 70), np.uint8)
    write_axes(tmp_path / "stack.zarr", "tczyx", data.shape, data)
    with open_slide(tmp_path / "stack.zarr") as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
        assert slide.notices == (
            "of 5 planes of depth, number 3 is shown",
            "of 2 time points, number 1 is shown",
        )
        fingerprint = slide.fingerprint
    np.testing.assert_array_equal(pixels, np.moveaxis(data[0, :, 2], 0, -1))
    with open_slide(tmp_path / "stack.zarr", selection=Selection(z=1, t=2)) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
        assert slide.notices == ()
        assert slide.fingerprint != fingerprint
    np.testing.assert_array_equal(pixels, np.moveaxis(data[1, :, 0], 0, -1))
    with pytest.raises(ChannelsError, match="there is no --z 6 among 5 planes of depth"):
        open_slide(tmp_path / "stack.zarr", selection=Selection(z=6))


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
        ("cyx", (5, 40, 40), np.uint8, "5 separate channels"),
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


def test_a_scale_that_all_levels_share(tmp_path, small_image):
    """With 1 and 2 at the levels and 0.325 beside them."""
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    datasets = []
    for index, factor in enumerate((1, 2)):
        group.create_array(str(index), data=np.moveaxis(small_image, -1, 0)[:, ::factor, ::factor].copy())
        scale = [{"type": "scale", "scale": [1.0, factor, factor]}]
        datasets.append({"path": str(index), "coordinateTransformations": scale})
    axes = [{"name": name, "unit": "micrometer"} for name in "cyx"]
    shared = [
        {"type": "scale", "scale": [1.0, 0.5, 0.325]},
        {"type": "translation", "translation": [0, 5, 5]},
    ]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": datasets, "coordinateTransformations": shared}]
    with open_slide(tmp_path / "a.zarr") as slide:
        assert (slide.require_pixel_size().y, slide.require_pixel_size().x) == (0.5, 0.325)
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


@pytest.mark.parametrize("unit", ["nanometer", "nm", "millimeter"])
def test_units_of_a_sensible_size(tmp_path, small_image, make_ome_zarr, unit):
    path = make_ome_zarr(tmp_path / "a.zarr", small_image, unit=unit)
    file = path / "zarr.json"
    number = {"nanometer": "500.0", "nm": "500.0", "millimeter": "0.0005"}[unit]
    text = re.sub(r"\b0\.5(?=,|\s)", number, file.read_text())
    file.write_text(text)
    with open_slide(path) as slide:
        assert slide.require_pixel_size().x == pytest.approx(0.5)


def test_a_scale_without_a_unit_is_told_with_its_number(tmp_path, small_image, make_ome_zarr):
    with open_slide(make_ome_zarr(tmp_path / "a.zarr", small_image, unit=None)) as slide:
        assert slide.pixel_size is None
        assert "0.5 x 0.5 of no unit" in slide.pixel_size_note
    with open_slide(make_ome_zarr(tmp_path / "b.zarr", small_image, unit="parsec")) as slide:
        assert "0.5 x 0.5 of parsec" in slide.pixel_size_note


@pytest.mark.parametrize("order", ["cyx", "yxc", "ycx"])
def test_any_order_of_axes(tmp_path, small_image, order):
    data = small_image.transpose(["yxc".index(axis) for axis in order]).copy()
    with open_slide(write_axes(tmp_path / "a.zarr", order, data.shape, data)) as slide:
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_big_endian_samples(tmp_path):
    data = (np.arange(90 * 70).reshape(90, 70) * 10).astype(">u2")
    path = write_axes(tmp_path / "a.zarr", "yx", (90, 70), data)
    window = {"start": 0, "end": 65535}
    attributes = zarr.open_group(path, mode="a").attrs
    attributes["ome"] = dict(attributes["ome"]) | {"omero": {"channels": [{"window": window}]}}
    with open_slide(path) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    np.testing.assert_allclose(pixels[..., 0], data / 257.0, atol=0.51)


def test_a_black_chunk_that_was_written_stays_black(tmp_path, small_image):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    array = group.create_array(
        "0",
        shape=(3, 400, 400),
        chunks=(3, 200, 200),
        dtype="u1",
        fill_value=7,
        config={"write_empty_chunks": True},
    )
    array[:, :200, :200] = 0
    group.attrs["multiscales"] = [{"axes": list("cyx"), "datasets": [{"path": "0"}]}]
    with open_slide(tmp_path / "a.zarr") as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    assert (pixels[:200, :200] == 0).all()
    assert (pixels[200:] == 7).all()  # never written: the value that the file states for it


def test_chunks_of_any_size(tmp_path, small_image):
    data = np.moveaxis(small_image, -1, 0)
    for number, chunks in enumerate([(1, 1, 903), (3, 7, 5), (2, 701, 903)]):
        with open_slide(write_axes(tmp_path / f"{number}.zarr", "cyx", data.shape, data, chunks)) as slide:
            assert min(slide.levels[0].tile) >= 64
            region = RegionPx(3, 5, 90, 95)
            np.testing.assert_array_equal(slide.read_region(0, region), small_image[region.slices])


def test_chunks_that_are_too_large(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", shape=(3, 2**20, 2**20), chunks=(3, 2**15, 2**15), dtype="u1")
    group.attrs["ome"] = {"multiscales": [{"axes": list("cyx"), "datasets": [{"path": "0"}]}]}
    with pytest.raises(UnsupportedPixelsError, match="would be decoded at once"):
        open_slide(tmp_path / "a.zarr")


# -- channels ----------------------------------------------------------------------------------------------


def three(tmp_path, channels, dtype=np.uint8, count: int = 3) -> Path:
    data = np.random.default_rng(0).integers(1, 255, (count, 90, 70)).astype(dtype)
    omero = {} if channels is None else {"omero": {"channels": channels}}
    return write_axes(tmp_path / "a.zarr", "cyx", data.shape, data, **omero)


def described(labels, colors=("FF0000", "00FF00", "0000FF")) -> list[dict[str, object]]:
    return [{"label": label, "color": color} for label, color in zip(labels, colors, strict=True)]


@pytest.mark.parametrize(
    "labels", [("", "", ""), ("Red", "Green", "Blue"), ("Channel 0", "Channel 1", "Channel 2")]
)
def test_three_channels_that_are_samples_of_a_colour(tmp_path, labels):
    with open_slide(three(tmp_path, described(labels))) as slide:
        assert not slide.is_fluorescence


@pytest.mark.parametrize(
    ("channels", "dtype", "count"),
    [
        (described(("DAPI", "FITC", "Cy3")), np.uint8, 3),
        (described(("", "", ""), ("0000FF", "00FF00", "FF0000")), np.uint8, 3),
        (None, np.uint16, 3),
        (None, np.uint8, 4),
        (None, np.uint8, 2),
    ],
)
def test_separate_channels_are_never_rgb(tmp_path, channels, dtype, count):
    path = three(tmp_path, channels, dtype, count)
    with pytest.raises(ChannelsError, match=rf"{count} separate channels, no RGB picture"):
        open_slide(path)
    with open_slide(path, channels=[1]) as slide:
        assert slide.is_fluorescence


def test_names_colours_and_windows_are_the_files(tmp_path):
    entry = {"label": "DAPI", "color": "0000FF", "window": {"start": 0, "end": 510}}
    data = np.full((2, 90, 70), 51, np.uint16)
    omero = {"channels": [entry, {"label": "broken", "color": 7, "window": {"start": "a"}}]}
    path = write_axes(tmp_path / "a.zarr", "cyx", data.shape, data, omero=omero)
    with open_slide(path, channels=["DAPI"]) as slide:
        assert [channel.name for channel in slide.channels] == ["DAPI", "broken"]
        pixels = slide.read_region(0, slide.levels[0].region)
    assert (pixels == (0, 0, 26)).all()


# -- which group -------------------------------------------------------------------------------------------


def test_several_series(tmp_path, small_image, make_ome_zarr):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w")
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    make_ome_zarr(tmp_path / "a.zarr" / "0", small_image[:100, :120])
    make_ome_zarr(tmp_path / "a.zarr" / "1", small_image)
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.levels[0].shape == small_image.shape[:2]
        assert slide.notices == ("of 2 pictures the largest, 1, is shown",)
    with open_slide(tmp_path / "a.zarr", selection=Selection(scene=1)) as slide:
        assert slide.levels[0].shape == (100, 120)
    make_ome_zarr(tmp_path / "a.zarr" / "2", small_image[:600])
    with pytest.raises(ChannelsError, match=r"3 pictures, none of which.*1 \(a.zarr/0, 120 x 100 px\)"):
        open_slide(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("ome", "sentence"),
    [
        ({"plate": {"wells": []}}, "a plate of many wells"),
        ({"well": {"images": []}}, "a well of many pictures"),
        ({"labels": ["nuclei"]}, "a list of label images"),
        ({"multiscales": []}, "multiscales is no list"),
        ({"multiscales": {}}, "multiscales is no list"),
        ({"multiscales": [7]}, "multiscales is no list"),
        ({"multiscales": [{"axes": 5}]}, "axes is no list"),
        ({"multiscales": [{"axes": [{}, {}, {}]}]}, "axes None, None, None"),
        ({"multiscales": [{"axes": list("cyx")}]}, "datasets is no list"),
        ({"multiscales": [{"axes": list("cyx"), "datasets": [{"path": 3}]}]}, "datasets is no list"),
        ({"multiscales": [{"axes": list("cyx"), "datasets": [{"path": "../x"}]}]}, r"name a level '\.\./x'"),
        ({"multiscales": [{"axes": list("cyx"), "datasets": [{"path": "/etc"}]}]}, "name a level '/etc'"),
        ({"multiscales": [{"axes": list("cyx"), "datasets": [{"path": "9"}]}]}, "the level 9 is not there"),
        ({"multiscales": [{"axes": list("yx"), "datasets": [{"path": "0"}]}]}, "which is no picture's"),
        (
            {
                "multiscales": [
                    {
                        "axes": list("cyx"),
                        "datasets": [{"path": "0"}],
                        "coordinateTransformations": [{"type": "scale", "scale": [1]}],
                    }
                ]
            },
            "a scale does not fit the axes",
        ),
        ({"image-label": {}, "multiscales": [{}]}, "a label image"),
        ([], "without OME multiscale metadata"),
        ("text", "without OME multiscale metadata"),
    ],
)
def test_metadata_of_other_kinds_are_one_sentence(tmp_path, ome, sentence):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=np.ones((3, 40, 40), np.uint8))
    group.attrs["ome"] = ome
    with pytest.raises(NicError, match=sentence) as caught:
        open_slide(tmp_path / "a.zarr")
    assert "a.zarr" in str(caught.value)


def test_metadata_without_end(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "zarr.json").write_text('{"a":' * 100_000)
    with pytest.raises(UnreadableSlideError, match=r"nested too deeply|cannot be used"):
        open_slide(path)


def test_a_part_of_a_zarr_says_what_to_open(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "a.zarr", small_image)
    with pytest.raises(UnreadableSlideError, match=r"(?s)a single array.*open the folder a\.zarr"):
        open_slide(path / "0")
    with pytest.raises(UnreadableSlideError, match=r"(?s)a part of an OME-Zarr picture.*open a\.zarr"):
        open_slide(path / "zarr.json")


def test_pipes_in_the_folder(tmp_path, small_image, make_ome_zarr):
    path = make_ome_zarr(tmp_path / "a.zarr", small_image)
    chunk = path / "0" / "c" / "0" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="not a regular file"):
        slide.read_tile(0, 0, 0)
    (path / "0" / "zarr.json").unlink()
    os.mkfifo(path / "0" / "zarr.json")
    with pytest.raises(DamagedSlideError, match="not a regular file"):
        open_slide(path)


# -- chunks that codecs must not see -----------------------------------------------------------------------

BLOSC_CHILD = """
import sys
from pathlib import Path
from napari_nic.errors import DamagedSlideError
from napari_nic.slides import open_slide
with open_slide(sys.argv[1]) as slide:
    chunk = Path(sys.argv[2])
    data = chunk.read_bytes()
    heads = [(at, byte) for at in range(16) for byte in (0, 1, 127, 255)]
    mutants = [data[:size] for size in (0, 1, 15, 16, 17, 100, len(data) // 2, len(data) - 1)]
    mutants += [data[:at] + bytes([byte]) + data[at + 1:] for at, byte in heads]
    mutants += [data[:16] + bytes([byte]) * (len(data) - 16) for byte in (0, 85, 255)]
    refused = 0
    for mutant in mutants:
        chunk.write_bytes(mutant)
        try:
            slide.read_tile(0, 0, 0)
        except DamagedSlideError:
            refused += 1
    chunk.write_bytes(data)
    slide.read_tile(0, 0, 0)
print(refused)
"""


@pytest.mark.parametrize(("zarr_format", "shards"), [(2, None), (3, None), (3, "end"), (3, "start")])
def test_a_damaged_blosc_chunk_does_not_end_the_process(tmp_path, small_image, zarr_format, shards):
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    compressor = numcodecs.Blosc() if zarr_format == 2 else zarr.codecs.BloscCodec()
    data = np.moveaxis(small_image[:600, :600], -1, 0)
    sharding = None
    if shards is not None:
        sharding = {"shape": (3, 600, 600), "index_location": shards}
    group.create_array("0", data=data, chunks=(3, 300, 300), shards=sharding, compressors=compressor)
    multiscales = [{"axes": list("cyx"), "datasets": [{"path": "0"}]}]
    if zarr_format == 2:
        group.attrs["multiscales"] = multiscales
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    with open_slide(path) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    np.testing.assert_array_equal(pixels, small_image[:600, :600])
    chunk = max(
        (file for file in (path / "0").rglob("*") if file.is_file()), key=lambda file: file.stat().st_size
    )
    if zarr_format == 2 or shards is None:
        chunk = path / "0" / ("0.0.0" if zarr_format == 2 else "c/0/0/0")
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", BLOSC_CHILD, str(path), str(chunk)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8


def write_levels(path: Path, levels: list[np.ndarray], starts: list[float], scales: list[float]) -> Path:
    """Write levels of axes c, y, x, each with a scale and with a start of both axes."""
    group = zarr.open_group(path, mode="w")
    datasets = []
    for number, (level, start, scale) in enumerate(zip(levels, starts, scales, strict=True)):
        group.create_array(str(number), data=level, chunks=(3, 64, 64))
        transforms = [
            {"type": "scale", "scale": [1, scale, scale]},
            {"type": "translation", "translation": [0, start, start]},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": transforms})
    axes = [{"name": "c"}, *({"name": axis, "unit": "micrometer"} for axis in "yx")]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return path


def halved(image: np.ndarray, levels: int = 3) -> list[np.ndarray]:
    return [np.moveaxis(image, -1, 0)[:, :: 2**level, :: 2**level] for level in range(levels)]


@pytest.mark.parametrize(
    "starts",
    [(0, 0, 0), (0, 0.25, 0.75), (700, 700, 700), (0, 0.5, 1.5)],
    ids=["none", "centres", "far", "edges"],
)
def test_a_translation_within_the_pixel_is_a_convention(tmp_path, small_image, starts):
    path = write_levels(tmp_path / "a.zarr", halved(small_image), list(starts), [0.5, 1, 2])
    with open_slide(path) as slide:
        assert [level.downsample_x for level in slide.levels] == [1, 2, 4]
        assert slide.notices == ()


def test_a_level_that_lies_elsewhere_is_left_out(tmp_path, small_image):
    path = write_levels(tmp_path / "a.zarr", halved(small_image), [0, 0, 300], [0.5, 1, 2])
    with open_slide(path) as slide:
        assert [level.downsample_x for level in slide.levels] == [1, 2]
        assert "level 2" in slide.notices[0]
        assert "its translation puts it beside the slide" in slide.notices[0]


def test_a_scale_that_is_no_number_puts_no_level_elsewhere(tmp_path, small_image):
    path = write_levels(tmp_path / "a.zarr", halved(small_image), [0, 0, 0], [float("nan"), 1, 2])
    with open_slide(path) as slide:
        assert [level.downsample_x for level in slide.levels] == [1, 2, 4]
        assert slide.pixel_size is None
        assert slide.notices == ()


def test_a_level_that_shows_a_part_is_left_out(tmp_path, small_image):
    full, half, quarter = halved(small_image)
    path = write_levels(tmp_path / "a.zarr", [full, half, quarter[:, :50, :70]], [0, 0, 0], [0.5, 1, 2])
    with open_slide(path) as slide:
        assert [level.downsample_y for level in slide.levels] == [1, 2]
        assert "level 2 of 70 x 50 px is left out: it is no smaller picture" in slide.notices[0]


def test_a_translation_that_is_no_number_is_one_sentence(tmp_path, small_image):
    path = write_levels(tmp_path / "a.zarr", halved(small_image), [0, 0, 0], [0.5, 1, 2])
    text = (path / "zarr.json").read_text()
    text = re.sub(r'"translation": \[\s*0,\s*0,\s*0\s*\]', '"translation": [0, "a", "b"]', text)
    (path / "zarr.json").write_text(text)
    with pytest.raises(UnreadableSlideError, match="a translation does not fit the axes"):
        open_slide(path)
