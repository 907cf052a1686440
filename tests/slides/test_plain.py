"""Plain pictures: decoded whole when first needed; coarser levels made on demand."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from napari_nic.errors import (
    DamagedSlideError,
    MissingPixelSizeError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.slides import open_slide
from napari_nic.slides.readers import plain


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
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="cut off before its end"):
        slide.read_tile(0, 0, 0)


def test_a_broken_header(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    with pytest.raises(DamagedSlideError, match="the picture's header cannot be read"):
        open_slide(path)


# -- PNG ---------------------------------------------------------------------------------------------------


def png(tmp_path, image: Image.Image, name: str = "picture.png", chunks=(), **options) -> Path:
    """Write a PNG with further chunks behind its header."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    data = buffer.getvalue()
    extra = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    path = tmp_path / name
    path.write_bytes(data[:33] + extra + data[33:])
    return path


def test_16_bit_grey_keeps_the_high_byte(tmp_path):
    grey = np.full((60, 80), 240, np.uint16)
    grey[20:40, 30:50] = 60
    Image.fromarray(grey * 257 - 100).save(tmp_path / "grey.png")
    expected = np.repeat(((grey * 257 - 100) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_all(tmp_path / "grey.png"), expected)


def test_16_bit_colours_keep_the_high_byte(tmp_path, small_image):
    deep = small_image.astype(np.uint16) * 256 + 200
    for samples in (deep, np.dstack([deep, np.full(deep.shape[:2], 65535, np.uint16)])):
        (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(samples))
        np.testing.assert_array_equal(read_all(tmp_path / "deep.png"), small_image)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_16_bit_samples_of_a_camera_of_fewer_bits(tmp_path, small_image, bits, kind):
    deep = small_image.astype(np.uint16) << (bits - 8)
    deep[0, 0] = 255 << (bits - 8)
    alpha = np.full(deep.shape[:2], 65535, np.uint16)
    samples = {"grey": deep[..., 0], "rgb": deep, "rgba": np.dstack([deep, alpha])}[kind]
    path = tmp_path / "camera.png"
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(samples)))
    with open_slide(path) as slide:
        assert f"shown as samples of {bits} bits" in slide.notices[0]
        pixels = slide.read_region(0, slide.levels[0].region)
    truth = np.repeat(deep[..., :1], 3, axis=2) if kind == "grey" else deep
    np.testing.assert_array_equal(pixels, truth >> (bits - 8))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_samples_of_fewer_bits_are_turned_like_others(tmp_path, small_image, orientation):
    few = small_image[..., 0].astype(np.uint16) << 4
    for name, samples in (("few", few), ("all", few << 4)):
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(samples).save(tmp_path / f"{name}.png", exif=exif)
    np.testing.assert_array_equal(read_all(tmp_path / "few.png"), read_all(tmp_path / "all.png"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_is_pillows(tmp_path, small_image, mode):
    image = Image.fromarray(small_image).convert(mode)
    path = png(tmp_path, image)
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image.convert("RGBA"))
    np.testing.assert_array_equal(read_all(path), np.asarray(flat.convert("RGB")))


def test_one_transparent_colour_lies_on_white(tmp_path):
    for image, transparent in (
        (Image.new("RGB", (40, 30), (9, 8, 7)), (9, 8, 7)),
        (Image.new("L", (40, 30), 9), 9),
        (Image.new("I;16", (40, 30), 40_000), 40_000),
    ):
        assert (read_all(png(tmp_path, image, transparency=transparent)) == 255).all()
    other = Image.new("I;16", (40, 30), 40_001)  # of the same high byte, and not transparent
    assert (read_all(png(tmp_path, other, transparency=40_000)) == 156).all()


def test_a_palette_with_transparency_lies_on_white(tmp_path):
    image = Image.new("P", (40, 30), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert (read_all(png(tmp_path, image, transparency=1)) == 255).all()
    assert (read_all(png(tmp_path, image, transparency=0)) == (10, 20, 30)).all()


def test_an_animation_shows_its_first_picture_and_says_so(tmp_path, small_image):
    path = tmp_path / "film.png"
    first = Image.fromarray(small_image)
    first.save(path, save_all=True, append_images=[Image.fromarray(255 - small_image)])
    with open_slide(path) as slide:
        assert slide.notices == ("an animation of 2 pictures, of which the first is shown",)
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), small_image)


