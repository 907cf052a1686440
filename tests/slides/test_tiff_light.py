"""Channels in TIFF dialects: each pixel of each channel, names, colours, windows; depth and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.errors import ChannelsError, UnsupportedPixelsError
from napari_nic.slides import Selection, open_slide, read_channels
from napari_nic.slides.readers.tiff import open_tiff

STAINS = ("DAPI", "FITC", "Cy3", "Cy5")


@pytest.fixture(scope="module")
def planes() -> np.ndarray:
    """(channels, rows, cols) of 16 bits, different in each."""
    rng = np.random.default_rng(9)
    return np.stack([rng.integers(0, 2000 * (c + 1), (301, 402)) for c in range(4)]).astype(np.uint16)


def whole(source, level: int, channels: list[int]) -> np.ndarray:
    """Put a level together from all its tiles."""
    geometry = source.info.levels[level]
    pixels = np.zeros((*geometry.shape, len(channels)), np.float64)
    for row in range(geometry.tile_grid[0]):
        for col in range(geometry.tile_grid[1]):
            tile = source.read_channels(level, row, col, channels)
            if tile is not None:
                pixels[geometry.tile_region(row, col).slices] = tile
    return pixels


LAYOUTS = {
    "tiles": {"tile": (64, 80)},
    "strips": {"rowsperstrip": 7},
    "one strip": {"rowsperstrip": 301},
    "compressed": {"tile": (64, 64), "compression": "zlib", "predictor": True},
    "big endian": {"tile": (64, 64), "byteorder": ">"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_pixel_of_every_channel(tmp_path, planes, layout):
    path, options = tmp_path / "light.ome.tif", dict(LAYOUTS[layout])
    byteorder = options.pop("byteorder", None)
    metadata = {"axes": "CYX", "Channel": {"Name": list(STAINS)}}
    tifffile.imwrite(
        path, planes, photometric="minisblack", metadata=metadata, byteorder=byteorder, **options
    )
    source = open_tiff(path)
    assert [channel.name for channel in source.channels] == list(STAINS)
    np.testing.assert_array_equal(whole(source, 0, [2, 0]), np.moveaxis(planes[[2, 0]], 0, -1))
    source.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int16, np.float32])
def test_numbers_of_any_kind(tmp_path, planes, dtype):
    path = tmp_path / "light.ome.tif"
    data = (planes // 40).astype(dtype)
    tifffile.imwrite(path, data, photometric="minisblack", tile=(64, 64), metadata={"axes": "CYX"})
    with open_slide(path, channels=[4]) as slide:
        low, high = slide.choice["channels"][0]["window"]
        assert (low, high) == pytest.approx(tuple(np.percentile(data[3], (0.1, 99.9))))
        expected = np.clip((data[3] - low) / (high - low), 0, 1) * 255
        assert np.abs(slide.read_region(0, slide.levels[0].region)[..., 0] - expected).max() <= 0.51


def test_samples_of_one_page_are_channels_too(tmp_path, planes):
    path = tmp_path / "samples.tif"
    pixels = np.moveaxis(planes, 0, -1)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig", metadata=None)
    source = open_tiff(path)
    assert [channel.name for channel in source.channels] == [f"channel {i}" for i in (1, 2, 3, 4)]
    np.testing.assert_array_equal(whole(source, 0, [3, 1]), pixels[..., [3, 1]])
    source.close()


def test_coarser_levels_hold_the_same_channels(tmp_path, planes):
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path, bigtiff=True) as tif:
        options = {"photometric": "minisblack", "tile": (64, 64)}
        tif.write(planes, subifds=1, metadata={"axes": "CYX", "Channel": {"Name": list(STAINS)}}, **options)
        tif.write(planes[:, ::2, ::2], subfiletype=1, **options)
    source = open_tiff(path)
    assert [level.shape for level in source.info.levels] == [(301, 402), (151, 201)]
    np.testing.assert_array_equal(whole(source, 1, [1])[..., 0], planes[1, ::2, ::2])
    source.close()


def test_colours_of_ome(tmp_path, planes):
    path = tmp_path / "colours.ome.tif"
    colors = [0x0000FFFF, 0x00FF00FF, -1, 0xFF0000FF - 2**32]
    metadata = {"axes": "CYX", "Channel": {"Name": list(STAINS), "Color": colors}}
    tifffile.imwrite(path, planes, photometric="minisblack", metadata=metadata)
    assert [channel.color for channel in read_channels(path)] == [
        (0, 0, 255),
        (0, 255, 0),
        None,
        (255, 0, 0),
    ]


def test_a_hyperstack_of_imagej(tmp_path, planes):
    path = tmp_path / "stack.tif"
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp * 0, ramp, ramp * 0]), np.stack([ramp, ramp * 0, ramp])]
    stack = np.stack([planes[:2] + 10 * z for z in range(3)])  # (z, c, y, x)
    metadata = {"axes": "ZCYX", "mode": "composite", "LUTs": tables, "Ranges": (10.0, 500.0, 0.0, 9000.0)}
    metadata |= {"Labels": ["DAPI", "Cy3"] * 3, "unit": "um"}
    resolution = (2.0, 2.0)
    tifffile.imwrite(path, stack, imagej=True, metadata=metadata, resolution=resolution)
    first, second = read_channels(path)
    assert (first.name, first.color, first.window) == ("DAPI", (0, 255, 0), (10.0, 500.0))
    assert (second.name, second.color, second.window) == ("Cy3", (255, 0, 255), (0.0, 9000.0))
    for z, index in ((None, 1), (1, 0), (3, 2)):
        source = open_tiff(path, Selection(z=z))
        np.testing.assert_array_equal(whole(source, 0, [1])[..., 0], stack[index, 1])
        source.close()


def test_depth_and_time_of_colours_can_be_chosen(tmp_path, small_image):
    path = tmp_path / "stack.ome.tif"
    stack = np.stack([small_image[:90, :80] // (z + 1) for z in range(3)])
    tifffile.imwrite(path, stack, photometric="rgb", metadata={"axes": "ZYXS"})
    fingerprints = set()
    for z, index in ((None, 1), (1, 0), (2, 1), (3, 2)):
        selection = None if z is None else Selection(z=z)
        with open_slide(path, selection=selection) as slide:
            np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), stack[index])
            assert any(f"number {index + 1} is shown" in notice for notice in slide.notices)
            fingerprints.add(slide.fingerprint)
    assert len(fingerprints) == 3
    with pytest.raises(ChannelsError, match="no z 4: it has 3 focus planes"):
        open_slide(path, selection=Selection(z=4))


def test_one_stained_channel_is_light_and_one_without_a_word_is_grey(tmp_path, planes):
    metadata = {"axes": "YX", "Channel": {"Name": ["DAPI"], "EmissionWavelength": [461]}}
    tifffile.imwrite(tmp_path / "light.ome.tif", planes[0], photometric="minisblack", metadata=metadata)
    tifffile.imwrite(tmp_path / "grey.ome.tif", planes[0], photometric="minisblack", metadata={"axes": "YX"})
    with open_slide(tmp_path / "light.ome.tif") as light, open_slide(tmp_path / "grey.ome.tif") as grey:
        assert (light.is_fluorescence, light.background) == (True, (0, 0, 0))
        assert (grey.is_fluorescence, grey.background) == (False, (255, 255, 255))


@pytest.mark.parametrize("said", ["Dye = DAPI", "Excitation Wavelength = 360|Emission Wavelength = 457"])
def test_a_grey_aperio_slide_of_a_dye_is_light(tmp_path, planes, said):
    path = tmp_path / "a.svs"
    description = f"Aperio Image Library v11.2.1\r\n402x301 (64x64) JPEG Q=70|AppMag = 20|MPP = 0.5|{said}"
    plane = (planes[0] >> 4).astype(np.uint8)
    tifffile.imwrite(path, plane, tile=(64, 64), description=description, metadata=None)
    with open_slide(path) as slide:
        assert slide.is_fluorescence
        assert slide.background == (0, 0, 0)
        assert [channel.name for channel in slide.channels] == ["DAPI" if "Dye" in said else "channel 1"]
    tifffile.imwrite(path, plane, tile=(64, 64), description=description.partition(said)[0], metadata=None)
    with open_slide(path) as slide:
        assert not slide.is_fluorescence


def test_channels_in_which_white_is_zero_are_refused(tmp_path, planes):
    path = tmp_path / "white.ome.tif"
    tifffile.imwrite(path, planes, photometric="miniswhite", metadata={"axes": "CYX"})
    with pytest.raises(UnsupportedPixelsError, match="MINISWHITE"):
        open_slide(path, channels=[1])


def test_channels_on_their_side_are_refused(tmp_path, planes):
    path = tmp_path / "turned.tif"
    pixels = np.moveaxis(planes, 0, -1)
    turned = [(274, "H", 1, 6, True)]
    tifffile.imwrite(
        path, pixels, photometric="minisblack", planarconfig="contig", extratags=turned, metadata=None
    )
    with pytest.raises(UnsupportedPixelsError, match="on their side"):
        open_slide(path, channels=[1])


# -- real files ------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "stains"),
    [
        ("qptiff/small_vectra.qptiff", ("DAPI", "FITC", "Cy3")),
        ("ome-tiff/minerva_2048x2048_ome6_tiled.ome.tif", ("channel 1", "channel 2", "channel 3")),
        ("ome-tiff/qupath_cells-2c.ome.tif", ("channel 1", "channel 2")),
    ],
)
def test_real_channels_are_tifffiles(data_dir, name, stains):
    path = data_dir / "slides_real" / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with pytest.raises(ChannelsError, match=f"{len(stains)} separate channels"):
        open_slide(path)
    source = open_tiff(path)
    assert tuple(channel.name for channel in source.channels) == stains
    for level, geometry in enumerate(source.info.levels):
        oracle = tifffile.imread(path, series=0, level=level)
        assert geometry.shape == oracle.shape[1:]
        pixels = whole(source, level, list(range(len(stains))))
        np.testing.assert_array_equal(pixels, np.moveaxis(oracle, 0, -1))
    source.close()


@pytest.mark.data
@pytest.mark.parametrize(("name", "option"), [("2z", "z"), ("2t", "t")])
def test_real_stacks(data_dir, name, option):
    path = data_dir / "slides_real" / "ome-tiff" / f"qupath_cells-{name}.ome.tif"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with tifffile.TiffFile(path) as tif:
        numbers, tables = tif.series[0].asarray(), [page.aspage().colormap for page in tif.pages]
    for number in (1, 2):
        with open_slide(path, selection=Selection(**{option: number})) as slide:
            ours = slide.read_region(0, slide.levels[0].region)
        expected = np.moveaxis(tables[number - 1][:, numbers[number - 1]] >> 8, 0, -1)
        np.testing.assert_array_equal(ours, expected)


def imagej_table(path: Path, table: np.ndarray) -> Path:
    """One channel of 8 bits, with ImageJ's table of colours for it."""
    values = np.tile(np.arange(0, 200, dtype=np.uint8), (100, 1))
    metadata = {"axes": "YX", "LUTs": [table.astype(np.uint8)]}
    tifffile.imwrite(path, values, imagej=True, metadata=metadata)
    return path


def test_a_table_of_colours_of_imagej_makes_light_of_a_channel(tmp_path):
    """A stain shown in red on black is no grey picture, whose dark parts would be tissue."""
    ramp, none = np.arange(256), np.zeros(256)
    with open_slide(imagej_table(tmp_path / "a.tif", np.stack([ramp, none, none]))) as slide:
        assert slide.is_fluorescence
        assert [channel.color for channel in slide.channels] == [(255, 0, 0)]
        assert not slide.read_tile(0, 0, 0)[..., 1:].any()


def test_an_inverted_table_of_imagej_is_told(tmp_path):
    grey = np.stack([np.arange(256)] * 3)
    with open_slide(imagej_table(tmp_path / "a.tif", grey)) as slide:
        assert slide.notices == ()
    with open_slide(imagej_table(tmp_path / "b.tif", grey[:, ::-1])) as slide:
        assert "inverted table" in slide.notices[0]
        assert slide.read_tile(0, 0, 0)[0, 199, 0] == 199
