"""Pictures of separate channels: how they are chosen, named, coloured and added up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_nic.errors import ChannelsError, InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.slides import (
    Channel,
    Level,
    Selection,
    SourceInfo,
    open_slide,
    read_channels,
    register_reader,
)
from napari_nic.slides.channels import (
    Shown,
    blend,
    choice_options,
    clean_choice,
    describe,
    describe_choice,
    example,
    show_channels,
)
from napari_nic.slides.contrast import SAMPLE_PIXELS, measure_windows
from napari_nic.slides.opening import READERS

PATH = Path("made.fluor")


class Planes:
    """A stand-in for a reader's source: one array (rows, cols, channels), in tiles of 64 px."""

    def __init__(self, planes: np.ndarray, channels: tuple[Channel, ...], *, missing=()) -> None:
        self.planes, self.missing, self.reads, self.is_open = planes, set(missing), 0, True
        level = Level(*planes.shape[:2], tile=(64, 64))
        self.info = SourceInfo("made", (level,), channels=channels, icc_profile=b"for colours, not for light")

    @property
    def channels(self) -> tuple[Channel, ...]:
        return self.info.channels

    def read_channels(self, level, row, col, channels):
        self.reads += 1
        if (row, col) in self.missing:
            return None
        return self.planes[self.info.levels[level].tile_region(row, col).slices][..., list(channels)]

    def read_associated(self, name):
        raise NotImplementedError

    def close(self):
        self.is_open = False


@pytest.fixture
def planes() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 4000, (150, 200, 4)).astype(np.uint16)


NAMES = ("DAPI", "FITC", "Cy3", "Cy5")
STAINS = tuple(Channel(name) for name in NAMES)


def test_several_channels_are_no_picture(planes):
    with pytest.raises(ChannelsError) as caught:
        show_channels(Planes(planes, STAINS), None, PATH)
    error = caught.value
    assert error.problem == "4 separate channels, no RGB picture (1 DAPI, 2 FITC, 3 Cy3, 4 Cy5)"
    assert error.hint == "choose up to 3 of them, for instance --channels DAPI,FITC,Cy3"
    assert error.channels == NAMES


def test_one_channel_is_shown_without_being_chosen(planes):
    shown = show_channels(Planes(planes[..., :1], STAINS[:1]), None, PATH)
    assert shown.info.is_fluorescence
    assert shown.info.choice["channels"][0]["name"] == "DAPI"


@pytest.mark.parametrize("wanted", [["Cy3", "DAPI"], ["cy3", "dapi"], ["3", "1"], [3, 1], [" Cy3 ", "DAPI"]])
def test_channels_are_chosen_by_name_or_number(planes, wanted):
    shown = show_channels(Planes(planes, STAINS), wanted, PATH)
    assert [channel["index"] for channel in shown.info.choice["channels"]] == [2, 0]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (["TRITC"], "no channel 'TRITC'"),
        (["0"], "no channel '0'"),
        ([5], "no channel '5'"),
        (["²"], "no channel"),
        (["DAPI", "dapi"], "named twice"),
        (["1", "DAPI"], "named twice"),
        (list(NAMES), "cannot be told apart"),
    ],
)
def test_a_choice_that_cannot_be(planes, wanted, words):
    with pytest.raises(ChannelsError, match=words) as caught:
        show_channels(Planes(planes, STAINS), wanted, PATH)
    assert caught.value.hint


def test_a_name_that_two_channels_bear(planes):
    twins = (STAINS[0], Channel("dapi"), *STAINS[2:])
    assert show_channels(Planes(planes, twins), ["dapi"], PATH).info.choice["channels"][0]["index"] == 1
    with pytest.raises(ChannelsError, match="2 channels are called Dapi") as caught:
        show_channels(Planes(planes, twins), ["Dapi"], PATH)
    assert "1 or 2" in caught.value.hint
    assert example(twins) == "--channels 1,2,3"
    assert example((Channel("DAPI, wide"), Channel("x"))) == "--channels 1,2"