def test_a_gamma_that_is_not_applied_is_told(tmp_path):
    image = Image.new("RGB", (40, 30))
    with open_slide(png(tmp_path, image, chunks=[(b"gAMA", struct.pack(">I", 100_000))])) as slide:
        assert slide.notices == ("the file states a gamma of 1, which is not applied",)
    for chunks in (
        [(b"gAMA", struct.pack(">I", 45_455))],
        [(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")],
    ):
        with open_slide(png(tmp_path, image, chunks=chunks)) as slide:
            assert slide.notices == ()


def test_png_pixel_sizes(tmp_path):
    image = Image.new("RGB", (40, 30))
    per_metre = struct.pack(">IIB", 4_000_000, 2_000_000, 1)
    with open_slide(png(tmp_path, image, chunks=[(b"pHYs", per_metre)])) as slide:
        assert slide.pixel_size is not None
        assert (slide.pixel_size.y, slide.pixel_size.x) == (0.5, 0.25)
        assert slide.pixel_size.source == "png resolution"
    with open_slide(png(tmp_path, image, chunks=[(b"pHYs", struct.pack(">IIB", 2, 1, 0))])) as slide:
        assert slide.pixel_size is None
        assert slide.notices == ("its pixels are not square by its header (1 : 2)",)


def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path, small_image):
    path = png(tmp_path, Image.fromarray(small_image), compress_level=0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1  # one sample of a picture that is not compressed: zlib would not see it here
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="checksum of the part IDAT"):
        slide.read_tile(0, 0, 0)


def test_a_png_that_cannot_hold_what_it_states(tmp_path):
    path = png(tmp_path, Image.new("RGB", (40, 30)))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError, match="cannot hold the 30000 x 30000 px"):
        open_slide(path)
    data[16:24] = struct.pack(">II", 0, 30)
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError, match="a picture of 0 x 30 px"):
        open_slide(path)


def test_more_than_the_free_memory_is_refused(tmp_path, small_image, monkeypatch):
    path = png(tmp_path, Image.fromarray(small_image))
    monkeypatch.setattr(plain, "free_memory", lambda: 1_000_000)
    with pytest.raises(UnreadableSlideError, match=r"(?s)701 x 903 px must be decoded whole.*not free.*vips"):
        open_slide(path)
    monkeypatch.undo()
    with open_slide(path) as slide:
        monkeypatch.setattr(plain, "free_memory", lambda: 1_000_000)
        with pytest.raises(UnreadableSlideError, match="not free"):
            slide.read_tile(0, 0, 0)


# -- JPEG --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("cut", [0.4, 0.7, 0.999])
def test_a_cut_off_jpeg_is_never_filled_with_grey(tmp_path, small_image, options, cut):
    path = tmp_path / "picture.jpg"
    Image.fromarray(small_image).save(path, **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="cut off before its end"):
        slide.read_tile(0, 0, 0)


def test_what_follows_a_jpeg_does_no_harm(tmp_path, small_image):
    path = tmp_path / "picture.jpg"
    Image.fromarray(small_image).save(path, progressive=True)
    expected = np.asarray(Image.open(path))
    path.write_bytes(path.read_bytes() + b"\0" * 5000 + b"\xff\xd8\xff")
    np.testing.assert_array_equal(read_all(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_every_viewer(tmp_path, small_image, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    for suffix in (".jpg", ".png"):
        path = tmp_path / f"turned{suffix}"
        Image.fromarray(small_image).save(path, exif=exif, dpi=(101_600, 50_800))
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        with open_slide(path) as slide:
            assert slide.levels[0].shape == expected.shape[:2]
            np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), expected)
            if suffix == ".png":  # a JFIF density has two bytes: too few for a microscope
                sides = slide.require_pixel_size().y, slide.require_pixel_size().x
                assert sides == pytest.approx((0.25, 0.5) if orientation >= 5 else (0.5, 0.25))


def test_grey_and_cmyk(tmp_path, small_image):
    for mode in ("L", "CMYK"):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(small_image).convert(mode).save(path, quality=95)
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_all(path), np.asarray(image.convert("RGB")))
    with open_slide(tmp_path / "CMYK.jpg") as slide:
        assert slide.notices[0].startswith("printing colours (CMYK)")
    # Adobe writes inks inverted: glass must stay bright.
    Image.new("RGB", (64, 64), (240, 240, 240)).convert("CMYK").save(tmp_path / "glass.jpg")
    assert read_all(tmp_path / "glass.jpg").min() > 230


