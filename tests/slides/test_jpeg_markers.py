"""What JPEG and JPEG 2000 streams say of their own colours."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_nic.slides.readers.jpeg_markers import read_jpeg, read_jpeg2000

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def without(data: bytes, marker: int) -> bytes:
    """Cut the segments of one marker out of a JPEG stream."""
    at = 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] == marker:
            data = data[:at] + data[at + 2 + length :]
        else:
            at += 2 + length
    return data


def pillow(subsampling: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "JPEG", subsampling=subsampling)
    return stream.getvalue()


def test_jfif_is_ycbcr():
    facts = read_jpeg(pillow(0))
    assert (facts.samples, facts.colors, facts.why) == (3, "ycbcr", "its JFIF marker")


def test_coarse_chroma_is_ycbcr():
    assert read_jpeg(without(pillow(2), 0xE0)).colors == "ycbcr"


def test_a_stream_without_markers_says_nothing():
    assert read_jpeg(without(pillow(0), 0xE0)).colors is None


def test_adobe_says_which():
    rgb = imagecodecs.jpeg8_encode(PICTURE, colorspace="RGB", outcolorspace="RGB")
    assert (read_jpeg(rgb).colors, read_jpeg(rgb).why) == ("rgb", "its Adobe marker")
    ycbcr = rgb.replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\x01")
    assert read_jpeg(ycbcr).colors in ("ycbcr", None)  # None where the components are named R, G, B


def test_a_stream_that_says_both_says_nothing():
    rgb = imagecodecs.jpeg8_encode(PICTURE, colorspace="RGB", outcolorspace="RGB")
    jfif = pillow(0)[2:20]
    assert read_jpeg(rgb[:2] + jfif + rgb[2:]).colors is None


def test_grey_and_rubbish_say_nothing():
    assert read_jpeg(imagecodecs.jpeg8_encode(PICTURE[..., 0].copy())).colors is None
    for data in (b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\x10JFIF", b"\xff\xd8\xff\xff\xff\xff", b"\0" * 50):
        assert read_jpeg(data).colors is None


@pytest.mark.parametrize("container", ["j2k", "jp2"])
def test_jpeg_2000_says_whether_it_transforms(container):
    plain = imagecodecs.jpeg2k_encode(PICTURE, codecformat=container, mct=False)
    transformed = imagecodecs.jpeg2k_encode(PICTURE, codecformat=container, mct=True)
    assert [read_jpeg2000(data).has_transform for data in (plain, transformed)] == [False, True]
    assert read_jpeg2000(plain).samples == 3
    assert not read_jpeg2000(plain).is_subsampled
    assert read_jpeg2000(b"none") is None
