"""What the XML of a CZI says: channels, their colours and windows, the size of a pixel, names of scenes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_nic.slides.model import Rgb
from napari_nic.slides.pixel_size import parse_float

_COLOR = re.compile("#(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})")
_FULL_SCALE = {"Gray8": 255.0, "Gray16": 65535.0, "Bgr24": 255.0, "Bgr48": 65535.0}


@dataclass(frozen=True)
class CziChannel:
    """A channel as the metadata describe it; `bits` is 0 where they do not say how many are significant."""

    name: str
    color: Rgb | None
    window: tuple[float, float] | None
    bits: int
    is_transmitted: bool


def read_channels(metadata: Mapping[str, Any], types: Sequence[str]) -> tuple[CziChannel, ...]:
    """Describe each channel.

    Parameters
    ----------
    metadata : mapping
        The XML as nested mappings.
    types : sequence of str
        Pixel type of each channel.
    """
    image = _at(metadata, "ImageDocument", "Metadata", "Information", "Image")
    described = _by_id(_at(image, "Dimensions", "Channels"))
    display = _by_id(_at(metadata, "ImageDocument", "Metadata", "DisplaySetting", "Channels"))
    channels = []
    for index, kind in enumerate(types):
        facts, shown = described.get(index, {}), display.get(index, {})
        bits = parse_float(facts.get("ComponentBitCount") or _at(image).get("ComponentBitCount")) or 0
        channels.append(
            CziChannel(
                name=_name(facts, shown) or f"channel {index + 1}",
                color=_color(shown.get("Color")) or _color(facts.get("Color")),
                window=_window(shown, kind),
                bits=int(bits) if 1 <= bits <= _most_bits(kind) else 0,
                is_transmitted=_is_transmitted(facts),
            )
        )
    return tuple(channels)


def read_distance(metadata: Mapping[str, Any], axis: str) -> object:
    """Return the text of the distance of two pixels along an axis, in metres; None if there is none."""
    items = _at(metadata, "ImageDocument", "Metadata", "Scaling", "Items")
    return next((item.get("Value") for item in _list(items.get("Distance")) if item.get("@Id") == axis), None)


def read_scene_names(metadata: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of scenes by their index."""
    scenes = _at(metadata, "ImageDocument", "Metadata", "Information", "Image", "Dimensions", "S", "Scenes")
    names = {}
    for scene in _list(scenes.get("Scene")):
        index = str(scene.get("@Index", ""))
        if index.isascii() and index.isdigit() and scene.get("@Name"):
            names[int(index)] = str(scene["@Name"])
    return names


def _at(values: Any, *names: str) -> dict[str, Any]:
    """Walk down nested mappings; an empty one where the way ends."""
    for name in names:
        values = values.get(name) if isinstance(values, Mapping) else None
    return dict(values) if isinstance(values, Mapping) else {}


def _list(values: Any) -> list[dict[str, Any]]:
    """One element stands alone, several are a list."""
    several = values if isinstance(values, list) else [values]
    return [dict(value) for value in several if isinstance(value, Mapping)]


def _by_id(channels: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Channels by the number in their identifier ``Channel:0``; by their order where that is another one."""
    found = {}
    for place, channel in enumerate(_list(channels.get("Channel"))):
        number = str(channel.get("@Id", "")).rpartition("Channel:")[2]
        found[int(number) if number.isascii() and number.isdigit() else place] = channel
    return found


def _name(facts: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    names = (
        facts.get("@Name"),
        shown.get("@Name"),
        facts.get("DyeName"),
        shown.get("DyeName"),
        facts.get("Fluor"),
    )
    return next((str(name).strip() for name in names if name and str(name).strip()), "")


def _color(text: object) -> Rgb | None:
    found = _COLOR.fullmatch(str(text or ""))
    if found is None:
        return None
    red, green, blue = bytes.fromhex(found.group(1))
    return red, green, blue


def _window(shown: Mapping[str, Any], kind: str) -> tuple[float, float] | None:
    """Low and high are shares of the whole range of the pixel type."""
    low, high = parse_float(shown.get("Low")), parse_float(shown.get("High"))
    if low is None or high is None or kind not in _FULL_SCALE or not 0 <= low < high <= 1:
        return None
    return low * _FULL_SCALE[kind], high * _FULL_SCALE[kind]


def _most_bits(kind: str) -> int:
    return {"Gray8": 8, "Bgr24": 8, "Gray16": 16, "Bgr48": 16}.get(kind, 0)


def _is_transmitted(facts: Mapping[str, Any]) -> bool:
    """Whether light goes through the sample: stains darken it."""
    said = {str(facts.get(name, "")).casefold() for name in ("ContrastMethod", "IlluminationType")}
    return bool(said & {"brightfield", "transmitted"})
