"""TIFF: codecs, layouts, vendors' dialects, missing and damaged tiles."""

from __future__ import annotations

import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import tiffslide

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide
from napari_nic.slides.readers import tiff_page, tiff_picture

APERIO = "Aperio Image Library v11.2.1\n903x701 [0,0 903x701] (256x256) |AppMag = 20|MPP = 0.4990"


def read_all(path: Path, reader: str = "tiff") -> np.ndarray:
    with open_slide(path, reader=reader) as slide:
        return slide.read_region(0, slide.levels[0].region)


@pytest.fixture
def write(tmp_path, small_image):
    """Write `small_image`, or other data, as one tiled page."""

    def write_page(data: np.ndarray = small_image, **options: object) -> Path:
        path = tmp_path / "page.tif"
        defaults = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
        if "rowsperstrip" in options:
            del defaults["tile"]
        tifffile.imwrite(path, data, **(defaults | options))
        return path

    return write_page


@pytest.mark.parametrize(
    "options",
    [
        {"compression": None},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"compression": 50002},  # JPEG XL as FAST writes it
        {"compression": 52546},  # JPEG XL as GDAL writes it
        {"compression": 34712},  # JPEG 2000
        {"compression": 33005, "description": APERIO},
        {"compression": "zlib", "bigtiff": True},
        {"compression": "zlib", "byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": None, "rowsperstrip": 701},
    ],
    ids=str,
)
def test_lossless_codecs_and_layouts(write, small_image, options):
    np.testing.assert_array_equal(read_all(write(**options)), small_image)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "jpeg"},
        {"compression": "jpeg", "subsampling": (2, 2)},
        {"compression": "jpeg", "subsampling": (2, 1)},
        {"compression": "jpeg", "compressionargs": {"outcolorspace": "rgb"}},
        {"compression": 33005, "description": APERIO, "compressionargs": {"level": 40}},
    ],
    ids=str,
)
def test_lossy_tiles_are_openslides(write, options):
    """The oracle is OpenSlide; both stand on libjpeg-turbo and OpenJPEG, so that the bytes are the same."""
    path = write(**options)
    np.testing.assert_array_equal(read_all(path), read_all(path, "openslide"))


