"""Plain pictures: decoded whole when first needed; coarser levels made on demand."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import DamagedSlideError, MissingPixelSizeError, UnreadableSlideError
from napari_nic.slides import open_slide
from napari_nic.slides.readers import plain, tiff_page


def read_all(path) -> np.ndarray:
    with open_slide(path, reader="plain") as slide:
        return slide.read_region(0, slide.levels[0].region)


def test_jpeg_is_pillows(tmp_path, small_image):
    path = tmp_path / "picture.jpg"
    Image.fromarray(small_image).save(path, quality=90)
    np.testing.assert_array_equal(read_all(path), np.asarray(Image.open(path)))


def test_a_screen_resolution_is_no_pixel_size(tmp_path, small_image):
    path = tmp_path / "picture.jpg"
    Image.fromarray(small_image).save(path, dpi=(72, 72))
    with open_slide(path) as slide:
        assert slide.pixel_size is None
        with pytest.raises(MissingPixelSizeError, match=r"(?s)352\.778 x 352\.778 um/px.*--mpp"):
            slide.require_pixel_size()


def test_users_pixel_size_at_opening(tmp_path, small_image):
    path = tmp_path / "picture.jpg"
    Image.fromarray(small_image).save(path, dpi=(72, 72))
    with open_slide(path, mpp=0.25) as slide:
        assert slide.require_pixel_size().source == "user"


def test_transparency_lies_on_white(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGBA", (40, 30), (10, 20, 30, 0)).save(path)
    assert (read_all(path) == 255).all()


def test_palette(tmp_path, small_image):
    path = tmp_path / "picture.png"
    indexed = Image.fromarray(small_image).quantize(16)
    indexed.save(path)
    np.testing.assert_array_equal(read_all(path), np.asarray(indexed.convert("RGB")))


@pytest.mark.parametrize("planar", [False, True])
def test_tiff_of_one_strip(tmp_path, small_image, planar, monkeypatch):
    monkeypatch.setattr(tiff_page, "MAX_BLOCK_PIXELS", 10_000)
    path = tmp_path / "strip.tif"
    data = np.moveaxis(small_image, -1, 0) if planar else small_image
    planarconfig = "separate" if planar else "contig"
    options = {"compression": "zlib", "rowsperstrip": small_image.shape[0], "metadata": None}
    tifffile.imwrite(path, data, photometric="rgb", planarconfig=planarconfig, **options)
    with open_slide(path) as slide:
        assert slide.reader == "plain"
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_pixels_are_decoded_once_and_late(tmp_path, small_image, monkeypatch):
    path = tmp_path / "picture.png"
    Image.fromarray(small_image).save(path)
    decoded = []

    def count(pixels, background):
        decoded.append(background)
        return pixels[..., :3]

    monkeypatch.setattr(plain, "to_rgb", count)
    with open_slide(path) as slide:
        slide.pyramid()
        assert not decoded
        slide.read_region(0, slide.levels[0].region)
        assert len(decoded) == 1


def test_more_than_pillows_bomb_guard(tmp_path, monkeypatch, small_image):
    """Slides are large: Pillow's process-wide guard is passed by, and left as it is."""
    path = tmp_path / "picture.png"
    Image.fromarray(small_image).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    np.testing.assert_array_equal(read_all(path), small_image)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_our_own_bomb_guard(tmp_path, monkeypatch, small_image):
    path = tmp_path / "picture.png"
    Image.fromarray(small_image).save(path)
    monkeypatch.setattr(plain, "MAX_PIXELS", 1000)
    with pytest.raises(UnreadableSlideError, match="701 x 903 px must be decoded whole"):
        open_slide(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_cut_off(tmp_path, small_image, suffix):
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(small_image).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="cannot be decoded"):
        slide.read_tile(0, 0, 0)


def test_a_broken_header(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(UnreadableSlideError, match="the picture's header cannot be read"):
        open_slide(path)
