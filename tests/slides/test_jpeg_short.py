"""A JPEG scan that ends before its picture, although an end marker follows, is damage and no grey tissue."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides import open_slide
from napari_nic.slides.readers.codestreams import read_jpeg_header
from napari_nic.slides.readers.jpeg_short import is_short

SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 30, 250, cv2.NORM_MINMAX)


def encode(image: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=85, **options)
    return stream.getvalue()


def shorten(data: bytes, share: float) -> bytes:
    """Keep a share of the pixels' bytes, and the end marker."""
    scan = read_jpeg_header(data).scan
    return data[: scan + int((len(data) - 2 - scan) * share)].rstrip(b"\xff") + b"\xff\xd9"


def judge(data: bytes) -> bool:
    decode = imagecodecs.jpeg8_decode
    return is_short(data, read_jpeg_header(data).scan, decode(data), decode)


@pytest.mark.parametrize("restarts", [0, 4])
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_a_short_scan(picture, subsampling, restarts):
    options = {"restart_marker_blocks": restarts} if restarts else {}
    data = encode(picture, subsampling=SUBSAMPLINGS[subsampling], **options)
    assert not judge(data)
    assert [judge(shorten(data, share)) for share in (0.0, 0.1, 0.5, 0.9, 0.98)] == [True] * 5


@pytest.mark.parametrize("height", range(1, 10))
@pytest.mark.parametrize("width", [1, 4, 5, 40])
def test_a_whole_scan_of_a_few_rows_is_not_short(picture, height, width):
    assert not judge(encode(picture[:height, :width]))
    assert not judge(encode(np.full((height, width, 3), 128, np.uint8)))


def test_a_short_run_between_restart_markers(picture):
    """What follows is in its place again, so that grey lies in the middle of the picture."""
    data = encode(picture, restart_marker_blocks=16)
    marker = data.index(b"\xff\xd3")
    assert judge(data[: marker - 300] + data[marker:])


def test_progressive_ones(picture):
    data = encode(picture, progressive=True, subsampling=0)
    assert not judge(data)
    assert judge(shorten(data, 0.9))


@pytest.mark.parametrize("level", [127, 128, 129])
def test_true_grey_is_no_damage(level):
    for options in ({}, {"progressive": True}, {"restart_marker_blocks": 2}):
        assert not judge(encode(np.full((64, 64, 3), level, np.uint8), **options))
        assert not judge(encode(np.full((64, 64), level, np.uint8), **options))


def write_tiff(path: Path, picture: np.ndarray, streams: list[bytes]) -> Path:
    """A TIFF of two tiles, whose JPEG streams are these."""
    tifffile.imwrite(
        path,
        iter(streams),
        shape=(256, 512, 3),
        dtype=picture.dtype,
        tile=(256, 256),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=(1, 1),
        metadata=None,
    )
    return path


def test_in_a_tile_of_a_tiff(tmp_path, picture):
    data = encode(picture, subsampling=0)
    path = write_tiff(tmp_path / "a.tif", picture, [data, shorten(data, 0.6)])
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read_tile(0, 0, 0), imagecodecs.jpeg8_decode(data))
        with pytest.raises(DamagedSlideError, match=r"(?s)cannot be decoded.*ends before its last pixels"):
            slide.read_tile(0, 0, 1)


def test_in_a_picture(tmp_path, picture):
    path = tmp_path / "a.jpg"
    path.write_bytes(shorten(encode(picture), 0.6))
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="ends before its last pixels"):
        slide.read_region(0, RegionPx(0, 0, 64, 64))
    path.write_bytes(encode(np.full_like(picture, 128)))
    with open_slide(path) as slide:
        assert (slide.read_region(0, RegionPx(0, 0, 256, 256)) == 128).all()


@pytest.mark.parametrize("is_whole", [True, False])
def test_in_a_frame_of_dicom(picture, is_whole):
    from napari_nic.slides.readers.dicom_pixels import JPEG, DicomPixels, decode_frame

    pixels = DicomPixels(JPEG[0], "YBR_FULL_422", 3, 8, 8, (256, 256), "ycbcr")
    data = encode(picture)
    if is_whole:
        assert decode_frame(data, pixels).shape == (256, 256, 3)
    else:
        with pytest.raises(ValueError, match="ends before its last pixels"):
            decode_frame(shorten(data, 0.7), pixels)
