"""Every way in which a TIFF writes colours, in every layout and depth, against libtiff and Pillow."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from napari_nic.errors import DamagedSlideError, UnsupportedPixelsError
from napari_nic.slides import open_slide

HEIGHT, WIDTH = 131, 157  # no multiple of any tile


def read(path: Path) -> np.ndarray:
    with open_slide(path, color="raw") as slide:
        assert slide.reader == "tiff"
        return slide.read_region(0, slide.levels[0].region)


def libtiff(path: Path) -> np.ndarray:
    """What libtiff's own conversion to RGBA makes of the file, laid on white."""
    rgba = imagecodecs.tiff_decode(path.read_bytes(), asrgb=True)
    if rgba.shape[-1] == 3:
        return rgba
    # libtiff gives colours that were multiplied by alpha.
    return np.clip(rgba[..., :3].astype(int) + 255 - rgba[..., 3:], 0, 255).astype(np.uint8)


def distance(ours: np.ndarray, other: np.ndarray) -> int:
    assert ours.shape == other.shape
    return int(np.abs(ours.astype(int) - other).max())


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """Smooth colours and some edges, (rows, cols, 3)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([40 + x, 230 - y, 60 + (x + y) // 2], axis=-1).astype(np.uint8)
    image[40:60, 30:90] = (250, 10, 130)
    return image


LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (64, 48)},
    "strips": {"rowsperstrip": 17},
    "one strip": {"rowsperstrip": HEIGHT},
    "big-endian": {"tile": (64, 48), "byteorder": ">"},
    "BigTIFF": {"tile": (64, 48), "bigtiff": True},
    "deflated": {"tile": (64, 48), "compression": "zlib", "predictor": True},
    "deflated strips": {"rowsperstrip": 20, "compression": "zlib"},
    "LZW, big-endian strips": {"rowsperstrip": 20, "compression": "lzw", "predictor": True, "byteorder": ">"},
    "Zstandard": {"tile": (64, 48), "compression": "zstd"},
    "LZMA": {"tile": (64, 48), "compression": "lzma"},
}


def _cmyk(image: np.ndarray) -> np.ndarray:
    inks = 255 - image
    black = inks.min(axis=2, keepdims=True) // 2
    return np.concatenate([inks - black, black], axis=2)


def _lab(image: np.ndarray) -> np.ndarray:
    """L, and a and b as signed bytes, as TIFF has them."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    return np.asarray(ImageCms.applyTransform(Image.fromarray(image), transform))


