"""DICOM slides that wsidicom reads: colours, bits, tilings, planes and optical paths, and what is refused."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    NicError,
    SlideNotFoundError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.slides import Selection, open_slide, read_channels
from napari_nic.slides.readers.dicom_pixels import to_8_bit

SYNTAX = "1.2.840.10008.1.2.4."
JPEG, JPEG_LS, JPEG_2000, LOSSLESS = (SYNTAX + end for end in ("50", "80", "90", "70"))
YBR = {"PhotometricInterpretation": "YBR_FULL_422"}


def jpeg(frame: np.ndarray) -> bytes:
    """JFIF, as libjpeg writes it, with coarse chroma."""
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def jpeg_rgb(frame: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(frame, level=95, colorspace="RGB", outcolorspace="RGB"))


def j2k(frame: np.ndarray, *, mct: bool) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k", mct=mct))


def to_ycbcr(frame: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(frame).convert("YCbCr"))


@pytest.fixture(scope="module")
def picture(make_tissue) -> np.ndarray:
    return make_tissue(400, 500, seed=5)


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    """Six planes of 16 bits."""
    return np.random.default_rng(1).integers(0, 65536, (6, 300, 400)).astype(np.uint16)


def level_0(slide) -> np.ndarray:
    return slide.read_region(0, slide.levels[0].region)


COLOURS = {
    "header and stream say YCbCr": (jpeg, JPEG, YBR, False),
    "the header says RGB, the stream is JFIF": (jpeg, JPEG, {}, True),
    "header and stream say RGB": (jpeg_rgb, JPEG, {}, False),
    "the header says YCbCr, the stream says RGB": (jpeg_rgb, JPEG, YBR, True),
    "lossless JPEG-LS": (imagecodecs.jpegls_encode, JPEG_LS, {}, False),
    "JPEG 2000 that transforms": (
        lambda frame: j2k(frame, mct=True),
        JPEG_2000,
        {"PhotometricInterpretation": "YBR_RCT"},
        False,
    ),
    "JPEG 2000 of RGB": (lambda frame: j2k(frame, mct=False), JPEG_2000, {}, False),
    "JPEG 2000 of YCbCr": (
        lambda frame: j2k(to_ycbcr(frame), mct=False),
        JPEG_2000,
        {"PhotometricInterpretation": "YBR_FULL"},
        False,
    ),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_colours_are_right_whatever_header_and_stream_say(tmp_path, picture, make_dicom, kind):
    encode, syntax, header, is_told = COLOURS[kind]
    folder = make_dicom(tmp_path / "slide", picture, encode=encode, syntax=syntax, header=header)
    with open_slide(folder, reader="wsidicom") as slide:
        # False colours are off by tens of grey levels on average.
        assert np.abs(level_0(slide).astype(float) - picture).mean() < 4
        assert any("but its JPEG stream is" in notice for notice in slide.notices) == is_told


def test_rle_decodes_to_the_same_pixels(tmp_path, picture, make_dicom):
    encoder = pydicom.pixels.get_encoder("1.2.840.10008.1.2.5")
    facts = {"bits_allocated": 8, "bits_stored": 8, "pixel_representation": 0, "samples_per_pixel": 3}
    facts |= {"photometric_interpretation": "RGB", "planar_configuration": 0, "number_of_frames": 1}

    def encode(frame: np.ndarray) -> bytes:
        return encoder.encode(frame, rows=frame.shape[0], columns=frame.shape[1], **facts)

    folder = make_dicom(tmp_path / "slide", picture, encode=encode, syntax="1.2.840.10008.1.2.5")
    with open_slide(folder, reader="wsidicom") as slide:
        np.testing.assert_array_equal(level_0(slide), picture)


@pytest.mark.parametrize(
    "options",
    [{"parts": 3}, {"sparse": True}, {"sparse": True, "parts": 2}],
    ids=["concatenation", "sparse", "sparse concatenation"],
)
def test_every_tile_lies_where_the_file_says(tmp_path, small_image, make_dicom, options):
    folder = make_dicom(tmp_path / "slide", small_image, **options)
    expected = small_image.copy()
    if options.get("sparse"):
        expected[:208, :208] = 255  # the tile that the file leaves out
    with open_slide(folder, reader="wsidicom") as slide:
        assert [level.shape for level in slide.levels] == [(701, 903), (350, 451)]
        np.testing.assert_array_equal(level_0(slide), expected)


def test_a_part_that_is_missing_is_told(tmp_path, small_image, make_dicom):
    folder = make_dicom(tmp_path / "slide", small_image, parts=3)
    (folder / "level-0-1.dcm").unlink()
    with pytest.raises(DamagedSlideError, match="not all are here"):
        open_slide(folder, reader="wsidicom")


def test_a_level_with_too_few_frames_is_damaged(tmp_path, small_image, make_dicom):
    folder = make_dicom(tmp_path / "slide", small_image, header={"NumberOfFrames": 3})
    with pytest.raises(DamagedSlideError):
        open_slide(folder, reader="wsidicom")


def test_sixteen_bits_keep_the_high_byte(tmp_path, grey, make_dicom):
    folder = make_dicom(tmp_path / "slide", grey[0], factors=(1,))
    with open_slide(folder) as slide:
        assert slide.reader == "wsidicom"
        assert not slide.is_fluorescence
        np.testing.assert_array_equal(level_0(slide)[..., 0], grey[0] >> 8)


@pytest.mark.parametrize("encode", [imagecodecs.jpegls_encode, "raw"])
def test_twelve_significant_bits_are_right_or_refused(tmp_path, grey, make_dicom, encode):
    twelve = grey[0] >> 4
    options = {} if encode == "raw" else {"encode": encode, "syntax": JPEG_LS}
    header = {"BitsStored": 12, "HighBit": 11}
    folder = make_dicom(tmp_path / "slide", twelve, factors=(1,), header=header, **options)
    if encode == "raw":
        with pytest.raises(UnsupportedPixelsError, match="12 bits in 16"):
            open_slide(folder)
    else:
        with open_slide(folder) as slide:
            np.testing.assert_array_equal(level_0(slide)[..., 0], twelve >> 4)


def test_significant_bits_span_the_whole_range():
    for bits in (1, 4, 8, 10, 12, 16):
        values = np.array([0, 2**bits - 1], np.uint16)
        np.testing.assert_array_equal(to_8_bit(values, bits), [0, 255])
    assert to_8_bit(np.array([65535], np.uint16), 12) == 255  # a bit that should not be set


REFUSED = {
    "MONOCHROME1": ({"PhotometricInterpretation": "MONOCHROME1"}, True, "white as zero"),
    "palette": ({"PhotometricInterpretation": "PALETTE COLOR"}, True, "palette"),
    "signed": ({"PixelRepresentation": 1}, True, "signed"),
    "planar": ({"PlanarConfiguration": 1}, False, "planes, one for each colour"),
    "video": ({"PhotometricInterpretation": "YBR_PARTIAL_422"}, False, "video"),
    "samples": ({"PhotometricInterpretation": "CMYK"}, False, "unknown"),
    "high bit": ({"BitsStored": 8, "HighBit": 15}, True, "below bit 15"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_shown_is_named(tmp_path, picture, grey, make_dicom, kind):
    header, is_grey, words = REFUSED[kind]
    folder = make_dicom(tmp_path / "slide", grey[0] if is_grey else picture, factors=(1,), header=header)
    with pytest.raises(UnsupportedPixelsError, match=words):
        open_slide(folder, reader="wsidicom")


def test_a_jpeg_2000_stream_that_contradicts_its_header_is_refused(tmp_path, picture, make_dicom):
    folder = make_dicom(
        tmp_path / "slide",
        picture,
        encode=lambda frame: j2k(frame, mct=False),
        syntax=JPEG_2000,
        header={"PhotometricInterpretation": "YBR_RCT"},
    )
    with pytest.raises(UnsupportedPixelsError, match="transforms no colours"):
        open_slide(folder, reader="wsidicom")


def test_the_middle_focal_plane_is_shown_and_told(tmp_path, grey, make_dicom):
    folder = make_dicom(tmp_path / "slide", grey[:3], factors=(1,), planes=3)
    with open_slide(folder) as slide, open_slide(folder, selection=Selection(z=3)) as top:
        np.testing.assert_array_equal(level_0(slide)[..., 0], grey[1] >> 8)
        np.testing.assert_array_equal(level_0(top)[..., 0], grey[2] >> 8)
        assert "3 focal planes: number 2 (1 um) is shown (choose with --z)" in slide.notices
        assert slide.fingerprint != top.fingerprint
    with pytest.raises(ChannelsError, match="no focal plane 4"):
        open_slide(folder, selection=Selection(z=4))


def test_optical_paths_are_channels(tmp_path, grey, make_dicom):
    paths = (("1", "DAPI"), ("2", "Cy3"))
    folder = make_dicom(tmp_path / "slide", grey[:2], factors=(1,), optical_paths=paths)
    with pytest.raises(ChannelsError, match=r"2 separate channels.*1 DAPI, 2 Cy3") as caught:
        open_slide(folder)
    assert caught.value.channels == ("DAPI", "Cy3")
    assert [channel.name for channel in read_channels(folder)] == ["DAPI", "Cy3"]
    with open_slide(folder, channels=["cy3"]) as slide:
        assert slide.is_fluorescence
        shown = slide.choice["channels"][0]
        low, high = shown["window"]
        expected = np.rint(np.clip((grey[1] - low) / (high - low), 0, 1) * 255)
        assert np.abs(level_0(slide)[..., 0] - expected).max() <= 1


def test_optical_paths_in_colour_are_refused(tmp_path, picture, make_dicom):
    paths = (("1", "bright"), ("2", "dark"))
    folder = make_dicom(tmp_path / "slide", np.stack([picture] * 2), factors=(1,), optical_paths=paths)
    with pytest.raises(UnsupportedPixelsError, match=r"2 optical paths in colour \(bright, dark\)"):
        open_slide(folder, reader="wsidicom")


def test_a_lone_reduced_level_is_not_the_slide(tmp_path, small_image, make_dicom):
    folder = make_dicom(tmp_path / "slide", small_image)
    (folder / "level-0-0.dcm").unlink()
    with pytest.raises(SlideNotFoundError, match="full-resolution image"):
        open_slide(folder, reader="wsidicom")


def test_anisotropic_pixels_keep_their_axes(tmp_path, small_image, make_dicom):
    measures, groups = pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing = [0.0004, 0.0005]  # rows, then columns
    groups.PixelMeasuresSequence = [measures]
    header = {"SharedFunctionalGroupsSequence": [groups]}
    folder = make_dicom(tmp_path / "slide", small_image, factors=(1,), header=header)
    with open_slide(folder, reader="wsidicom") as slide:
        assert (slide.pixel_size.y, slide.pixel_size.x) == pytest.approx((0.4, 0.5))


def test_strangers_beside_it_change_nothing(tmp_path, small_image, make_dicom):
    folder = make_dicom(tmp_path / "slide", small_image, factors=(1,))
    other = make_dicom(tmp_path / "other", small_image[:300, :300], factors=(1,))
    (folder / "notes.txt").write_text("nothing")
    with open_slide(folder, reader="wsidicom") as slide:
        fingerprint = slide.fingerprint
    (other / "level-0-0.dcm").rename(folder / "another.dcm")
    with open_slide(folder / "level-0-0.dcm", reader="wsidicom") as slide:
        assert slide.levels[0].shape == (701, 903)
        assert slide.fingerprint == fingerprint
    with pytest.raises(UnreadableSlideError, match="2 DICOM slides"):
        open_slide(folder, reader="wsidicom")


def test_senseless_values_are_damage_and_no_traceback(tmp_path, small_image, make_dicom):
    folder = make_dicom(tmp_path / "slide", small_image[:200, :200], factors=(1,))
    file = folder / "level-0-0.dcm"
    data = file.read_bytes()
    rows = data.index(b"\x28\x00\x10\x00US")  # Rows: two bytes
    for change in (b"\x03\x00", b"\xff\xff", b"\x00\x00"):
        file.write_bytes(data[: rows + 6] + change + data[rows + 8 :])
        with pytest.raises((DamagedSlideError, UnreadableSlideError, SlideNotFoundError)):
            open_slide(file, reader="wsidicom")
    rng = np.random.default_rng(0)
    for _ in range(60):
        mutant = bytearray(data[:3000])
        for place in rng.integers(132, 3000, 4):
            mutant[place] = rng.integers(256)
        file.write_bytes(bytes(mutant) + data[3000:])
        with contextlib.suppress(NicError), open_slide(file, reader="wsidicom") as slide:
            level_0(slide)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_is_cut_off_is_damaged(tmp_path, small_image, make_dicom, share):
    folder = make_dicom(tmp_path / "slide", small_image, factors=(1,), encode=jpeg, syntax=JPEG)
    file = folder / "level-0-0.dcm"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(DamagedSlideError), open_slide(folder, reader="wsidicom") as slide:
        level_0(slide)


# -- real files ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Path:
    folder = data_dir / "slides_real" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.data
@pytest.mark.parametrize("name", ["sm_image.dcm", "sm_image_jpegls.dcm"])
def test_real_colours_are_pydicoms(real, name):
    frames = pydicom.dcmread(real / "sm_image.dcm").pixel_array  # the JPEG-LS one holds the same pixels
    with open_slide(real / name, reader="wsidicom") as slide:
        for row in range(5):
            for col in range(5):
                np.testing.assert_array_equal(slide.read_tile(0, row, col), frames[row * 5 + col])


@pytest.mark.data
def test_real_epifluorescence_is_shown_by_its_own_range(real):
    frames = pydicom.dcmread(real / "sm_image_grayscale.dcm").pixel_array
    assert frames.max() == 24  # its high byte would be black all over
    with open_slide(real / "sm_image_grayscale.dcm") as slide:
        assert slide.is_fluorescence
        assert [channel.name for channel in slide.channels] == ["DAPI"]
        blue = slide.read_tile(0, 4, 4)[..., 2]
        np.testing.assert_array_equal(blue, np.rint(np.clip(frames[24] / 24.0, 0, 1) * 255))


@pytest.mark.data
def test_the_twin_whose_header_is_wrong_has_the_slides_colours(real, cmu_path):
    folder = real / "gcp-wsi2dcm-CMU-1-Small-Region"
    with open_slide(folder, reader="wsidicom") as twin, open_slide(cmu_path) as slide:
        region = slide.levels[0].region
        ours, theirs = (opened.read_region(0, region).astype(float) for opened in (twin, slide))
        assert np.abs(ours.mean((0, 1)) - theirs.mean((0, 1))).max() < 1
        assert any("JPEG stream is YCbCr" in notice for notice in twin.notices)


@pytest.mark.data
def test_real_pixels_and_images_are_openslides(data_dir):
    folder = data_dir / "slides" / "CMU-1-Small-Region-dicom"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with open_slide(folder, reader="wsidicom") as ours, open_slide(folder, reader="openslide") as oracle:
        np.testing.assert_array_equal(level_0(ours), level_0(oracle))
        assert set(ours.associated_images) == set(oracle.associated_images)
        for name in ours.associated_images:
            np.testing.assert_array_equal(ours.read_associated(name), oracle.read_associated(name))


def opened_apart(folder: Path) -> str:
    """Open in a process of its own, which a library in C might end; what it says last."""
    code = (
        "import sys; from napari_nic.errors import NicError; from napari_nic.slides import open_slide\n"
        "try:\n    print('opened', open_slide(sys.argv[1]).levels)\n"
        "except NicError as error:\n    print(error)"
    )
    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["TILED_SPARSE", "3D"])
def test_tiles_without_a_table_of_places_do_not_end_the_process(tmp_path, picture, make_dicom, kind):
    folder = make_dicom(tmp_path / "slide", picture, header={"DimensionOrganizationType": kind})
    said = opened_apart(folder)
    assert "the DICOM header does not say where its tiles lie" in said
    assert "found: 0" in said


def test_tiles_whose_places_are_missing_are_no_glass(tmp_path, picture, make_dicom):
    folder = make_dicom(tmp_path / "slide", picture, sparse=True)
    with open_slide(folder):
        pass
    file = min(folder.iterdir())
    dataset = pydicom.dcmread(file)
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSlideSequence
    dataset.save_as(file)
    with pytest.raises(DamagedSlideError, match="does not say where its tiles lie"):
        open_slide(folder)


@pytest.mark.parametrize("side", ["TotalPixelMatrixColumns", "TotalPixelMatrixRows"])
def test_a_size_that_does_not_fit_the_tiles_is_damage(tmp_path, picture, make_dicom, side):
    folder = make_dicom(tmp_path / "slide", picture, factors=(1,), header={side: 1})
    with pytest.raises(DamagedSlideError, match="does not say where its tiles lie"):
        open_slide(folder)


@pytest.mark.parametrize("harm", [b"\0\0\0\7", b"\0AB\xff"])
@pytest.mark.parametrize("reader", [None, "openslide"])
def test_a_reduced_level_whose_kind_is_damaged_is_not_the_slide(tmp_path, picture, make_dicom, harm, reader):
    """Libraries in C read VOLUME up to the zero, and no RESAMPLED behind it."""
    folder = make_dicom(tmp_path / "slide", picture)
    reduced = next(file for file in sorted(folder.iterdir()) if b"RESAMPLED" in file.read_bytes())
    alone = tmp_path / "alone" / reduced.name
    alone.parent.mkdir()
    content = reduced.read_bytes()
    at = content.index(b"\\RESAMPLED")
    alone.write_bytes(content[:at] + harm + content[at + len(harm) :])
    with pytest.raises(DamagedSlideError, match="does not say what picture this is"):
        open_slide(alone, reader=reader)
