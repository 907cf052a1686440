"""The OpenSlide reader: DICOM, companion files, transparency, metadata."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import DamagedSlideError, SlideNotFoundError, UnreadableSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide
from napari_nic.slides.readers.openslide import _background, _tile


@pytest.fixture(scope="module")
def dicom_path(data_dir: Path) -> Path:
    """The DICOM twin of CMU-1-Small-Region.svs, a folder."""
    folder = data_dir / "slides" / "CMU-1-Small-Region-dicom"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.data
def test_dicom_folder_and_any_of_its_files_are_one_slide(dicom_path):
    with open_slide(dicom_path) as slide:
        assert (slide.vendor, slide.reader) == ("dicom", "openslide")
        assert slide.levels[0].shape == (2967, 2220)
        assert slide.levels[0].tile == (240, 240)
        assert slide.require_pixel_size().x == pytest.approx(0.499)
        assert slide.color.profile == "sRGB built-in"
        assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert slide.read_associated("thumbnail").shape == (768, 574, 3)
        for file in dicom_path.iterdir():
            with open_slide(file) as other:
                assert other.fingerprint == slide.fingerprint


@pytest.mark.data
def test_svs_and_dicom_show_the_same_place(dicom_path, cmu_path):
    """The DICOM twin was compressed a second time, so that pixels differ a little but lie where they lay."""
    with open_slide(cmu_path) as svs, open_slide(dicom_path) as dicom:
        for y, x in [(900, 1000), (1900, 1100), (2600, 900)]:
            region = RegionPx(y, x, 300, 300)
            ours = svs.read_region(0, region).astype(float)
            here = np.abs(ours - dicom.read_region(0, region)).mean()
            assert here < 8
            for dy, dx in [(0, 1), (1, 0), (0, -1), (-1, 0)]:
                moved = dicom.read_region(0, RegionPx(y + dy, x + dx, 300, 300))
                assert np.abs(ours - moved).mean() > 1.2 * here


@pytest.mark.data
def test_svs_equals_openslide(cmu_path):
    with open_slide(cmu_path) as ours, open_slide(cmu_path, reader="openslide") as oracle:
        region = RegionPx(-10, -10, 2990, 2240)
        np.testing.assert_array_equal(ours.read_region(0, region), oracle.read_region(0, region))
        assert ours.associated_images == ("thumbnail", "label", "macro")
        np.testing.assert_array_equal(ours.read_associated("macro"), oracle.read_associated("macro"))


def test_a_folder_of_two_dicom_slides(tmp_path):
    for number, uid in enumerate([b"1.2.3", b"1.2.4", b"1.2.4"]):
        element = b"\x20\x00\x0e\x00UI" + len(uid).to_bytes(2, "little") + uid
        (tmp_path / f"{number}.dcm").write_bytes(bytes(128) + b"DICM" + element)
    with pytest.raises(UnreadableSlideError, match="2 DICOM slides"):
        open_slide(tmp_path)


def test_mirax_without_its_folder(tmp_path):
    path = tmp_path / "slide.mrxs"
    Image.new("RGB", (80, 60)).save(path, "JPEG")  # what a MIRAX file looks like: a small JPEG
    with pytest.raises(SlideNotFoundError, match=r"(?s)missing.*Slidedat\.ini.*copy the folder"):
        open_slide(path)


def test_vms_without_its_pictures(tmp_path):
    path = tmp_path / "slide.vms"
    path.write_text("[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=one.jpg\nImageFile(1,0)=two.jpg\n")
    (tmp_path / "one.jpg").touch()
    with pytest.raises(SlideNotFoundError, match=r"two\.jpg"):
        open_slide(path)


def test_a_file_that_openslide_knows_but_cannot_open(tmp_path, slide_path):
    path = Path(shutil.copy(slide_path, tmp_path / "cut.tif"))
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(DamagedSlideError, match=r"cut\.tif: directory of the TIFF file past its end"):
        open_slide(path, reader="openslide")


@pytest.mark.parametrize(
    ("text", "color"),
    [("FFEEDD", (255, 238, 221)), ("000000", (0, 0, 0)), (None, (255, 255, 255)), ("red", (255, 255, 255))],
)
def test_background_color(text, color):
    properties = {} if text is None else {"openslide.background-color": text}
    assert _background(properties) == color


@pytest.mark.parametrize(
    ("height", "width", "tile"),
    [("240", "240", (240, 240)), ("8", "4096", (512, 512)), (None, None, (512, 512))],
)
def test_tiles_that_are_none(height, width, tile):
    sizes = {"openslide.level[0].tile-height": height, "openslide.level[0].tile-width": width}
    assert _tile({key: value for key, value in sizes.items() if value}, 0) == tile


def test_a_damaged_tile_is_named(tmp_path, small_image):
    path = tmp_path / "damaged.tif"
    tifffile.imwrite(path, small_image, tile=(256, 256), compression="zlib", photometric="rgb", metadata=None)
    with tifffile.TiffFile(path) as tif:
        offset, size = tif.pages[0].dataoffsets[1], tif.pages[0].databytecounts[1]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = b"\xaa" * size
    path.write_bytes(data)
    with open_slide(path, reader="openslide") as slide:
        slide.read_tile(0, 0, 0)
        with pytest.raises(
            DamagedSlideError, match=r"(?s)damaged\.tif: tile \(0, 1\) of level 0.*copy it again"
        ):
            slide.read_tile(0, 0, 1)