def _samples(kind: str, image: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the samples of a kind, 8 bits deep, and how to write them."""
    grey = image[..., 1]
    match kind:
        case "rgb":
            return image, {"photometric": "rgb"}
        case "black is zero":
            return grey, {"photometric": "minisblack"}
        case "white is zero":
            return 255 - grey, {"photometric": "miniswhite"}
        case "ink":
            return _cmyk(image), {"photometric": "separated"}
        case "straight alpha":
            alpha = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
            return np.dstack([image, alpha]), {"photometric": "rgb", "extrasamples": ["unassalpha"]}
        case "premultiplied":
            alpha = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
            return (
                np.dstack([(image.astype(int) * alpha[..., None] // 255).astype(np.uint8), alpha]),
                {"photometric": "rgb", "extrasamples": ["assocalpha"]},
            )
    raise AssertionError(kind)


KINDS = ("rgb", "black is zero", "white is zero", "ink", "straight alpha", "premultiplied")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_colours_are_libtiffs(tmp_path, image, kind, layout, bits):
    """The oracle is given 8 bits: libtiff knows neither ink nor the last columns of grey tiles in 16."""
    samples, options = _samples(kind, image)
    path, twin = tmp_path / "made.tif", tmp_path / "twin.tif"
    tifffile.imwrite(twin, samples, metadata=None, **options, **LAYOUTS["tiles"])
    deep = samples.astype(np.uint16) * 257 if bits == 16 else samples
    tifffile.imwrite(path, deep, metadata=None, **options, **LAYOUTS[layout])
    is_exact = kind in (
        "rgb",
        "black is zero",
        "white is zero",
    )  # libtiff rounds ink and alpha in its own way
    assert distance(read(path), libtiff(twin)) <= (0 if is_exact else 2)


@pytest.mark.parametrize("layout", ["tiles", "strips"])
def test_grey_with_alpha(tmp_path, image, layout):
    grey, alpha = image[..., 1], image[..., 0]
    path = tmp_path / "made.tif"
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"}
    tifffile.imwrite(path, np.dstack([grey, alpha]), metadata=None, **options, **LAYOUTS[layout])
    with Image.open(path) as opened:
        white = Image.new("RGBA", opened.size, "white")
        oracle = np.asarray(Image.alpha_composite(white, opened.convert("RGBA")))[..., :3]
    assert distance(read(path), oracle) <= 1


@pytest.mark.parametrize("layout", ["tiles", "deflated", "deflated strips", "big-endian", "one strip"])
@pytest.mark.parametrize("kind", ["rgb", "ink", "straight alpha"])
@pytest.mark.parametrize("bits", [8, 16])
def test_separate_planes(tmp_path, image, kind, layout, bits):
    samples, options = _samples(kind, image)
    contiguous, separate = tmp_path / "contiguous.tif", tmp_path / "separate.tif"
    if bits == 16:
        samples = samples.astype(np.uint16) * 257
    tifffile.imwrite(contiguous, samples, metadata=None, **options, **LAYOUTS["tiles"])
    planes = np.ascontiguousarray(np.moveaxis(samples, -1, 0))
    tifffile.imwrite(separate, planes, planarconfig="separate", metadata=None, **options, **LAYOUTS[layout])
    np.testing.assert_array_equal(read(separate), read(contiguous))


PACKED: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (64, 64)},
    "strips": {"rowsperstrip": 17},
    "deflated strips": {"rowsperstrip": 20},
}


def deflate(path: Path) -> None:
    """Compress the segments of a file in which tifffile wrote them plainly."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        page, data = tif.pages[0], path.read_bytes()
        ranges = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        streams = [imagecodecs.zlib_encode(data[offset : offset + size]) for offset, size in ranges]
        for (offset, _), stream in zip(ranges, streams, strict=True):
            tif.filehandle.seek(offset)
            tif.filehandle.write(stream)
        tags = page.tags
        tags["TileByteCounts" if page.is_tiled else "StripByteCounts"].overwrite([len(s) for s in streams])
        tags[259].overwrite(8)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14])
