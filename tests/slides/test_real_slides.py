"""Files that others wrote: each opens as an independent reader shows it, or is refused.

A file that is not in a table here fails the last test, so that a new one is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import ChannelsError, NicError, SlideNotFoundError, UnsupportedPixelsError
from napari_nic.geometry import RegionPx
from napari_nic.slides import Slide, open_slide, read_channels

pytestmark = pytest.mark.data

Oracle = Callable[[Path], np.ndarray]
GCP = "dicom/gcp-wsi2dcm-CMU-1-Small-Region"


@dataclass(frozen=True)
class Shown:
    """What an independent reader says of a file.

    Attributes
    ----------
    reader : str
        Ours.
    shape : (int, int)
        Of level 0.
    oracle : callable
        ``path -> (rows, cols, 3) uint8`` of level 0.
    mpp : float or None
    within : int
        Grey levels by which pixels may differ: decoders of lossy streams round differently.
    notice : str
        A part of what the user is told; empty if nothing.
    """

    reader: str
    shape: tuple[int, int]
    oracle: Oracle
    mpp: float | None = None
    within: int = 0
    notice: str = ""


def grey(samples: np.ndarray) -> np.ndarray:
    return np.repeat(samples.astype(np.uint8)[..., None], 3, axis=2)


def pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def first_page(path: Path) -> np.ndarray:
    """The first picture by tifffile, (rows, cols[, samples]) in the file's own numbers."""
    page = tifffile.TiffFile(path).pages[0]
    page.parent.filehandle.close()
    return tifffile.imread(path, key=0)


def rgb_page(path: Path) -> np.ndarray:
    return first_page(path)[..., :3]


def on_white(path: Path) -> np.ndarray:
    """Planes of red, green, blue and alpha, laid on white by Pillow."""
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(first_page(path), 0, -1)), "RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB"))


def cmyk(path: Path) -> np.ndarray:
    """Inks by Pillow, laid on white by the fifth sample."""
    samples = first_page(path)
    image = Image.fromarray(np.ascontiguousarray(samples[..., :4]), "CMYK").convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=Image.fromarray(np.ascontiguousarray(samples[..., 4])))
    return np.asarray(white)


def green_plane(index: int) -> Oracle:
    """One plane, in the colour that the file states for its channel."""

    def read(path: Path) -> np.ndarray:
        samples = tifffile.imread(path)[index]
        return np.dstack([np.zeros_like(samples), samples, np.zeros_like(samples)])

    return read


def high_bits(shift: int) -> Oracle:
    def read(path: Path) -> np.ndarray:
        samples = first_page(path) >> shift
        return grey(samples) if samples.ndim == 2 else samples.astype(np.uint8)

    return read


def by_openslide(path: Path) -> np.ndarray:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def by_pydicom(path: Path) -> np.ndarray:
    pydicom = pytest.importorskip("pydicom")
    frames = pydicom.dcmread(path.with_name("sm_image.dcm")).pixel_array  # of 10 x 10 px, 5 x 5 of them
    return frames.reshape(5, 5, 10, 10, 3).transpose(0, 2, 1, 3, 4).reshape(50, 50, 3)


def by_czifile_reader(path: Path) -> np.ndarray:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.open_czi(str(path)) as file:
        return file.read()[..., ::-1]


TWIN = "the file holds 2 pictures of one size: the first one is shown"

