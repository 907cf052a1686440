"""The OpenSlide reader: DICOM, companion files, transparency, metadata."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import (
    DamagedSlideError,
    NicError,
    SlideNotFoundError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
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


# -- MIRAX -------------------------------------------------------------------------------------------------


@pytest.fixture
def mirax(tmp_path, dialects, small_image) -> Path:
    return dialects["mirax"](tmp_path / "slide.mrxs", small_image)


def test_mirax(mirax, small_image):
    with open_slide(mirax) as slide:
        assert (slide.reader, slide.vendor) == ("openslide", "mirax")
        assert [level.shape for level in slide.levels] == [(768, 1024), (384, 512)]
        assert slide.require_pixel_size().x == 0.5
        pixels = slide.read_region(0, RegionPx(0, 0, *small_image.shape[:2]))
    assert np.abs(pixels.astype(np.int16) - small_image).mean() < 2


@pytest.mark.parametrize("name", ["Slidedat.ini", "Index.dat", "Data0000.dat"])
@pytest.mark.parametrize("damage", ["gone", "empty", "head", "garbage", "zeros"])
def test_a_mirax_whose_parts_are_lost_is_never_its_thumbnail(mirax, name, damage):
    part = mirax.with_suffix("") / name
    data = part.read_bytes()
    if damage == "gone":
        part.unlink()
    else:
        cut = {"empty": b"", "head": data[: len(data) // 3], "garbage": b"\xa5" * len(data)}
        part.write_bytes(cut.get(damage, bytes(len(data))))
    with pytest.raises(NicError) as caught:
        read_every_tile(mirax)  # of its own size, though tiles are lost
    assert not isinstance(caught.value, UnsupportedPixelsError)
    assert "slide.mrxs" in str(caught.value)
    assert caught.value.hint


def read_every_tile(path: Path) -> None:
    with open_slide(path) as slide:
        assert slide.vendor in ("mirax", "hamamatsu")
        assert min(slide.levels[0].shape) > 700
        for level, geometry in enumerate(slide.levels):
            for row, col in np.ndindex(*geometry.tile_grid):
                slide.read_tile(level, row, col)


def test_every_prefix_of_a_mirax_index_is_refused(mirax):
    for name in ("Index.dat", "Slidedat.ini"):
        part = mirax.with_suffix("") / name
        data = part.read_bytes()
        for share in np.linspace(0, 0.97, 25):
            part.write_bytes(data[: int(len(data) * share)])
            with pytest.raises(NicError):
                open_slide(mirax)
        part.write_bytes(data)
    open_slide(mirax).close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("IMAGENUMBER_X=8", "IMAGENUMBER_X=2000000000"),
        ("IMAGENUMBER_Y=6", "IMAGENUMBER_Y=0"),
        ("IMAGENUMBER_Y=6", "IMAGENUMBER_Y=-6"),
        ("FILE_COUNT=1", "FILE_COUNT=2000000000"),
        ("FILE_COUNT=1", "FILE_COUNT=x"),
        ("[HIERARCHICAL]", "[HIER"),
    ],
)
def test_absurd_numbers_in_a_mirax_never_reach_openslide(mirax, old, new):
    ini = mirax.with_suffix("") / "Slidedat.ini"
    text = ini.read_text("utf-8-sig")
    assert old in text
    ini.write_text(text.replace(old, new), encoding="utf-8-sig")
    with pytest.raises(DamagedSlideError, match=r"Slidedat\.ini is damaged"):
        open_slide(mirax)


def test_filters_of_a_mirax_are_never_shown_as_rgb(mirax):
    ini = mirax.with_suffix("") / "Slidedat.ini"
    text = ini.read_text("utf-8-sig")
    ini.write_text(text.replace("[GENERAL]", "[GENERAL]\nSLIDE_TYPE = SLIDE_TYPE_BRIGHTFIELD"), "utf-8")
    open_slide(mirax).close()
    ini.write_text(text.replace("[GENERAL]", "[GENERAL]\nSLIDE_TYPE = SLIDE_TYPE_FLUORESCENCE"), "utf-8")
    with pytest.raises(UnsupportedPixelsError, match="separate channels"):
        open_slide(mirax)


def test_a_pipe_among_the_parts_of_a_mirax(mirax):
    part = mirax.with_suffix("") / "Data0000.dat"
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(UnreadableSlideError, match="not a regular file"):
        open_slide(mirax)


def test_parts_of_a_mirax_say_what_to_open(mirax):
    folder = mirax.with_suffix("")
    for path in (folder, *folder.iterdir()):
        with pytest.raises(UnreadableSlideError, match=r"(?s)of a MIRAX slide.*open slide\.mrxs instead"):
            open_slide(path)


def test_one_bad_tile_does_not_spoil_the_others(mirax):
    part = mirax.with_suffix("") / "Data0000.dat"
    data = bytearray(part.read_bytes())
    data[:400] = bytes(400)  # the first tile's JPEG
    part.write_bytes(data)
    with open_slide(mirax) as slide:
        for _ in range(2):
            with pytest.raises(DamagedSlideError, match=r"tile \(0, 0\) of level 0"):
                slide.read_tile(0, 0, 0)
            assert slide.read_tile(0, 3, 3).shape == (128, 128, 3)


# -- VMS ---------------------------------------------------------------------------------------------------


@pytest.fixture
def vms(tmp_path, dialects, small_image) -> Path:
    return dialects["vms"](tmp_path / "slide.vms", small_image)


def test_vms(vms, small_image):
    with open_slide(vms) as slide:
        assert (slide.reader, slide.vendor) == ("openslide", "hamamatsu")
        assert slide.require_pixel_size().x == pytest.approx(0.5, rel=1e-3)
        pixels = slide.read_region(0, RegionPx(0, 0, *small_image.shape[:2]))
    assert np.abs(pixels.astype(np.int16) - small_image).mean() < 2


def test_the_jpegs_of_a_vms_are_no_slides(vms):
    for name in ("slide.jpg", "slide_map2.jpg", "slide_macro.jpg"):
        with pytest.raises(
            UnreadableSlideError, match=r"(?s)a part of a Hamamatsu VMS slide.*open slide\.vms"
        ):
            open_slide(vms.with_name(name))


@pytest.mark.parametrize("name", ["slide.jpg", "slide_map2.jpg"])
@pytest.mark.parametrize("share", [0, 0.3])
def test_a_vms_whose_jpegs_are_cut_off(vms, name, share):
    part = vms.with_name(name)
    part.write_bytes(part.read_bytes()[: int(part.stat().st_size * share)])
    with pytest.raises(NicError) as caught:
        read_every_tile(vms)
    assert "slide.vms" in str(caught.value)


@pytest.mark.parametrize("key", ["NoJpegColumns=1", "NoJpegRows=1", "NoLayers=1"])
@pytest.mark.parametrize("number", ["2147483647", "0", "-1", "x"])
def test_absurd_numbers_in_a_vms_never_reach_openslide(vms, key, number):
    text = vms.read_text("latin-1")
    vms.write_text(text.replace(key, f"{key.partition('=')[0]}={number}"), encoding="latin-1")
    with pytest.raises(DamagedSlideError, match="the list of its files says"):
        open_slide(vms)


# -- DICOM -------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_a_series_that_lacks_its_full_resolution(data_dir, tmp_path):
    source = data_dir / "slides_real" / "dicom" / "gcp-wsi2dcm-CMU-1-Small-Region"
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    folder = tmp_path / "series"
    shutil.copytree(source, folder)
    finest = next(folder.glob("level-0-*"))
    finest.unlink()
    for path in (folder, next(folder.iterdir())):
        with pytest.raises(SlideNotFoundError, match=r"(?s)full-resolution image.*missing.*1110 x 1483 px"):
            open_slide(path)


@pytest.mark.data
def test_a_label_alone_is_no_slide(dicom_path, tmp_path):
    for number, source in enumerate(sorted(dicom_path.iterdir())):
        folder = tmp_path / str(number)
        folder.mkdir()
        alone = Path(shutil.copy(source, folder))
        if b"VOLUME\\NONE" in alone.read_bytes()[:4096]:
            continue
        for path in (alone, folder):
            with pytest.raises(SlideNotFoundError, match="only a label, overview or thumbnail is here"):
                open_slide(path)


@pytest.mark.data
def test_a_pipe_beside_a_dicom_slide(dicom_path, tmp_path):
    folder = tmp_path / "series"
    shutil.copytree(dicom_path, folder)
    os.mkfifo(folder / "pipe.dcm")
    for path in (folder, next(folder.glob("1*.dcm"))):
        with pytest.raises(UnreadableSlideError, match=r"(?s)pipe\.dcm.*not a regular file"):
            open_slide(path, reader="openslide")  # which would open it, and wait for ever
        if importlib.util.find_spec("wsidicom") is not None:  # it opens the slide's own files only
            with open_slide(path) as slide:
                assert slide.reader == "wsidicom"


@pytest.mark.parametrize("damage", ["cut", "mark", "inner"])
def test_a_level_that_is_lost_is_told(tmp_path, small_image, make_dicom, damage):
    path = make_dicom(tmp_path / "slide", small_image)
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.notices) == (2, ())
    coarse = max(path.iterdir())
    data = bytearray(coarse.read_bytes())
    if damage == "cut":
        del data[140:]
    elif damage == "mark":
        data[128] = 0
    else:
        at = data.index(b"\x28\x00\x10\x00US")
        data[at + 6 : at + 8] = b"\xff\x7f"
    coarse.write_bytes(data)
    with open_slide(path) as slide:
        assert slide.levels[0].shape == small_image.shape[:2]
        assert slide.notices


def test_copies_and_notes_of_macos_beside_a_dicom_slide_are_no_damage(tmp_path, small_image, make_dicom):
    path = make_dicom(tmp_path / "slide", small_image)
    for file in sorted(path.iterdir()):
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7" + bytes(300))
    with open_slide(path) as slide:
        assert (slide.reader, len(slide.levels), slide.notices) == ("openslide", 2, ())


def jpeg_of(colors: str) -> Callable[[np.ndarray], bytes]:
    """Encode frames as JPEG whose Adobe or JFIF marker says `colors`."""
    return lambda frame: imagecodecs.jpeg8_encode(frame, level=95, colorspace="RGB", outcolorspace=colors)


@pytest.mark.parametrize("header", ["RGB", "YBR_FULL_422"])
@pytest.mark.parametrize("frames", ["RGB", "YCBCR"])
def test_colours_are_what_the_frames_say(tmp_path, small_image, make_dicom, header, frames):
    path = make_dicom(
        tmp_path / "slide",
        small_image,
        encode=jpeg_of(frames),
        syntax="1.2.840.10008.1.2.4.50",
        header={"PhotometricInterpretation": header},
    )
    with open_slide(path) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
        told = any("header says" in notice for notice in slide.notices)
    assert np.abs(pixels.astype(np.int16) - small_image).mean() < 4
    assert told == ((header == "RGB") != (frames == "RGB"))


def test_absurd_tiles_never_reach_openslide(tmp_path, slide_path):
    path = Path(shutil.copy(slide_path, tmp_path / "a.tif"))
    with tifffile.TiffFile(path) as tif:
        at = {code: tif.pages[0].tags[code].valueoffset for code in (322, 323)}
        kind = tif.pages[0].tags[322].dtype
    if kind == 3:
        pytest.skip("the writer stored tile sizes in two bytes")
    data = bytearray(path.read_bytes())
    for code, size in ((322, 2**30), (323, 16)):
        data[at[code] : at[code] + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    for reader in (None, "openslide"):
        with pytest.raises(NicError):
            open_slide(path, reader=reader)


def test_a_damaged_colour_profile_is_no_reason_to_refuse(tmp_path, small_image):
    path = tmp_path / "profile.tif"
    tifffile.imwrite(
        path, small_image, tile=(256, 256), photometric="rgb", metadata=None, iccprofile=b"no profile"
    )
    with open_slide(path, reader="openslide") as slide:
        assert "unusable" in (slide.color.profile or "")
        slide.read_tile(0, 0, 0)
