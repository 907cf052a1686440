"""What the metadata of an OME-Zarr say of its channels: whether they are colours, their names and windows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from napari_nic.slides.model import Channel, Rgb
from napari_nic.slides.readers.omezarr_metadata import Multiscale

_RGB_COLORS = ("FF0000", "00FF00", "0000FF")
_PLAIN_LABEL = re.compile(r"(?i)|r|g|b|red|green|blue|(channel|ch|c)?[ :_]*\d+|channel:0:\d")


def is_color(picture: Multiscale) -> bool:
    """Whether the channels are the samples of one colour picture, or there is one of 8 bits.

    Three channels of 8 bits are RGB if nothing is said of them, or they are called and coloured so; anything
    else is measured channel by channel.
    """
    count, dtype = picture.size("c"), picture.arrays[0].dtype
    if count == 1:
        return dtype.itemsize == 1 and not picture.omero.get("channels")
    if count not in (3, 4) or dtype.itemsize > 1:
        return False
    listed = _omero_channels(picture)
    if not listed:
        return count == 3
    colors = tuple(str(entry.get("color", "")).upper().lstrip("#")[-6:] for entry in listed[:3])
    labels = [str(entry.get("label", "")).strip() for entry in listed]
    is_rgb = colors in (_RGB_COLORS, ("", "", "")) and all(
        _PLAIN_LABEL.fullmatch(label) for label in labels[:3]
    )
    return is_rgb and (count == 3 or labels[3:4] in (["A"], ["alpha"], ["Alpha"]))


def channels_of(picture: Multiscale) -> tuple[Channel, ...]:
    """Return names, colours and windows of the channels as the metadata state them."""
    listed = _omero_channels(picture)
    channels = []
    for index in range(picture.size("c")):
        entry = listed[index] if index < len(listed) else {}
        label = str(entry.get("label") or "").strip() or f"channel {index + 1}"
        channels.append(Channel(label, _color(entry.get("color")), _window(entry.get("window"))))
    return tuple(channels)


def _omero_channels(picture: Multiscale) -> list[Mapping[str, Any]]:
    listed = picture.omero.get("channels", [])
    return (
        [entry if isinstance(entry, Mapping) else {} for entry in listed] if isinstance(listed, list) else []
    )


def _color(text: object) -> Rgb | None:
    if not re.fullmatch(r"#?[0-9a-fA-F]{6}", str(text)):
        return None
    red, green, blue = bytes.fromhex(str(text)[-6:])
    return red, green, blue


def _window(window: object) -> tuple[float, float] | None:
    if not isinstance(window, Mapping):
        return None
    try:
        low, high = float(window["start"]), float(window["end"])
    except (KeyError, TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
