"""CZI: mosaics, scenes, channels, planes, colours, pixel size; and what is said without the library."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    MissingDependencyError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.slides import Selection, open_slide, read_channels
from napari_nic.slides.readers.czi import open_czi
from napari_nic.slides.readers.czi_metadata import read_channels as read_metadata

czi = pytest.importorskip("pylibCZIrw.czi")


def value(scene: int, channel: int, z: int, t: int) -> int:
    return 1000 * scene + 100 * channel + 10 * z + t


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Path:
    """Two scenes side by side, two channels, three planes of depth, two time points; each of one value."""
    path = tmp_path_factory.mktemp("czi") / "stack.czi"
    with czi.create_czi(str(path)) as out:
        for scene in (0, 1):
            for channel in (0, 1):
                for z in (0, 1, 2):
                    for t in (0, 1):
                        plane = np.full((40 + scene, 50, 1), value(scene, channel, z, t), np.uint16)
                        place = {"C": channel, "Z": z, "T": t}
                        out.write(plane, location=(scene * 500 - 60, -20), plane=place, scene=scene)
        blue = czi.ChannelDisplaySettingsDataClass(
            is_enabled=True,
            tinting_mode=czi.TintingMode.Color,
            tinting_color=czi.Rgb8Color(np.uint8(0), np.uint8(10), np.uint8(255)),
            black_point=0.0,
            white_point=0.5,
        )
        out.write_metadata(
            document_name="made",
            channel_names={0: "DAPI", 1: "Cy3"},
            scale_x=0.5e-6,
            scale_y=0.25e-6,
            display_settings={0: blue},
        )
    return path


def test_scenes_are_named_and_can_be_chosen(stack):
    with pytest.raises(ChannelsError, match=r"2 scenes \(1 \(50 x 40 px\), 2 \(50 x 41 px\)\)") as caught:
        open_slide(stack)
    assert "--scene 1" in caught.value.hint
    assert len(caught.value.scenes) == 2
    with pytest.raises(ChannelsError, match="no scene '3'"):
        open_slide(stack, selection=Selection(scene=3))
    with open_slide(stack, channels=[1], selection=Selection(scene=2)) as slide:
        assert slide.levels[0].shape == (41, 50)
        assert (slide.pixel_size.y, slide.pixel_size.x) == pytest.approx((0.25, 0.5))


def test_scenes_channels_and_planes_are_never_mixed(stack):
    for scene in (1, 2):
        for z in (1, 3):
            source = open_czi(stack, Selection(scene=scene, z=z, t=2))
            pixels = source.read_channels(0, 0, 0, [1, 0])
            source.close()
            expected = [value(scene - 1, channel, z - 1, 1) for channel in (1, 0)]
            np.testing.assert_array_equal(np.unique(pixels.reshape(-1, 2), axis=0), [expected])


def test_planes_that_were_not_chosen_are_told(stack):
    with open_slide(stack, channels=["DAPI"], selection=Selection(scene=1)) as slide:
        assert slide.notices == (
            "3 planes of depth: number 2 is shown (choose with --z)",
            "2 time points: number 1 is shown (choose with --t)",
        )
        assert (slide.choice["z"], slide.choice["t"], slide.choice["scene"]) == (2, 1, 1)
    with pytest.raises(ChannelsError, match="no z 4"):
        open_slide(stack, channels=["DAPI"], selection=Selection(scene=1, z=4))


def test_channels_have_the_files_names_colours_and_windows(stack):
    first, second = read_channels(stack, selection=Selection(scene=1))
    assert (first.name, first.color, first.window) == ("DAPI", (0, 10, 255), (0.0, 0.5 * 65535))
    assert (second.name, second.color, second.window) == ("Cy3", None, None)


def test_the_gaps_of_a_mosaic_are_white(tmp_path, make_tissue):
    image = make_tissue(90, 120, seed=1)
    path = tmp_path / "mosaic.czi"
    with czi.create_czi(str(path)) as out:
        for x, y in ((0, 0), (300, 200)):
            out.write(np.ascontiguousarray(image[..., ::-1]), location=(x, y), plane={"C": 0, "Z": 0, "T": 0})
        out.write_metadata(document_name="made", scale_x=0.5e-6, scale_y=0.5e-6)
    with open_slide(path) as slide:
        whole = slide.read_region(0, slide.levels[0].region)
        assert whole.shape == (290, 420, 3)
        np.testing.assert_array_equal(whole[:90, :120], image)
        np.testing.assert_array_equal(whole[200:, 300:], image)
        assert (whole[100:190] == 255).all()


def test_sixteen_bit_colours_keep_the_high_byte(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (60, 70, 3)).astype(np.uint16)
    path = tmp_path / "rgb48.czi"
    with czi.create_czi(str(path)) as out:
        out.write(image, plane={"C": 0, "Z": 0, "T": 0})
        out.write_metadata(document_name="made", scale_x=0.5e-6, scale_y=0.5e-6)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(
            slide.read_region(0, slide.levels[0].region), (image >> 8)[..., ::-1].astype(np.uint8)
        )


def test_colour_beside_grey_is_refused(tmp_path):
    path = tmp_path / "mixed.czi"
    with czi.create_czi(str(path)) as out:
        out.write(np.zeros((20, 20, 3), np.uint8), plane={"C": 0, "Z": 0, "T": 0})
        out.write(np.zeros((20, 20, 1), np.uint16), plane={"C": 1, "Z": 0, "T": 0})
        out.write_metadata(document_name="made", channel_names={0: "TL", 1: "DAPI"})
    with pytest.raises(UnsupportedPixelsError, match="TL: Bgr24, DAPI: Gray16"):
        open_slide(path)


def test_without_the_library_the_install_line_is_the_answer(stack, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylibCZIrw", None)
    with pytest.raises(MissingDependencyError):
        open_czi(stack)
    with pytest.raises(UnreadableSlideError, match="needs pylibCZIrw") as caught:
        open_slide(stack)
    assert caught.value.hint == 'pip install "napari-nic[czi]"'


def test_a_name_that_the_library_cannot_take_is_no_damage(tmp_path, stack):
    path = tmp_path / os.fsdecode(b"caf\xe9.czi")
    try:
        path.write_bytes(stack.read_bytes())
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    with pytest.raises(UnreadableSlideError, match="not UTF-8"):
        open_slide(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7])
def test_a_file_that_is_cut_off_is_damaged(tmp_path, stack, share):
    path = tmp_path / "cut.czi"
    data = stack.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DamagedSlideError):
        open_slide(path, channels=[1], selection=Selection(scene=1))


@pytest.mark.parametrize("metadata", [{}, {"ImageDocument": None}, {"ImageDocument": {"Metadata": []}}])
def test_metadata_that_say_nothing(metadata):
    channels = read_metadata(metadata, ["Gray16", "Gray16"])
    assert [channel.name for channel in channels] == ["channel 1", "channel 2"]


def test_metadata_as_zen_writes_them():
    channels = {
        "Channel": [
            {
                "@Id": "Channel:1",
                "@Name": "AF555",
                "ContrastMethod": "Fluorescence",
                "ComponentBitCount": "14",
            },
            {
                "@Id": "Channel:0",
                "@Name": "Brightfield",
                "IlluminationType": "Transmitted",
                "Color": "#FFFFFFFF",
            },
        ]
    }
    image = {"Dimensions": {"Channels": channels}, "ComponentBitCount": "12"}
    shown = {
        "Channel": [{"@Id": "Channel:0", "Low": "0,1", "High": "0.05"}, {"@Id": "Channel:1", "Color": "red"}]
    }
    metadata = {"Information": {"Image": image}, "DisplaySetting": {"Channels": shown}}
    bright, light = read_metadata({"ImageDocument": {"Metadata": metadata}}, ["Gray16", "Gray16"])
    assert (bright.name, bright.color, bright.bits, bright.is_transmitted) == (
        "Brightfield",
        (255, 255, 255),
        12,
        True,
    )
    assert bright.window is None  # high below low
    assert (light.name, light.color, light.bits, light.is_transmitted) == ("AF555", None, 14, False)


# -- real files ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Path:
    folder = data_dir / "slides_real" / "czi"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.data
def test_a_real_picture_in_colours(real):
    with open_slide(real / "RGB-8bit.czi") as slide, czi.open_czi(str(real / "RGB-8bit.czi")) as oracle:
        assert slide.require_pixel_size().x == pytest.approx(1.0833, abs=1e-4)
        ours = slide.read_region(0, slide.levels[0].region)
        np.testing.assert_array_equal(ours, oracle.read()[..., ::-1])
        # The mean colour that czifile gives for this file: red first.
        assert ours.mean((0, 1)) == pytest.approx((13.809, 28.025, 14.771), abs=0.001)


@pytest.mark.data
def test_a_real_compressed_channel(real):
    path = real / "newCZI_compressed.czi"
    with open_slide(path) as slide, czi.open_czi(str(path)) as oracle:
        assert slide.is_fluorescence
        assert slide.pixel_size is None  # it states 0
        assert "0 x 0" in slide.pixel_size_note
        low, high = slide.choice["channels"][0]["window"]
        expected = np.clip((oracle.read()[..., 0] - low) / (high - low), 0, 1) * 255
        ours = slide.read_region(0, slide.levels[0].region)[..., 0]
        assert np.abs(ours - expected).max() <= 0.51
