"""Which pages of a TIFF are one picture: channels, depth, time; and what the file calls its channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

from napari_nic.errors import ChannelsError, UnsupportedPixelsError
from napari_nic.slides.model import Selection
from napari_nic.slides.readers.tiff_page import Plane
from napari_nic.slides.readers.tiff_pixels import channels_refusal, refusal

if TYPE_CHECKING:
    import tifffile

_RGB_NAMES = (("r", "red"), ("g", "green"), ("b", "blue"))
_NAMELESS = re.compile(r"(channel|ch|c)?[\s:#_-]*[\d:]*", re.IGNORECASE)
_WHITE = -1  # the colour that the OME schema gives a channel which states none
_PLAIN_STACKS = {"Z": "focus planes", "T": "points in time", "I": "pictures of one size", "Q": "pictures"}


@dataclass(frozen=True)
class ChannelFacts:
    """What the file says of a channel.

    Attributes
    ----------
    name : str
        As it stands there; empty where there is none, or only a number.
    color : (int, int, int) or None
        RGB that the file wants it shown in.
    is_fluorescent : bool
        Whether it states a fluorophore or a wavelength.
    """

    name: str = ""
    color: tuple[int, int, int] | None = None
    is_fluorescent: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether nothing at all is said of it."""
        return not self.name and self.color is None and not self.is_fluorescent


def read_channels(tif: tifffile.TiffFile, series: int) -> tuple[ChannelFacts, ...]:
    """Return what the file says of the channels of one of tifffile's series; nothing if it is silent."""
    if tif.is_ome:
        return _ome_channels(tif, series)
    if tif.is_qpi:
        return _qptiff_channels(tif.series[series])
    if tif.is_imagej:
        return _imagej_channels(tif, series)
    if tif.is_svs:
        return _aperio_channels(tif.series[series].keyframe)
    return ()


def _aperio_channels(page: Any) -> tuple[ChannelFacts, ...]:
    """A grey picture that names a dye or a wavelength is one of the slides that an AFI lists."""
    pairs = (item.partition("=") for item in page.description.split("|")[1:])
    said = {key.strip().lower(): value.strip() for key, _, value in pairs}
    is_light = any(value and (key == "dye" or key.endswith("wavelength")) for key, value in said.items())
    if page.samplesperpixel != 1 or not is_light:
        return ()
    return (ChannelFacts(_name(said.get("dye", "")), is_fluorescent=True),)


def _imagej_channels(tif: tifffile.TiffFile, series: int) -> tuple[ChannelFacts, ...]:
    """Labels name channels; a table of colours makes light of a single one."""
    metadata = tif.imagej_metadata or {}
    labels = metadata.get("Labels") or []
    count = dict(zip(tif.series[series].axes, tif.series[series].shape, strict=True)).get("C", 1)
    if count == 1 and (color := imagej_color(metadata, 0)) and len(set(color)) > 1:
        return (ChannelFacts(_name(labels[0]) if labels else "", color),)
    return tuple(ChannelFacts(_name(label)) for label in labels[:count])


def imagej_color(metadata: Mapping[str, Any], index: int) -> tuple[int, int, int] | None:
    """Return the colour of the brightest value in ImageJ's table of a channel."""
    tables = metadata.get("LUTs", ())
    listed = [tables] if np.ndim(tables) == 2 else tables  # tifffile gives a single one by itself
    if index >= len(listed) or np.shape(listed[index]) != (3, 256):
        return None
    red, green, blue = (int(value) for value in listed[index][:, -1])
    return red, green, blue


def imagej_notices(tif: tifffile.TiffFile) -> list[str]:
    """Tell of a table in which ImageJ shows bright values dark: the values are shown."""
    first = imagej_color(tif.imagej_metadata or {}, 0)
    if first != (0, 0, 0):
        return []
    return ["ImageJ shows the file by an inverted table of greys: the values are shown as they stand there"]


def _ome_channels(tif: tifffile.TiffFile, series: int) -> tuple[ChannelFacts, ...]:
    images = [node for node in parse_xml(tif.ome_metadata or "").iter() if _tag(node) == "Image"]
    if series >= len(images):
        return ()
    return tuple(_ome_channel(node) for node in images[series].iter() if _tag(node) == "Channel")


def _ome_channel(node: ET.Element) -> ChannelFacts:
    color = node.get("Color")
    number = int(color) if color and re.fullmatch(r"-?\d{1,11}", color) else _WHITE
    red, green, blue = (number >> shift & 255 for shift in (24, 16, 8))
    states = ("Fluor", "EmissionWavelength", "ExcitationWavelength")
    return ChannelFacts(
        _name(node.get("Name", "")),
        None if number in (_WHITE, 0xFFFFFFFF) else (red, green, blue),
        any(node.get(state) for state in states),
    )


def _qptiff_channels(series: Any) -> tuple[ChannelFacts, ...]:
    """A Vectra or PhenoImager file describes each page; a page that is RGB has no name of its own."""
    found = []
    for page in series.levels[0].pages:
        root = parse_xml(getattr(page, "description", "") or "")
        name, color = root.findtext("Name") or "", root.findtext("Color") or ""
        parts = [int(part) for part in re.findall(r"\d{1,3}", color)]
        rgb = (parts[0], parts[1], parts[2]) if len(parts) == 3 else None
        if name or rgb:
            found.append(ChannelFacts(_name(name), rgb, is_fluorescent=True))
    return tuple(found)


def parse_xml(text: str) -> ET.Element:
    """Parse a description; an empty element where it is none."""
    try:
        # expat bounds how far entities may grow; nothing outside the text is fetched.
        return ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314
    except (ET.ParseError, ValueError):
        return ET.Element("nothing")