def patched_frame(tmp_path, marker: int | None = None, bits: int = 8) -> Path:
    """A JPEG whose frame header says something else."""
    path = tmp_path / "odd.jpg"
    Image.new("RGB", (64, 64)).save(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 1] = marker or 0xC0
    data[at + 4] = bits
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("marker", "bits", "reason"),
    [(None, 12, "of 12 bits a sample"), (0xC3, 8, "a lossless JPEG"), (0xF7, 8, "a JPEG-LS JPEG")],
)
def test_kinds_of_jpeg_that_are_not_decoded(tmp_path, marker, bits, reason):
    with pytest.raises(UnsupportedPixelsError, match=reason):
        open_slide(patched_frame(tmp_path, marker, bits))


def jfif(tmp_path, unit: int, x: int, y: int) -> Path:
    path = tmp_path / "density.jpg"
    Image.new("RGB", (64, 64)).save(path)
    data = bytearray(path.read_bytes())
    data[13:18] = struct.pack(">BHH", unit, x, y)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("unit", "x", "y", "um"),
    [(1, 50_800, 25_400, (1.0, 0.5)), (2, 40_000, 20_000, (0.5, 0.25)), (0, 1, 1, None), (2, 0, 0, None)],
)
def test_jfif_densities(tmp_path, unit, x, y, um):
    with open_slide(jfif(tmp_path, unit, x, y)) as slide:
        found = slide.pixel_size
        assert (None if found is None else (found.y, found.x)) == um
        if um is None:
            assert slide.pixel_size_note == "the file states no micrometres per pixel"


def test_exif_states_both_axes(tmp_path):
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 40_000.0, 20_000.0, 3
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg", exif=exif)
    with open_slide(jfif_of(tmp_path / "a.jpg")) as slide:
        size = slide.require_pixel_size()
        assert (size.y, size.x, size.source) == (0.5, 0.25, "exif")


def jfif_of(path: Path) -> Path:
    """Make a JPEG's own density one of aspect only, which says nothing."""
    data = bytearray(path.read_bytes())
    at = data.find(b"JFIF\0")
    if at >= 0:
        data[at + 7] = 0
        path.write_bytes(data)
    return path


def test_a_jpeg_that_cannot_hold_what_it_states(tmp_path):
    path = patched_frame(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError, match="cannot hold the 60000 x 60000 px"):
        open_slide(path)


def test_damaged_notes_of_a_camera_do_no_harm(tmp_path, small_image):
    path = tmp_path / "a.jpg"
    Image.fromarray(small_image).save(path, exif=b"Exif\0\0garbage that is none")
    assert read_all(path).shape == small_image.shape


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def deep_png(path: Path, samples: np.ndarray, *, is_interlaced: bool, significant: int | None = None) -> Path:
    """A PNG of 16 bits, written by hand: no library writes interlaced ones."""
    height, width, count = samples.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in (_ADAM7 if is_interlaced else ((0, 0, 1, 1),))]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in parts if part.size for row in part)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, int(is_interlaced))
    stated = chunk(b"sBIT", bytes([significant] * count)) if significant else b""
    data = chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + stated + data + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("is_interlaced", [False, True])
@pytest.mark.parametrize(
    ("significant", "shift", "is_told"),
    [(None, 0, True), (None, 4, False), (12, 0, True), (12, 4, False), (16, 4, False)],
)
def test_samples_of_12_bits_in_16(tmp_path, capfd, count, is_interlaced, significant, shift, is_told):
    """Cameras leave them at the lower end, PNG wants them at the upper one; a line of a file may say so."""
    y, x = np.mgrid[:50, :61]
    samples = np.stack([(x * 31 + y * step) % 4096 << shift for step in (7, 70, 700, 1)[:count]], axis=-1)
    if count in (2, 4):
        samples[..., -1] = 65535
    path = deep_png(tmp_path / "a.png", samples, is_interlaced=is_interlaced, significant=significant)
    colors = samples[..., : count - (count in (2, 4))] >> (4 + shift)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(
            slide.read_region(0, slide.levels[0].region), np.broadcast_to(colors, (50, 61, 3))
        )
        assert len(slide.notices) == int(is_told)
    assert capfd.readouterr() == ("", "")


def test_dark_samples_of_which_all_bits_count(tmp_path):
    """The file says so: nothing is guessed."""
    samples = np.full((50, 61, 1), 1000, np.uint16)
    with open_slide(deep_png(tmp_path / "a.png", samples, is_interlaced=False, significant=16)) as slide:
        assert (slide.read_tile(0, 0, 0) == 3).all()
        assert slide.notices == ()
    # Ten bits, brought to sixteen, of a dark picture: its values would fit twelve.
    with open_slide(deep_png(tmp_path / "b.png", samples * 4, is_interlaced=True, significant=10)) as slide:
        assert (slide.read_tile(0, 0, 0) == 15).all()
        assert slide.notices == ()