def test_a_hundred_channels_are_not_all_named():
    assert describe([Channel(f"c{i}") for i in range(100)]).endswith("12 c11 and 88 more")


def test_colours_are_the_files_where_they_tell_apart(planes):
    def colors(*channels: Channel) -> list[list[int]]:
        shown = show_channels(Planes(planes[..., : len(channels)], channels), NAMES[: len(channels)], PATH)
        return [channel["color"] for channel in shown.info.choice["channels"]]

    cyan, pink = Channel("DAPI", (0, 255, 255)), Channel("FITC", (255, 0, 200))
    assert colors(cyan, pink) == [[0, 255, 255], [255, 0, 200]]
    assert colors(cyan, Channel("FITC")) == [[0, 255, 255], [255, 0, 0]]
    assert colors(Channel("DAPI"), Channel("FITC", (255, 0, 0)), Channel("Cy3")) == [
        [0, 255, 0],
        [255, 0, 0],
        [0, 0, 255],
    ]
    white = tuple(Channel(name, (255, 255, 255)) for name in NAMES[:3])
    assert colors(*white) == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert colors(Channel("DAPI", (0, 0, 0)), pink) == [[255, 0, 0], [255, 0, 200]]
    assert colors(cyan) == [[0, 255, 255]]
    assert colors(Channel("DAPI")) == [[255, 255, 255]]


def test_the_files_window_is_believed_and_others_are_measured(planes):
    source = Planes(planes, (Channel("DAPI", window=(100.0, 900.0)), *STAINS[1:]))
    shown = show_channels(source, ["DAPI", "Cy3"], PATH)
    first, second = (channel["window"] for channel in shown.info.choice["channels"])
    assert first == [100.0, 900.0]
    assert second == pytest.approx(np.percentile(planes[..., 2], (0.1, 99.9)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32])
def test_values_are_scaled_and_added_up(dtype):
    values = np.array([[[10, 0], [20, 50], [30, 100], [40, 100]]], dtype)
    shown = (Shown(0, "a", (255, 0, 0), (10.0, 30.0)), Shown(1, "b", (255, 100, 0), (0.0, 100.0)))
    expected = [[[0, 0, 0], [255, 50, 0], [255, 100, 0], [255, 100, 0]]]
    np.testing.assert_array_equal(blend(values, shown), expected)


def test_nan_is_black_and_infinite_is_full():
    values = np.array([[[np.nan], [np.inf], [-np.inf], [0.5]]], np.float32)
    light = blend(values, (Shown(0, "a", (0, 200, 0), (0.0, 1.0)),))
    np.testing.assert_array_equal(light[..., 1], [[0, 200, 0, 100]])


def test_windows_of_odd_channels():
    flat = Planes(np.full((70, 70, 1), 7, np.uint16), STAINS[:1])
    assert measure_windows(flat, [0]) == ((7.0, 8.0),)
    nothing = Planes(np.full((70, 70, 1), np.nan, np.float32), STAINS[:1])
    assert measure_windows(nothing, [0]) == ((0.0, 1.0),)
    lost = Planes(np.ones((60, 60, 1), np.uint8), STAINS[:1], missing=[(0, 0)])
    assert measure_windows(lost, [0])[0][0] < measure_windows(lost, [0])[0][1]


def test_measuring_is_bounded_and_repeatable():
    side = 64 * 80  # 26 megapixels, of which 4 are looked at
    small = np.random.default_rng(0).integers(0, 999, (64, 64, 1)).astype(np.uint16)
    source = Planes(small, STAINS[:1])
    source.info = replace(source.info, levels=(Level(side, side, tile=(64, 64)),))

    def read(*_):
        source.reads += 1
        return small

    source.read_channels = read
    first = measure_windows(source, [0])
    assert source.reads * 64 * 64 <= SAMPLE_PIXELS
    assert source.reads > 100
    assert measure_windows(source, [0]) == first