def _tag(node: ET.Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _name(text: Any) -> str:
    name = str(text).strip()
    return "" if _NAMELESS.fullmatch(name) else name


def choose_stack(
    level: Any, selection: Selection, path: Path
) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """Choose plane of depth and time point of a series' level: unasked the middle one and the first.

    Returns
    -------
    places : dict of str to int
        Index on each axis that has several.
    choice : dict of str to int
        What of it the user may choose, as numbers from 1.
    notices : list of str
        What of the file is not shown.

    Raises
    ------
    ChannelsError
        If the file has no such plane or time point.
    """
    if selection.scene is not None:
        raise ChannelsError(
            "the pictures of a TIFF file cannot be chosen", path=path, hint="open it without --scene"
        )
    sizes = dict(zip(level.axes, level.shape, strict=True))
    places, choice, notices = {}, {}, []
    for axis, wanted in (("Z", selection.z), ("T", selection.t)):
        count, option = sizes.get(axis, 1), f"--{axis.lower()}"
        if wanted is not None and not 1 <= wanted <= count:
            held = f"{count} {_PLAIN_STACKS[axis]}" if count > 1 else f"no {_PLAIN_STACKS[axis]}"
            hint = f"choose {option} 1 to {count}" if count > 1 else f"open it without {option}"
            raise ChannelsError(f"there is no {axis.lower()} {wanted}: it has {held}", path=path, hint=hint)
        if count > 1:
            places[axis] = wanted - 1 if wanted is not None else count // 2 if axis == "Z" else 0
            choice[axis.lower()] = places[axis] + 1
            which = f"number {choice[axis.lower()]} is shown (choose with {option})"
            notices.append(f"the file holds {count} {_PLAIN_STACKS[axis]}: {which}")
    notices += [
        f"the file holds {sizes[axis]} {_PLAIN_STACKS[axis]}: the first one is shown"
        for axis in "IQ"
        if sizes.get(axis, 1) > 1
    ]
    return places, choice, notices


def choose_planes(
    level: Any, channels: tuple[ChannelFacts, ...], places: Mapping[str, int]
) -> tuple[list[Plane], list[str]]:
    """Return the pages that make one picture of a series' level: one, or three of a colour each.

    Parameters
    ----------
    level : tifffile series
    channels : tuple of ChannelFacts
    places : mapping of str to int
        See :func:`choose_stack`.

    Returns
    -------
    planes : list of Plane
        One, or those of red, green and blue.
    notices : list of str
        What of the file is not shown.

    Raises
    ------
    ChannelsError
        If the file holds channels that are no colours.
    UnsupportedPixelsError
        If it holds axes that make no picture.
    """
    count = dict(zip(level.axes, level.shape, strict=True)).get("C", 1)
    _check_axes(level)
    notices = _check_channels(level, count, channels)
    return choose_pages(level, places), notices


def choose_pages(level: Any, places: Mapping[str, int]) -> list[Plane]:
    """Return the pages of all channels of a series' level, at one place in depth and time.

    Raises
    ------
    UnsupportedPixelsError
        If the axes of the file make no picture, or a page is not there.
    """
    _check_axes(level)
    sizes = dict(zip(level.axes, level.shape, strict=True))
    leading = [axis for axis in level.axes if axis not in "YXS"]
    shape = [sizes[axis] for axis in leading]
    pages = []
    for channel in range(sizes.get("C", 1)):
        at = [channel if axis == "C" else places.get(axis, 0) for axis in leading]
        pages.append(level.pages[int(np.ravel_multi_index(at, shape)) if at else 0])
    if any(page is None for page in pages):
        raise UnsupportedPixelsError(
            "pages that the metadata name are not in this file",
            hint="where it is spread over several files, convert it to one OME-TIFF; else copy it again",
        )
    return [Plane.of(page) for page in pages]


def _check_axes(level: Any) -> None:
    sizes = dict(zip(level.axes, level.shape, strict=True))
    leading = [axis for axis in level.axes if axis not in "YXS"]
    if "Y" not in sizes or "X" not in sizes:
        raise refusal(f"axes {level.axes} of {level.shape} are no picture")
    odd = [axis for axis in leading if axis not in "C" and axis not in _PLAIN_STACKS and sizes[axis] > 1]
    if odd:
        raise refusal(f"axes {level.axes} of {level.shape} are not one picture (rows, cols, RGB)")


def _check_channels(level: Any, count: int, channels: tuple[ChannelFacts, ...]) -> list[str]:
    names = [channel.name for channel in channels]
    is_rgb_page = level.keyframe.samplesperpixel >= 3 and count == 1
    if is_rgb_page and (
        len(channels) < 3 or all(channel.is_plain for channel in channels) or _are_rgb(names)
    ):
        return []
    if count == 1 and not is_rgb_page:
        if channels and (channels[0].is_fluorescent or channels[0].color is not None):
            raise channels_refusal("one channel of light", names)
        return [f"the file holds one channel, {names[0]}: it is shown in grey"] if any(names) else []
    if _are_rgb(names) and count == 3:
        return []
    is_silent = bool(channels) and all(channel.is_plain for channel in channels)
    if count == 3 and is_silent and level.dtype == np.uint8:
        return ["the file holds three channels without names: they are taken for red, green and blue"]
    raise channels_refusal(
        f"{max(count, len(channels))} channels that are not called red, green and blue", names
    )


def _are_rgb(names: list[str]) -> bool:
    return len(names) == 3 and all(
        name.lower() in known for name, known in zip(names, _RGB_NAMES, strict=True)
    )
