"""ICC profile to sRGB: equal to LittleCMS, by either of its two ways, from any thread."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.slides import color as color_module
from napari_nic.slides import open_slide
from napari_nic.slides.color import ColorTransform, plan_color

WHITE = (0.9642, 1.0, 0.8249)  # D50, the white of the profile connection space
SCANNER = ((0.5, 0.3, 0.02), (0.3, 0.6, 0.08), (0.16, 0.1, 0.72))


def matrix_profile(gamma: float = 1.8, space: bytes = b"RGB ") -> bytes:
    """Make a small ICC profile (version 2, matrix and curves) of a scanner unlike sRGB, by hand."""
    totals = [sum(primary[i] for primary in SCANNER) for i in range(3)]
    primaries = [[p[i] * WHITE[i] / totals[i] for i in range(3)] for p in SCANNER]

    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    name = b"Test scanner\0"
    text = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = [(b"desc", text + bytes(-len(text) % 4)), (b"wtpt", b"XYZ " + bytes(4) + fixed(WHITE))]
    for channel, primary in zip(b"rgb", primaries, strict=True):
        tags.append((bytes([channel]) + b"XYZ", b"XYZ " + bytes(4) + fixed(primary)))
        tags.append((bytes([channel]) + b"TRC", curve))
    tags.append((b"cprt", b"text" + bytes(4) + b"none"))
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for signature, data in tags:
        table += signature + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I4xI", offset + len(body), 0x02400000) + b"mntr" + space + b"XYZ "
    head += struct.pack(">6H", 2025, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(WHITE)
    return head.ljust(128, b"\0") + table + body


def by_pillow(pixels: np.ndarray, profile: bytes) -> np.ndarray:
    """The oracle: Pillow's one-off conversion."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(
        ImageCms.profileToProfile(Image.fromarray(pixels), source, ImageCms.createProfile("sRGB"))
    )


@pytest.fixture
def eager_table(monkeypatch):
    """Make the table at the first pixel."""
    monkeypatch.setattr(color_module, "TABLE_AFTER_PIXELS", 1)


def test_direct_conversion_is_pillows(small_image):
    transform = ColorTransform(matrix_profile())
    converted = transform.apply(small_image)
    np.testing.assert_array_equal(converted, by_pillow(small_image, matrix_profile()))
    assert np.abs(converted.astype(int) - small_image).mean() > 3  # it does something


def test_table_gives_the_same_bytes(eager_table):
    """On every colour of a random million and on the corners."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1000, 1000, 3), np.uint8)
    pixels[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    transform = ColorTransform(matrix_profile())
    converted = transform.apply(pixels)
    assert transform._table is not None
    np.testing.assert_array_equal(converted, by_pillow(pixels, matrix_profile()))


def test_threads_meet_either_way(monkeypatch, small_image):
    monkeypatch.setattr(color_module, "TABLE_AFTER_PIXELS", 2 * small_image[..., 0].size)
    transform = ColorTransform(matrix_profile())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(transform.apply, [small_image] * 8))
    expected = by_pillow(small_image, matrix_profile())
    assert all(np.array_equal(result, expected) for result in results)
    assert transform._table is not None


def test_the_input_is_left_alone(eager_table, small_image):
    before = small_image.copy()
    ColorTransform(matrix_profile()).apply(small_image)
    np.testing.assert_array_equal(small_image, before)


def test_srgb_itself_is_passed_through(small_image):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    transform = ColorTransform(profile)
    assert transform.is_identity
    assert transform.apply(small_image) is small_image


@pytest.mark.parametrize("profile", [b"", b"nonsense", matrix_profile(space=b"CMYK"), matrix_profile()[:200]])
def test_a_profile_that_cannot_be_used_is_named_and_passed_over(profile):
    info, transform = plan_color(profile, to_srgb=True)
    assert transform is None
    assert not info.applied
    assert "unusable" in info.profile


@pytest.fixture(scope="module")
def profiled_path(tmp_path_factory, small_image):
    path = tmp_path_factory.mktemp("color") / "profiled.tif"
    options = {"tile": (256, 256), "compression": "zlib", "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, small_image, iccprofile=matrix_profile(), **options)
    return path


@pytest.mark.parametrize("reader", ["tiff", "openslide"])
def test_slides_come_as_srgb(profiled_path, small_image, reader):
    with open_slide(profiled_path, reader=reader) as slide:
        assert slide.color.profile == "Test scanner"
        assert slide.color.applied
        pixels = slide.read_region(0, RegionPx(0, 0, *small_image.shape[:2]))
        np.testing.assert_array_equal(slide.read_tile(0, 1, 1), pixels[256:512, 256:512])
    np.testing.assert_array_equal(pixels, by_pillow(small_image, matrix_profile()))


def test_raw_on_demand(profiled_path, small_image):
    with open_slide(profiled_path, color="raw") as slide:
        assert slide.color.profile == "Test scanner"
        assert not slide.color.applied
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


@pytest.mark.parametrize("word", ["sRGB", "RGB", "", None])
def test_another_word_is_no_way_to_ask_for_raw(profiled_path, word):
    with pytest.raises(InvalidParameterError, match=r"(?s)no such colours.*srgb or raw"):
        open_slide(profiled_path, color=word)
    with open_slide(profiled_path) as slide, pytest.raises(InvalidParameterError, match="no such colours"):
        slide.with_color(word)


def test_colours_of_an_open_slide_can_be_changed(profiled_path, small_image):
    with open_slide(profiled_path) as slide:
        whole = slide.levels[0].region
        converted = slide.read_region(0, whole)
        raw = slide.with_color("raw")
        assert not raw.color.applied
        np.testing.assert_array_equal(raw.read_region(0, whole), small_image)
        np.testing.assert_array_equal(slide.read_region(0, whole), converted)
        np.testing.assert_array_equal(raw.with_color("srgb").read_region(0, whole), converted)
        assert raw.fingerprint == slide.fingerprint
        coarse = raw.with_pixel_size(0.5).pyramid()[-1]
        assert coarse.name != slide.pyramid()[-1].name


def test_raw_and_srgb_have_arrays_of_different_names(profiled_path):
    with open_slide(profiled_path) as one, open_slide(profiled_path, color="raw") as other:
        assert one.pyramid()[0].name != other.pyramid()[0].name


def test_plain_pictures_have_profiles_too(tmp_path, small_image):
    path = tmp_path / "picture.png"
    Image.fromarray(small_image).save(path, icc_profile=matrix_profile())
    with open_slide(path) as slide:
        assert slide.color.applied
        pixels = slide.read_region(0, slide.levels[0].region)
    np.testing.assert_array_equal(pixels, by_pillow(small_image, matrix_profile()))
