"""JPEG 2000 tiles: the codestream knows their colours, Aperio's codes only hint; against OpenSlide."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from napari_nic.slides import open_slide
from napari_nic.slides.readers.codestreams import read_jpeg2000_header

SIDE = 256
APERIO = "Aperio Image Library v11.2.1\n256x256 [0,0 256x256] (256x256) |AppMag = 20|MPP = 0.4990"


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.stack([150 + y // 3, 60 + x // 3, 120 + (x + y) // 8], axis=-1).astype(np.uint8)


def ycbcr_planes(image: np.ndarray) -> list[np.ndarray]:
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = (y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402)
    return [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes]


def codestream(planes: list[np.ndarray], steps: list[tuple[int, int]]) -> bytes:
    """Join codestreams of one component each to one of three, each `steps` (x, y) apart.

    No encoder at hand writes subsampled components. In the order component, place, resolution, packets of a
    component follow one another, so that those of single components can be put in a row.
    """
    height, width = planes[0].shape
    header, bodies = b"", []
    for plane in planes:
        options = {"codecformat": "j2k", "mct": False, "level": 0, "reversible": True, "resolutions": 4}
        stream = imagecodecs.jpeg2k_encode(np.ascontiguousarray(plane), **options)
        start = stream.index(b"\xff\x90")
        header = header or stream[:start]
        bodies.append(stream[stream.index(b"\xff\x93", start) + 2 : -2])
    size = struct.pack(">HHHIIIIIIIIH", 0xFF51, 47, 0, width, height, 0, 0, width, height, 0, 0, 3)
    size += b"".join(bytes((7, *step)) for step in steps)
    coding = bytearray(_segment(header, b"\xff\x52"))
    coding[5] = 4  # the order of packets
    body = b"".join(bodies)
    tile = struct.pack(">HHHIBB", 0xFF90, 10, 0, 14 + len(body), 0, 1) + b"\xff\x93" + body
    return b"\xff\x4f" + size + bytes(coding) + _segment(header, b"\xff\x5c") + tile + b"\xff\xd9"


def _segment(header: bytes, marker: bytes) -> bytes:
    at = header.index(marker)
    return header[at : at + 2 + struct.unpack(">H", header[at + 2 : at + 4])[0]]


def streams(image: np.ndarray) -> dict[str, bytes]:
    y, cb, cr = ycbcr_planes(image)
    rgb = {"codecformat": "j2k", "level": 0}
    return {
        "YCbCr 4:4:4": codestream([y, cb, cr], [(1, 1)] * 3),
        "YCbCr 4:2:2": codestream([y, cb[:, ::2], cr[:, ::2]], [(1, 1), (2, 1), (2, 1)]),
        "YCbCr 4:2:0": codestream([y, cb[::2, ::2], cr[::2, ::2]], [(1, 1), (2, 2), (2, 2)]),
        "RGB": bytes(imagecodecs.jpeg2k_encode(image, mct=False, **rgb)),
        "RGB transformed": bytes(imagecodecs.jpeg2k_encode(image, mct=True, **rgb)),
    }


def write(
    path: Path, stream: bytes, code: int, photometric: int = 2, description: str | None = APERIO
) -> Path:
    options = {"shape": (SIDE, SIDE, 3), "dtype": np.uint8, "tile": (SIDE, SIDE), "metadata": None}
    tifffile.imwrite(
        path, iter([stream]), photometric="rgb", compression=code, description=description, **options
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags[262].overwrite(photometric)
    return path


def read(path: Path, reader: str | None = None) -> np.ndarray:
    with open_slide(path, reader=reader) as slide:
        return slide.read_tile(0, 0, 0).astype(int)


@pytest.mark.parametrize("kind", ["YCbCr 4:4:4", "YCbCr 4:2:2", "YCbCr 4:2:0"])
def test_aperio_33003_is_openslides(tmp_path, image, kind):
    path = write(tmp_path / "slide.svs", streams(image)[kind], 33003)
    assert np.abs(read(path) - image).max() <= 3
    assert (
        np.abs(read(path) - read(path, "openslide")).max() <= 2
    )  # OpenJPEG's conversion cuts off, theirs rounds
    with open_slide(path) as slide:
        assert not slide.notices


@pytest.mark.parametrize("kind", ["RGB", "RGB transformed"])
def test_aperio_33005_is_openslides(tmp_path, image, kind):
    path = write(tmp_path / "slide.svs", streams(image)[kind], 33005)
    np.testing.assert_array_equal(read(path), image)
    np.testing.assert_array_equal(read(path), read(path, "openslide"))


def test_33003_whose_codestream_was_made_of_rgb(tmp_path, image):
    """The encoder's own transform gives RGB back: converting once more would be magenta."""
    path = write(tmp_path / "slide.svs", streams(image)["RGB transformed"], 33003)
    np.testing.assert_array_equal(read(path), image)
    with open_slide(path) as slide:
        assert [notice for notice in slide.notices if "JPEG 2000 tiles hold RGB" in notice]


@pytest.mark.parametrize("kind", ["YCbCr 4:2:2", "YCbCr 4:2:0"])
@pytest.mark.parametrize("code", [33005, 34712])
def test_subsampled_components_are_no_rgb_whatever_the_code(tmp_path, image, kind, code):
    path = write(tmp_path / "slide.tif", streams(image)[kind], code)
    assert np.abs(read(path) - image).max() <= 3


@pytest.mark.parametrize(
    ("kind", "photometric"), [("YCbCr 4:4:4", 6), ("YCbCr 4:2:2", 6), ("RGB transformed", 6), ("RGB", 2)]
)
def test_the_standards_own_code(tmp_path, image, kind, photometric):
    path = write(tmp_path / "slide.tif", streams(image)[kind], 34712, photometric, None)
    assert np.abs(read(path) - image).max() <= 3


def test_headers(image):
    made = {kind: read_jpeg2000_header(stream) for kind, stream in streams(image).items()}
    assert {kind for kind, header in made.items() if header and header.is_subsampled} == {
        "YCbCr 4:2:2",
        "YCbCr 4:2:0",
    }
    assert {kind for kind, header in made.items() if header and header.is_transformed} == {"RGB transformed"}
    assert all(
        header and (header.height, header.width, header.samples, header.bits) == (256, 256, 3, 8)
        for header in made.values()
    )
    boxed = read_jpeg2000_header(bytes(imagecodecs.jpeg2k_encode(image, codecformat="jp2")))
    assert boxed is not None
    assert boxed.is_boxed
    assert read_jpeg2000_header(b"\xff\x4f\xff\x51\0") is None
    assert read_jpeg2000_header(b"nothing of the kind, but long enough to be looked at" * 2) is None


@pytest.mark.data
def test_a_real_slide_is_openslides(data_dir):
    path = data_dir / "slides_real" / "svs" / "luna_1065626.svs"
    if not path.is_file():
        pytest.skip("the slide with subsampled JPEG 2000 tiles is not there")
    with open_slide(path, color="raw") as ours, openslide.OpenSlide(path) as oracle:
        assert [(level.width, level.height) for level in ours.levels] == list(oracle.level_dimensions)
        coarse = ours.levels[1]
        pixels = ours.read_region(1, coarse.region).astype(int)
        whole = oracle.read_region((0, 0), 1, (coarse.width, coarse.height)).convert("RGB")
        assert np.abs(pixels - np.asarray(whole)).max() <= 1
        assert pixels.mean() > 150  # glass, not magenta