@pytest.mark.parametrize("layout", ["tiles", "strips", "deflated strips"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_packed_bits_reach_from_black_to_white(tmp_path, bits, layout, photometric):
    ramp = np.linspace(0, 2**bits - 1, WIDTH).round().astype(np.uint16)[None].repeat(HEIGHT, 0)
    path = tmp_path / "packed.tif"
    data = ramp.astype(bool if bits == 1 else np.uint8) if bits <= 8 else ramp
    tifffile.imwrite(path, data, photometric=photometric, bitspersample=bits, metadata=None, **PACKED[layout])
    if "deflated" in layout:
        deflate(path)
    pixels = read(path)[..., 0]
    expected = ramp * 255.0 / (2**bits - 1)
    if photometric == "miniswhite":
        expected = 255 - expected
    assert np.abs(pixels - expected).max() <= 1
    if bits in (1, 2, 4, 8):
        assert distance(read(path), libtiff(path)) <= 1


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("layout", ["tiles", "strips", "deflated strips"])
@pytest.mark.parametrize("is_narrow", [False, True], ids=["16-bit map", "8-bit values"])
def test_colour_maps(tmp_path, bits, layout, is_narrow):
    count = 2**bits
    colors = np.random.default_rng(1).integers(0, 256, (count, 3), np.uint8)
    indices = (np.add.outer(np.arange(HEIGHT) // 9, np.arange(WIDTH) // 7) % count).astype(np.uint8)
    table = (colors.astype(np.uint16) * (1 if is_narrow else 257)).T
    path = tmp_path / "mapped.tif"
    write_packed(path, indices, bits, table, PACKED[layout])
    if "deflated" in layout:
        deflate(path)
    np.testing.assert_array_equal(read(path), colors[indices])
    if bits > 1:
        assert distance(read(path), libtiff(path)) == 0


def write_packed(
    path: Path, indices: np.ndarray, bits: int, table: np.ndarray, options: dict[str, Any]
) -> None:
    """Write a picture with a colour map; tifffile writes maps of 8 and 16 bits only."""
    if bits == 8:
        tifffile.imwrite(path, indices, photometric="palette", colormap=table, metadata=None, **options)
        return
    data = indices.astype(bool) if bits == 1 else indices
    tag = (320, "H", table.size, tuple(int(v) for v in table.ravel()), True)
    tifffile.imwrite(
        path, data, photometric="minisblack", bitspersample=bits, extratags=[tag], metadata=None, **options
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[262].overwrite(3)


def test_a_colour_map_of_16_bit_numbers(tmp_path):
    indices = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 3
    table = np.random.default_rng(2).integers(0, 65_536, (3, 65_536), np.uint16)
    path = tmp_path / "mapped.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=table, tile=(64, 48), metadata=None)
    np.testing.assert_array_equal(read(path), (table >> 8).astype(np.uint8).T[indices])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("layout", ["tiles", "strips", "deflated"])
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_lab(tmp_path, image, photometric, layout, bits):
    lab = _lab(image) if photometric == "cielab" else _lab(image) ^ np.array([0, 128, 128], np.uint8)
    if bits == 16:
        lab = lab.astype(np.uint16) * 256 + np.array([255 if photometric == "cielab" else 0, 0, 0], np.uint16)
    path = tmp_path / "lab.tif"
    tifffile.imwrite(path, lab, photometric=photometric, metadata=None, **LAYOUTS[layout])
    assert np.abs(read(path).astype(int) - image).mean() < 2  # Lab of 8 bits is coarse
    if photometric == "cielab" and bits == 8:
        with Image.open(path) as opened:
            srgb = ImageCms.createProfile("sRGB")
            turned = ImageCms.profileToProfile(opened, ImageCms.createProfile("LAB"), srgb, outputMode="RGB")
        assert distance(read(path), np.asarray(turned)) <= 2


def _ycbcr(image: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = np.stack([y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402], axis=-1)
    return np.clip(np.rint(planes), 0, 255).astype(np.uint8)


def subsampled_units(ycbcr: np.ndarray, across: int, down: int) -> bytes:
    """Pack as TIFF does: all Y of a unit, then one Cb and one Cr."""
    rows, cols = -(-ycbcr.shape[0] // down), -(-ycbcr.shape[1] // across)
    padding = (0, rows * down - ycbcr.shape[0]), (0, cols * across - ycbcr.shape[1]), (0, 0)
    whole = np.pad(ycbcr, padding, mode="edge")
    units = whole.reshape(rows, down, cols, across, 3).swapaxes(1, 2)
    luma = units[..., 0].reshape(rows, cols, down * across)
    chroma = np.rint(units[..., 1:].mean((2, 3))).astype(np.uint8)
    return np.concatenate([luma, chroma], axis=2).tobytes()


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4)])
@pytest.mark.parametrize("is_tiled", [True, False], ids=["tiles", "strips"])
@pytest.mark.parametrize("is_studio", [False, True], ids=["full range", "studio range"])
def test_ycbcr_without_jpeg(tmp_path, image, compression, across, down, is_tiled, is_studio):
    ycbcr = _ycbcr(image)
    extratags = []
    if is_studio:
        ycbcr = np.rint(16 + ycbcr * np.array([219, 224, 224]) / 255).astype(np.uint8)
        numbers = (15, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
        extratags = [(532, "2I", 6, numbers, True)]
    height, width = (64, 48) if is_tiled else (32, WIDTH)
    boxes = itertools.product(range(0, HEIGHT, height), range(0, WIDTH, width))
    encode = {None: bytes, "lzw": imagecodecs.lzw_encode, "zlib": imagecodecs.zlib_encode}[compression]
    segments = []
    for y, x in boxes:
        part = ycbcr[y : y + height, x : x + width]
        if is_tiled:
            part = np.pad(
                part, ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)), mode="edge"
            )
        segments.append(encode(subsampled_units(part, across, down)))
    path = tmp_path / "ycbcr.tif"
    layout = {"tile": (height, width)} if is_tiled else {"rowsperstrip": height}
    write_segments(path, segments, (HEIGHT, WIDTH), layout, compression, (across, down), extratags)
    ours = read(path)
    assert np.abs(ours.astype(int) - image).mean() < (3 if across * down == 1 else 9)
    if not (is_tiled and across == down == 4):  # of these libtiff loses the last columns
        assert distance(ours, libtiff(path)) <= 3  # it reckons in whole numbers


def write_segments(
    path: Path,
    segments: list[bytes],
    shape: tuple[int, int],
    layout: dict[str, Any],
    compression: str | None,
    subsampling: tuple[int, int],
    extratags: list[Any],
) -> None:
    """Write segments that are compressed already, tagged as subsampled YCbCr."""
    tifffile.imwrite(
        path,
        iter(segments),
        shape=(*shape, 3),
        dtype=np.uint8,
        photometric="rgb",
        compression=compression or "zlib",
        extratags=[(530, "H", 2, subsampling, True), *extratags],
        metadata=None,
        **layout,
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tags = tif.pages[0].tags
        tags[262].overwrite(6)
        if compression is None:
            tags[259].overwrite(1)


def jpeg_tiles(image: np.ndarray, side: int, **options: Any) -> list[bytes]:
    rows, cols = (range(0, length, side) for length in image.shape[:2])
    padded = np.pad(image, ((0, -image.shape[0] % side), (0, -image.shape[1] % side), (0, 0)), mode="edge")
    return [
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(padded[y : y + side, x : x + side]), level=95, **options
        )
        for y in rows
        for x in cols
    ]


def write_jpeg(
    path: Path, tiles: list[bytes], shape: tuple[int, ...], photometric: int, side: int = 64
) -> Path:
    """Write JPEG tiles under a directory that calls them as it likes."""
    layout = {"shape": shape, "dtype": np.uint8, "tile": (side, side), "metadata": None}
    tifffile.imwrite(path, iter(tiles), photometric="rgb", compression="jpeg", **layout)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tags = tif.pages[0].tags
        tags[262].overwrite(photometric)
        if 530 in tags:
            tags[530].overwrite((2, 1))
    return path


def without_markers(stream: bytes) -> bytes:
    """Leave out JFIF and Adobe markers, as Aperio's tiles do."""
    out, at = bytearray(stream[:2]), 2
    while stream[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
        if stream[at + 1] not in (0xE0, 0xEE):
            out += stream[at : at + length]
        at += length
    return bytes(out + stream[at:])


RGB_JPEG = {"colorspace": "RGB", "outcolorspace": "RGB"}
YCBCR_JPEG = {"colorspace": "RGB", "outcolorspace": "YCBCR", "subsampling": "422"}


@pytest.mark.parametrize(
    ("options", "photometric", "is_bare", "contradicts"),
    [
        (RGB_JPEG, 2, False, False),
        (RGB_JPEG, 2, True, False),
        (YCBCR_JPEG, 6, False, False),
        (YCBCR_JPEG, 6, True, False),
        (RGB_JPEG, 6, False, True),
        (YCBCR_JPEG, 2, False, True),
        (YCBCR_JPEG, 2, True, True),
        ({"colorspace": "RGB", "outcolorspace": "YCBCR", "subsampling": "444"}, 2, False, True),
    ],
    ids=[
        "RGB",
        "RGB without markers",
        "YCbCr",
        "YCbCr without markers",
        "RGB called YCbCr",
        "YCbCr called RGB",
        "subsampled, called RGB",
        "JFIF called RGB",
    ],
)
def test_jpeg_is_shown_by_what_its_stream_says(tmp_path, image, options, photometric, is_bare, contradicts):
    tiles = jpeg_tiles(image, 64, **options)
    if is_bare:
        tiles = [without_markers(tile) for tile in tiles]
    path = write_jpeg(tmp_path / "jpeg.tif", tiles, image.shape, photometric)
    assert np.abs(read(path).astype(int) - image).mean() < 4
    with open_slide(path) as slide:
        assert bool(slide.notices) == contradicts
        assert all("but its JPEG tiles hold" in notice for notice in slide.notices)
    if not contradicts:
        assert distance(read(path), libtiff(path)) <= 1


def test_grey_jpeg_white_is_zero(tmp_path, image):
    grey = np.ascontiguousarray(image[..., 1])
    path = tmp_path / "grey.tif"
    tifffile.imwrite(
        path, 255 - grey, photometric="minisblack", tile=(64, 64), compression="jpeg", metadata=None
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[262].overwrite(0)
    assert np.abs(read(path)[..., 0].astype(int) - grey).mean() < 4


def test_striped_jpeg(tmp_path, image):
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, image, photometric="rgb", rowsperstrip=32, compression="jpeg", metadata=None)
    assert distance(read(path), libtiff(path)) <= 1


def test_twelve_bit_jpeg(tmp_path, image):
    deep = image.astype(np.uint16) * 16
    path = tmp_path / "twelve.tif"
    tifffile.imwrite(
        path,
        deep[..., 1].copy(),
        photometric="minisblack",
        tile=(64, 64),
        compression="jpeg",
        compressionargs={"bitspersample": 12},
        bitspersample=12,
        metadata=None,
    )
    assert np.abs(read(path)[..., 0].astype(int) - image[..., 1]).mean() < 4


@pytest.mark.parametrize("is_lossless", [True, False])
@pytest.mark.parametrize(("stated", "held"), [(3, 3), (4, 4), (4, 3), (3, 4)])
def test_webp_with_and_without_the_alpha_that_the_directory_states(
    tmp_path, image, is_lossless, stated, held
):
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:20] = 0
    data = np.concatenate([image, alpha], axis=2)[..., :held]
    padded = np.pad(data, ((0, -HEIGHT % 64), (0, -WIDTH % 64), (0, 0)), mode="edge")
    tiles = [
        imagecodecs.webp_encode(
            np.ascontiguousarray(padded[y : y + 64, x : x + 64]), lossless=is_lossless, level=95
        )
        for y in range(0, HEIGHT, 64)
        for x in range(0, WIDTH, 64)
    ]
    path = tmp_path / "webp.tif"
    extra = {"extrasamples": ["unassalpha"]} if stated == 4 else {}
    options = {"shape": (HEIGHT, WIDTH, stated), "dtype": np.uint8, "tile": (64, 64), "metadata": None}
    tifffile.imwrite(path, iter(tiles), photometric="rgb", compression="webp", **options, **extra)
    expected = image.copy()
    if held == 4:
        expected[:20] = 255
    assert np.abs(read(path).astype(int) - expected).mean() < (0.01 if is_lossless else 5)


@pytest.mark.parametrize("fillorder", ["msb2lsb", "lsb2msb"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_fill_order(tmp_path, image, compression, fillorder):
    """Bits of each byte the other way round; libtiff turns them back whatever the compression."""
    path = tmp_path / "order.tif"
    tifffile.imwrite(
        path,
        image,
        photometric="rgb",
        rowsperstrip=HEIGHT,
        compression=compression,
        metadata=None,
        extratags=[(265, "H", 1, 1, True)],
    )
    if fillorder == "lsb2msb":
        with tifffile.TiffFile(path, mode="r+b") as tif:
            page = tif.pages[0]
            offset, size = page.dataoffsets[0], page.databytecounts[0]
            entry = page.tags[265].offset
        data = bytearray(path.read_bytes())
        data[offset : offset + size] = imagecodecs.bitorder_encode(bytes(data[offset : offset + size]))
        struct.pack_into("<H", data, entry, 266)  # tifffile writes no such tag: another stood in its place
        struct.pack_into("<H", data, entry + 8, 2)
        path.write_bytes(data)
    np.testing.assert_array_equal(read(path), image)
    np.testing.assert_array_equal(libtiff(path), image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("is_tiled", [True, False])
def test_pictures_are_turned_upright(tmp_path, image, orientation, is_tiled):
    path = tmp_path / "turned.tif"
    layout = {"tile": (64, 48)} if is_tiled else {"rowsperstrip": 30}
    resolution = (20_000, 40_000)  # anisotropic: pixels are 0.5 um wide and 0.25 um high
    tifffile.imwrite(
        path,
        image,
        photometric="rgb",
        metadata=None,
        resolution=resolution,
        resolutionunit="CENTIMETER",
        extratags=[(274, "H", 1, orientation, True)],
        **layout,
    )
    with Image.open(path) as opened:
        oracle = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(read(path), oracle)
    with open_slide(path) as slide:
        expected = (0.5, 0.25) if orientation >= 5 else (0.25, 0.5)
        assert (slide.require_pixel_size().y, slide.require_pixel_size().x) == expected


@pytest.mark.parametrize("says", ["nothing", "tag", "ome"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_cameras_of_fewer_bits_are_not_shown_dark(tmp_path, image, says, bits):
    deep = (image.astype(np.uint16) << (bits - 8)) + 1
    path = tmp_path / ("deep.ome.tif" if says == "ome" else "deep.tif")
    options: dict[str, Any] = {"metadata": None}
    if says == "tag":
        options["extratags"] = [(281, "H", 3, (2**bits - 1,) * 3, True)]
    if says == "ome":
        options["metadata"] = {"axes": "YXS", "SignificantBits": bits}
    tifffile.imwrite(path, deep, photometric="rgb", tile=(64, 48), compression="zlib", **options)
    np.testing.assert_array_equal(read(path), image)
    with open_slide(path) as slide:
        told = [notice for notice in slide.notices if "bits" in notice]
        assert bool(told) == (says == "nothing")


def test_a_number_of_bits_that_cannot_be_is_told_and_not_used(tmp_path, image):
    path = tmp_path / "deep.ome.tif"
    metadata = {"axes": "YXS", "SignificantBits": 12}
    tifffile.imwrite(path, image.astype(np.uint16) * 257, photometric="rgb", tile=(64, 48), metadata=metadata)
    np.testing.assert_array_equal(read(path), image)
    with open_slide(path) as slide:
        assert ["says that 12 bits" in notice for notice in slide.notices] == [True]


def test_sixteen_bits_that_are_used_are_not_stretched(tmp_path, image):
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, image.astype(np.uint16) * 257, photometric="rgb", tile=(64, 48), metadata=None)
    np.testing.assert_array_equal(read(path), image)
    with open_slide(path) as slide:
        assert not slide.notices


def test_samples_that_nobody_names_are_left_out_and_told(tmp_path, image):
    path = tmp_path / "extra.tif"
    data = np.dstack([image, image[..., 0]])
    tifffile.imwrite(
        path, data, photometric="rgb", extrasamples=["unspecified"], tile=(64, 48), metadata=None
    )
    np.testing.assert_array_equal(read(path), image)
    with open_slide(path) as slide:
        assert ["1 sample of each pixel is left out" in notice for notice in slide.notices] == [True]


REFUSED: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "float": (np.zeros((80, 80, 3), np.float32), {"photometric": "rgb"}),
    "double": (np.zeros((80, 80), np.float64), {"photometric": "minisblack"}),
    "half": (np.zeros((80, 80), np.float16), {"photometric": "minisblack"}),
    "signed bytes": (np.zeros((80, 80, 3), np.int8), {"photometric": "rgb"}),
    "signed": (np.zeros((80, 80), np.int16), {"photometric": "minisblack"}),
    "32 bits": (np.zeros((80, 80), np.uint32), {"photometric": "minisblack"}),
    "complex": (np.zeros((80, 80), np.complex64), {"photometric": "minisblack"}),
    "raw camera": (np.zeros((80, 80), np.uint8), {"photometric": "cfa"}),
    "five grey samples": (
        np.zeros((80, 80, 5), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
    ),
    "two grey samples": (
        np.zeros((80, 80, 2), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
    ),
    "three grey samples": (
        np.zeros((80, 80, 3), np.uint8),
        {"photometric": "minisblack", "planarconfig": "contig"},
    ),
    "701 planes": (
        np.zeros((701, 32, 32), np.uint8),
        {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16)},
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_right_colours_is_refused_by_every_reader(tmp_path, kind):
    data, options = REFUSED[kind]
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, data, metadata=None, **({"tile": (16, 16)} | options))
    with pytest.raises(UnsupportedPixelsError, match=r"odd\.tif") as caught:
        open_slide(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("tag", "value"),
    [(259, 6), (259, 34_676), (259, 65_000), (262, 10), (262, 4), (262, 32_845), (262, 34_892)],
)
def test_codes_that_are_not_supported_are_refused(tmp_path, image, tag, value):
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, image, photometric="rgb", tile=(64, 48), metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[tag].overwrite(value)
    with pytest.raises(UnsupportedPixelsError, match="cannot be shown in its right colours"):
        open_slide(path)


@pytest.mark.parametrize("photometric", [5, 3, 8])
def test_jpeg_of_odd_colours_is_refused(tmp_path, image, photometric):
    path = write_jpeg(tmp_path / "odd.tif", jpeg_tiles(image, 64), image.shape, photometric)
    with pytest.raises(UnsupportedPixelsError):
        open_slide(path)


def test_inks_that_are_not_cmyk_are_refused(tmp_path, image):
    path = tmp_path / "inks.tif"
    tag = (332, "H", 1, 2, True)
    tifffile.imwrite(
        path, _cmyk(image), photometric="separated", extratags=[tag], tile=(64, 48), metadata=None
    )
    with pytest.raises(UnsupportedPixelsError, match="inks"):
        open_slide(path)


def big_stream(codec: str) -> bytes:
    """A small stream of 12,000 x 12,000 px."""
    white = np.full((12_000, 12_000), 255, np.uint8)
    if codec == "jpeg":
        return bytes(imagecodecs.jpeg8_encode(white, level=10))
    if codec == "webp":
        rgb = np.broadcast_to(white[..., None], (12_000, 12_000, 3))
        return bytes(imagecodecs.webp_encode(np.ascontiguousarray(rgb[:, :, :]), level=1, method=0))
    if codec == "png":
        buffer = io.BytesIO()
        Image.fromarray(white).save(buffer, "PNG")
        return buffer.getvalue()
    return bytes(imagecodecs.jpeg2k_encode(white[:6_000, :6_000].copy(), level=1, reversible=False))


@pytest.mark.parametrize(("codec", "code"), [("jpeg", 7), ("png", 34_933), ("jpeg2000", 34_712)])
def test_a_tile_that_would_decode_to_far_more_is_damaged(tmp_path, codec, code):
    path = tmp_path / "bomb.tif"
    options = {"shape": (64, 64), "dtype": np.uint8, "tile": (64, 64), "compression": code, "metadata": None}
    tifffile.imwrite(path, iter([big_stream(codec)]), photometric="minisblack", **options)
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="tile 0 of page 0"):
        slide.read_tile(0, 0, 0)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "packbits"])
def test_numbers_that_unpack_to_more_than_their_tile(tmp_path, compression):
    encode = {
        "zlib": imagecodecs.zlib_encode,
        "lzw": imagecodecs.lzw_encode,
        "zstd": imagecodecs.zstd_encode,
        "lzma": imagecodecs.lzma_encode,
        "packbits": imagecodecs.packbits_encode,
    }[compression]
    path = tmp_path / "bomb.tif"
    options = {"shape": (64, 64), "dtype": np.uint8, "tile": (64, 64), "metadata": None}
    stream = encode(bytes(300_000))
    tifffile.imwrite(path, iter([stream]), photometric="minisblack", compression=compression, **options)
    with open_slide(path) as slide:
        if compression in ("zlib", "zstd", "packbits"):
            with pytest.raises(DamagedSlideError, match="tile 0 of page 0"):
                slide.read_tile(0, 0, 0)
        else:  # these decoders stop where the tile is full
            assert slide.read_tile(0, 0, 0).shape == (64, 64, 3)


def test_the_last_strip_may_be_as_high_as_the_others(tmp_path, image):
    padded = np.pad(image, ((0, -HEIGHT % 40), (0, 0), (0, 0)))
    strips = [imagecodecs.zlib_encode(padded[y : y + 40].tobytes()) for y in range(0, HEIGHT, 40)]
    path = tmp_path / "padded.tif"
    options = {"shape": image.shape, "dtype": np.uint8, "rowsperstrip": 40, "metadata": None}
    tifffile.imwrite(path, iter(strips), photometric="rgb", compression="zlib", **options)
    np.testing.assert_array_equal(read(path), image)
    np.testing.assert_array_equal(libtiff(path), image)