@pytest.fixture
def made(planes, tmp_path):
    """A file that a reader of our own opens, ``(path, sources that it opened)``."""
    path = tmp_path / "made.fluor"
    path.write_bytes(b"light")
    opened: list[Planes] = []

    def open_made(path, selection=None):
        source = Planes(planes, STAINS, missing=[(1, 1)])
        source.info = replace(source.info, fingerprint_files=(path,))
        opened.append(source)
        return source

    register_reader("made", open_made, (), ())
    yield path, opened
    READERS._entries.pop("made")


def test_a_composite_is_a_slide_like_any_other(made, planes):
    path, _ = made
    with open_slide(path, reader="made", channels=["DAPI", "Cy3"]) as slide:
        assert slide.is_fluorescence
        assert slide.background == (0, 0, 0)
        assert [channel.name for channel in slide.channels] == list(NAMES)
        assert slide.color.profile is None
        region = slide.read_region(0, RegionPx(-5, -5, 160, 210))
        assert not region[:5].any()
        assert not region[69:133, 69:133].any()  # the tile that is missing
        assert region[5:69, 5:69, 0].any()
        assert not region[..., 2].any()  # no third channel
        array = slide.pyramid()[0]
        np.testing.assert_array_equal(array.compute(), slide.read_region(0, slide.levels[0].region))


def test_another_choice_is_another_slide(made):
    path, _ = made
    fingerprints, names = set(), set()
    for wanted in (["DAPI"], ["Cy3"], ["DAPI", "Cy3"], ["Cy3", "DAPI"]):
        with open_slide(path, reader="made", channels=wanted) as slide:
            fingerprints.add(slide.fingerprint)
            names.add(slide.pyramid()[0].name)
    with open_slide(path, reader="made", channels=["1"]) as slide:
        assert slide.fingerprint in fingerprints  # a number is the same choice as the name
    assert len(fingerprints) == len(names) == 4


def test_a_refused_file_is_closed(made):
    path, opened = made
    for options in ({}, {"channels": ["no such"]}):
        with pytest.raises(ChannelsError):
            open_slide(path, reader="made", **options)
    with pytest.raises(InvalidParameterError):
        open_slide(path, reader="made", channels=["DAPI"], mpp=1e9)
    with pytest.raises(ChannelsError, match="no scenes, planes or time points"):
        open_slide(path, reader="made", channels=["DAPI"], selection=Selection(scene=1))
    assert not any(source.is_open for source in opened)


GOOD = {"index": 1, "name": "Cy3", "color": [0, 255, 0], "window": [0.5, 900]}


def test_a_choice_is_read_back_or_means_nothing():
    whole = {"channels": [GOOD], "scene": 2, "z": 1, "t": 3}
    assert clean_choice(whole) == whole
    assert choice_options(whole) == {"channels": [2], "selection": Selection(scene=2, z=1, t=3)}
    assert choice_options({}) == {"channels": None, "selection": None}
    assert describe_choice(whole) == "Cy3; scene 2; z 1; t 3"
    assert describe_choice({}) == "the whole picture"
    wrong = [
        {"index": -1},
        {"index": "1"},
        {"name": 3},
        {"color": [1, 2]},
        {"color": [1, 2, 300]},
        {"window": [1]},
    ]
    for part in wrong:
        assert clean_choice({"channels": [GOOD | part]}) == {}
    for choice in (None, [], "x", {"z": 0}, {"scene": "a"}, {"channels": 3}, {"channels": [3]}):
        assert clean_choice(choice) == {}


def test_a_picture_in_colours_has_no_channels(slide_path):
    assert read_channels(slide_path) == ()
    with pytest.raises(ChannelsError, match="no channels to choose from"):
        open_slide(slide_path, channels=["DAPI"])
    with pytest.raises(ChannelsError, match="it has no focus planes"):
        open_slide(slide_path, selection=Selection(z=2))
    with open_slide(slide_path, selection=Selection()) as slide:
        assert not slide.is_fluorescence
        assert not slide.choice