def test_aperio_33003_is_ycbcr(write, small_image):
    red, green, blue = np.moveaxis(small_image.astype(np.float64), -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    ycbcr = np.stack([y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402], axis=-1)
    data = np.clip(np.rint(ycbcr), 0, 255).astype(np.uint8)
    path = write(data, compression=33003, description=APERIO, compressionargs={"mct": False})
    ours = read_all(path).astype(int)
    assert np.abs(ours - small_image).max() <= 1
    assert np.abs(ours - read_all(path, "openslide")).max() <= 1


def test_separate_planes(write, small_image):
    path = write(np.moveaxis(small_image, -1, 0).copy(), planarconfig="separate", compression="zlib")
    np.testing.assert_array_equal(read_all(path), small_image)


def test_sixteen_bit_keeps_the_high_byte(write, small_image):
    path = write(small_image.astype(np.uint16) * 256 + 99, compression="zlib")
    np.testing.assert_array_equal(read_all(path), small_image)


def test_grey_is_repeated(write, small_image):
    grey = small_image[..., 0].copy()
    path = write(grey, photometric="minisblack", compression="zlib")
    np.testing.assert_array_equal(read_all(path), np.repeat(grey[..., None], 3, axis=2))


def test_alpha_lies_on_the_background(write, small_image):
    alpha = np.full(small_image.shape[:2], 255, np.uint8)
    alpha[:50] = 0
    alpha[50:60] = 51
    path = write(np.dstack([small_image, alpha]), extrasamples=["unassalpha"], compression="zlib")
    pixels = read_all(path)
    assert (pixels[:50] == 255).all()
    mixed = small_image[50:60] * 0.2 + 255 * 0.8
    assert np.abs(pixels[50:60] - mixed).max() <= 0.51
    np.testing.assert_array_equal(pixels[60:], small_image[60:])


@pytest.mark.parametrize("axes", ["YXS", "CYX"])
def test_ome_tiff(tmp_path, small_image, axes):
    path = tmp_path / "picture.ome.tif"
    data = small_image if axes == "YXS" else np.moveaxis(small_image, -1, 0)
    sizes = {"PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    photometric = "rgb" if axes == "YXS" else "minisblack"
    tifffile.imwrite(path, data, tile=(256, 256), photometric=photometric, metadata={"axes": axes} | sizes)
    with open_slide(path) as slide:
        assert slide.vendor == "ome-tiff"
        assert slide.require_pixel_size().source == "OME PhysicalSizeX"
        assert slide.require_pixel_size().x == pytest.approx(0.25)
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_fluorescence_is_refused_with_a_reason(tmp_path, small_image):
    path = tmp_path / "channels.ome.tif"
    data = np.concatenate([small_image] * 2, axis=2)[..., :5]
    tifffile.imwrite(path, np.moveaxis(data, -1, 0).copy(), tile=(256, 256), metadata={"axes": "CYX"})
    with pytest.raises(UnreadableSlideError, match="5 separate channels, no RGB picture"):
        open_slide(path, reader="tiff")


def test_floating_point_is_refused_with_a_reason(write, small_image):
    path = write(small_image.astype(np.float32), compression="zlib")
    with pytest.raises(UnreadableSlideError, match="float32"):
        open_slide(path, reader="tiff")


@pytest.mark.parametrize("name", ["slide.ndpi", "renamed.tif"])
def test_ndpi_whatever_its_name(tmp_path, small_image, dialects, name):
    image = small_image[:640, :768]
    path = dialects["hamamatsu"](tmp_path / name, image)
    with open_slide(path) as slide:
        assert (slide.vendor, slide.reader) == ("hamamatsu", "tiff")
        assert slide.associated_images == ("macro",)
        assert slide.read_associated("macro").shape == (64, 128, 3)
        assert [level.downsample_x for level in slide.levels] == [1, 2]
        assert min(slide.levels[0].tile) >= 128  # the file's own tiles are 8 px high
        assert slide.require_pixel_size().x == pytest.approx(0.5)
        pixels = slide.read_region(0, slide.levels[0].region)
        offsets = {name: value for name, value in slide.properties.items() if "SlideCentre" in name}
        assert set(offsets.values()) == {"3000000", "-5000000"}
    with open_slide(path.rename(path.with_suffix(".ndpi")), reader="openslide") as oracle:
        assert offsets.items() <= oracle.properties.items()
    path = path.with_suffix(".ndpi")
    ndpi = path.rename(path.with_suffix(".ndpi"))
    np.testing.assert_array_equal(pixels, read_all(ndpi, "openslide"))


def test_a_tiff_named_ndpi(tmp_path, slide_path):
    path = tmp_path / "slide.ndpi"
    shutil.copy(slide_path, path)
    with open_slide(path) as slide:
        assert slide.vendor == "generic-tiff"


def test_philips(tmp_path, slide_image, dialects):
    path = dialects["philips"](tmp_path / "philips.tif", slide_image)
    with open_slide(path) as slide, open_slide(path, reader="openslide") as oracle:
        assert (slide.vendor, slide.reader) == ("philips", "tiff")
        assert slide.require_pixel_size().source == "philips DICOM_PIXEL_SPACING"
        assert slide.require_pixel_size().x == pytest.approx(0.25)
        assert [level.downsample_y for level in slide.levels] == [1, 2, 4]
        for level in range(3):
            region = RegionPx(90, 70, 150, 200)
            pixels = slide.read_region(level, region)
            np.testing.assert_array_equal(pixels, oracle.read_region(level, region))


def test_scn_lies_on_the_whole_glass(tmp_path, small_image, dialects):
    path = dialects["leica"](tmp_path / "area.scn", small_image)
    with open_slide(path) as slide:
        assert (slide.vendor, slide.reader) == ("leica", "openslide")
        assert slide.levels[0].shape == (3000, 2000)
        assert slide.bounds == RegionPx(600, 400, 701, 903)
        assert slide.require_pixel_size().x == pytest.approx(0.5)
        area = slide.read_region(0, slide.bounds).astype(int)
        outside = slide.read_region(0, RegionPx(0, 0, 100, 100))
    assert np.abs(area - small_image).mean() < 8  # JPEG
    assert (outside == 255).all()


@pytest.mark.parametrize("planar", [False, True])
def test_a_strip_that_must_be_decoded_whole_is_decoded_once(tmp_path, small_image, planar, monkeypatch):
    for module in (tiff_page, tiff_picture):
        monkeypatch.setattr(module, "MAX_BLOCK_PIXELS", 10_000)
    path = tmp_path / "strip.tif"
    data = np.moveaxis(small_image, -1, 0) if planar else small_image
    planarconfig = "separate" if planar else "contig"
    options = {"compression": "zlib", "rowsperstrip": small_image.shape[0], "metadata": None}
    tifffile.imwrite(path, data, photometric="rgb", planarconfig=planarconfig, **options)
    decoded = []
    decode = tiff_picture.decode_segment
    monkeypatch.setattr(tiff_picture, "decode_segment", lambda *a: decoded.append(a[1]) or decode(*a))
    with open_slide(path) as slide:
        assert slide.levels[0].tile == (512, 512)
        assert not decoded
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)
    assert len(decoded) == (3 if planar else 1)


@pytest.mark.parametrize("planar", [False, True])
def test_one_strip_of_plain_numbers_is_read_in_parts(tmp_path, small_image, planar):
    path = tmp_path / "strip.tif"
    data = np.moveaxis(small_image, -1, 0) if planar else small_image
    planarconfig = "separate" if planar else "contig"
    tifffile.imwrite(
        path, data, photometric="rgb", planarconfig=planarconfig, rowsperstrip=701, metadata=None
    )
    with open_slide(path) as slide:
        assert slide.levels[0].tile == (256, 903)
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_a_strip_that_claims_more_than_it_can_hold_is_damaged(tmp_path):
    path = tmp_path / "claims.tif"
    strip = imagecodecs.zlib_encode(bytes(100))
    options = {"shape": (20_000, 20_000, 3), "dtype": np.uint8, "photometric": "rgb", "rowsperstrip": 20_000}
    tifffile.imwrite(path, iter([strip]), compression="zlib", metadata=None, **options)
    with pytest.raises(DamagedSlideError, match="holds less than its size"):
        open_slide(path)


def test_aperio_facts(write):
    with open_slide(write(compression="jpeg", description=APERIO)) as slide:
        assert slide.vendor == "aperio"
        assert slide.require_pixel_size().source == "aperio.MPP"
        assert slide.properties["aperio.AppMag"] == "20"


def test_regions_are_tiffslides(slide_path):
    with open_slide(slide_path) as slide, tiffslide.TiffSlide(slide_path) as oracle:
        # Away from the corner, tiffslide rounds positions by its mean of both axes' ratios.
        for level, (y, x) in enumerate([(300, 250), (0, 0), (0, 0)]):
            expected = oracle.read_region((x, y), level, (40, 30), as_array=True)
            np.testing.assert_array_equal(slide.read_region(level, RegionPx(y, x, 30, 40)), expected)


# Missing and damaged tiles


@pytest.fixture
def sparse_path(tmp_path):
    """A pyramid of one level, 4 tiles of 256 px: the second and third hold no bytes."""
    path = tmp_path / "sparse.tif"
    tile = imagecodecs.jpeg8_encode(np.full((256, 256, 3), 90, np.uint8), level=95)
    tifffile.imwrite(
        path,
        iter([tile, b"", b"", tile]),
        shape=(512, 512, 3),
        dtype=np.uint8,
        tile=(256, 256),
        photometric="ycbcr",
        subsampling=(2, 2),
        compression="jpeg",
        metadata=None,
    )
    return path


@pytest.mark.parametrize("reader", ["tiff", "openslide"])
def test_missing_tiles_are_background(sparse_path, reader):
    pixels = read_all(sparse_path, reader)
    assert (pixels[:256, 256:] == 255).all()
    assert (pixels[256:, :256] == 255).all()
    assert np.abs(pixels[:256, :256].astype(int) - 90).max() <= 2


def test_missing_strips_are_background(tmp_path):
    path = tmp_path / "strips.tif"
    strip = imagecodecs.zlib_encode(bytes(8 * 300 * 3))
    options = {"shape": (32, 300, 3), "dtype": np.uint8, "photometric": "rgb", "rowsperstrip": 8}
    tifffile.imwrite(path, iter([strip, b"", strip, b""]), compression="zlib", metadata=None, **options)
    pixels = read_all(path)
    assert (pixels[:8] == 0).all()
    assert (pixels[8:16] == 255).all()
    assert (pixels[24:] == 255).all()


def damage(path: Path, tile: int, change) -> Path:
    """Change the bytes of one tile of level 0 in place, keeping their number."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        offset, size = page.dataoffsets[tile], page.databytecounts[tile]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = change(bytes(data[offset : offset + size]))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda data: bytes(len(data)),
        lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
        lambda data: b"not a jpeg".ljust(len(data), b"!"),
    ],
    ids=["zeros", "half", "text"],
)
def test_a_damaged_tile_is_named(tmp_path, slide_path, change):
    path = Path(shutil.copy(slide_path, tmp_path / "damaged.tif"))
    damage(path, 1, change)
    with open_slide(path) as slide:
        slide.read_tile(0, 0, 0)
        with pytest.raises(DamagedSlideError, match=r"tile 1 of page 0 .*\n.*JPEG"):
            slide.read_tile(0, 0, 1)
        with pytest.raises(DamagedSlideError, match=r"damaged\.tif"):
            slide.read_region(0, RegionPx(0, 250, 20, 20))


@pytest.mark.parametrize("share", [0.99, 0.5, 0.02])
def test_a_file_that_was_cut_off_does_not_open(tmp_path, slide_path, share):
    data = slide_path.read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DamagedSlideError, match=r"cut\.tif"):
        open_slide(path)


def test_a_file_cut_off_between_pages_does_not_open(tmp_path, slide_path):
    """Level 0 is whole; the coarser levels would be lost without a word."""
    with tifffile.TiffFile(slide_path) as tif:
        page = tif.pages[0]
        end = max(o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True))
        second = tif.pages[1].offset
    for size in (end, second + 1):
        path = tmp_path / "cut.tif"
        path.write_bytes(slide_path.read_bytes()[:size])
        with pytest.raises(DamagedSlideError, match=r"cut\.tif"):
            open_slide(path)


def test_a_file_cut_off_while_open(tmp_path, slide_path):
    path = Path(shutil.copy(slide_path, tmp_path / "shrinking.tif"))
    with open_slide(path) as slide:
        with path.open("r+b") as stream:
            stream.truncate(path.stat().st_size // 8)
        with pytest.raises(DamagedSlideError, match="ends within a tile"):
            slide.read_region(0, slide.levels[0].region)