SHOWN = {
    "czi/RGB-8bit.czi": Shown("czi", (624, 924), by_czifile_reader, 1.0833),
    "dicom/sm_image.dcm": Shown("openslide", (50, 50), by_pydicom, 0.499, within=1),
    "dicom/sm_image_jpegls.dcm": Shown("wsidicom", (50, 50), by_pydicom, 0.499),
    "imagej-tiff/qupath_cells.tif": Shown("tiff", (131, 93), pillow, 0.25),
    "ome-tiff/qupath_cells.ome.tif": Shown("tiff", (131, 93), pillow, 0.25),
    "ome-tiff/qupath_cells-2t.ome.tif": Shown(
        "tiff", (131, 93), green_plane(0), 0.25, notice="2 points in time"
    ),
    "ome-tiff/qupath_cells-2z.ome.tif": Shown(
        "tiff", (131, 93), green_plane(1), 0.25, notice="2 focus planes"
    ),
    "tiff-codecs/gray.b1.tif": Shown("tiff", (83, 111), pillow, notice=TWIN),
    "tiff-codecs/gray.bigendian.u2.tif": Shown(
        "tiff", (83, 111), high_bits(4), within=1, notice="shown as samples of 12 bits"
    ),
    "tiff-codecs/rgb.tiled.jpeg.u1.tif": Shown("tiff", (83, 111), pillow, notice=TWIN),
    "tiff-codecs/rgb.tiled.jpeg2000.u1.tif": Shown("tiff", (83, 111), rgb_page, notice=TWIN),
    "tiff-codecs/rgb.tiled.jpegxl.u1.tif": Shown("tiff", (83, 111), rgb_page, notice=TWIN),
    "tiff-codecs/rgb.tiled.lzw.u1.tif": Shown("tiff", (83, 111), pillow, notice=TWIN),
    "tiff-codecs/rgb.tiled.webp.u1.tif": Shown("tiff", (83, 111), rgb_page, notice=TWIN),
    "tiff-codecs/rgb.tiled.zstd.u1.tif": Shown("tiff", (83, 111), rgb_page, notice=TWIN),
    "tiff-codecs/rgba.separate.tiled.u1.tif": Shown("tiff", (83, 111), on_white, within=1, notice=TWIN),
    "tiff-orientation/test_orient1.tif": Shown("tiff", (180, 120), pillow),
    "tiff-orientation/test_orient3.tif": Shown("tiff", (180, 120), pillow),
    "tiff-orientation/test_orient6.tif": Shown("tiff", (120, 180), pillow),
    "tiff-photometric/12bit.cropped.rgb.tiff": Shown("tiff", (64, 64), high_bits(4), within=1),
    "tiff-photometric/cmyk-4c-8b.tiff": Shown("tiff", (151, 157), cmyk, within=1),
    "tiff-photometric/miniswhite-1c-1b.tiff": Shown("tiff", (151, 157), pillow),
    "tiff-photometric/palette-1c-8b.tiff": Shown("tiff", (151, 157), pillow),
}
"""Pictures that are compared whole."""

LARGE = {"svs/luna_1065626.svs", GCP, "dicom/sm_image_grayscale.dcm", "czi/newCZI_compressed.czi"}
LARGE |= {"imagej-tiff/qupath_cells-gray16.tif"}
"""Those with a test of their own below."""

CHANNELS = {
    "ome-tiff/minerva_2048x2048_ome6_tiled.ome.tif": 3,
    "ome-tiff/qupath_cells-2c.ome.tif": 2,
    "qptiff/small_vectra.qptiff": 3,
}
"""Separate channels, which are never shown as RGB: how many."""

REFUSED: dict[str, tuple[type[NicError], str]] = {
    "dicom/multi_frame_jpeg_camelyon_challenge_image.dcm": (
        SlideNotFoundError,
        "full-resolution image of this DICOM slide is missing",
    ),
    "imagej-tiff/qupath_cells-gray32.tif": (UnsupportedPixelsError, "samples are float32"),
    "tiff-codecs/gray.tiled.f4.tif": (UnsupportedPixelsError, "samples are float32"),
}


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Path:
    folder = data_dir / "slides_real"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def whole(slide: Slide) -> np.ndarray:
    return slide.read_region(0, slide.levels[0].region)


def differ(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    assert ours.shape == theirs.shape
    return np.abs(ours.astype(np.int16) - theirs)


@pytest.mark.parametrize("name", SHOWN)
def test_pixels_size_and_scale_are_an_independent_readers(real: Path, name: str):
    expected = SHOWN[name]
    if not (real / name).exists():
        pytest.skip(f"{name} is not there")
    with open_slide(real / name) as slide:
        assert slide.reader == expected.reader
        assert slide.levels[0].shape == expected.shape
        assert not slide.is_fluorescence
        mpp = None if slide.pixel_size is None else slide.pixel_size.x
        assert mpp == (None if expected.mpp is None else pytest.approx(expected.mpp, rel=1e-3))
        assert any(expected.notice in notice for notice in slide.notices) or not expected.notice
        assert differ(whole(slide), expected.oracle(real / name)).max() <= expected.within


@pytest.mark.parametrize("name", CHANNELS)
def test_separate_channels_are_never_rgb(real: Path, name: str):
    with pytest.raises(UnsupportedPixelsError, match=f"{CHANNELS[name]} .*channels") as caught:
        open_slide(real / name)
    assert "--channels" in (caught.value.hint or "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_it_is(real: Path, name: str):
    kind, sentence = REFUSED[name]
    with pytest.raises(kind, match=sentence) as caught:
        open_slide(real / name)
    assert name.rpartition("/")[2] in str(caught.value)
    assert caught.value.hint


def test_jpeg_2000_of_subsampled_colours_is_openslides(real: Path):
    path = real / "svs/luna_1065626.svs"
    with open_slide(path, color="raw") as slide, openslide.OpenSlide(path) as oracle:
        assert (slide.reader, slide.vendor, len(slide.levels)) == ("tiff", "aperio", 2)
        assert slide.levels[0].shape == oracle.dimensions[::-1] == (10249, 11952)
        assert slide.require_pixel_size().x == pytest.approx(0.5026, rel=1e-4)
        for level, y, x in ((0, 5000, 5000), (1, 1000, 1000)):
            factor = round(oracle.level_downsamples[level])
            theirs = oracle.read_region((x * factor, y * factor), level, (600, 600)).convert("RGB")
            difference = differ(slide.read_region(level, RegionPx(y, x, 600, 600)), np.asarray(theirs))
            assert difference.mean() < 1
            assert difference.max() <= 24  # chroma is interpolated differently at edges


def test_the_dicom_twin_whose_header_is_wrong(real: Path, cmu_path: Path):
    with open_slide(real / GCP) as twin, open_slide(cmu_path) as slide:
        assert len(twin.levels) == 12
        assert twin.require_pixel_size().x == pytest.approx(0.499)
        assert any("says RGB" in notice and "YCbCr" in notice for notice in twin.notices)
        region = RegionPx(900, 1000, 500, 500)
        ours, original = twin.read_region(0, region), slide.read_region(0, region)
        assert differ(ours, original).mean() < 8  # it was compressed a second time
        np.testing.assert_allclose(ours.mean((0, 1)), original.mean((0, 1)), atol=2)


def test_one_channel_is_grey_on_black(real: Path):
    for name, shape, reader in (
        ("dicom/sm_image_grayscale.dcm", (50, 50), "wsidicom"),
        ("czi/newCZI_compressed.czi", (512, 512), "czi"),
    ):
        with open_slide(real / name) as slide:
            assert (slide.levels[0].shape, slide.reader, slide.is_fluorescence) == (shape, reader, True)
            assert slide.background == (0, 0, 0)
        assert len(read_channels(real / name)) == 1


def test_16_bit_grey_of_imagej_shows_what_8_bits_show(real: Path):
    """The same picture in two depths: its values end at 255, and its own range says so."""
    with open_slide(real / "imagej-tiff/qupath_cells-gray16.tif") as deep:
        assert deep.require_pixel_size().x == pytest.approx(0.25, rel=1e-3)
        ours = whole(deep)
    samples = tifffile.imread(real / "imagej-tiff/qupath_cells-gray16.tif")
    assert np.corrcoef(ours[..., 0].ravel(), samples.ravel())[0, 1] > 0.999
    assert ours.max() > 200


def test_every_file_is_in_a_table(real: Path):
    known = {*SHOWN, *LARGE, *CHANNELS, *REFUSED}
    files = {str(file.relative_to(real)) for file in real.rglob("*") if file.is_file()}
    assert {name for name in files if not name.startswith(GCP)} - known == set()


def test_channels_error_is_one_that_stops():
    assert issubclass(ChannelsError, UnsupportedPixelsError)
