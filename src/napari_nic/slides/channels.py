"""A picture of up to three channels, each in its colour, on black: for files that hold no RGB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_nic.errors import ChannelsError
from napari_nic.slides.contrast import Window, measure_windows
from napari_nic.slides.model import Channel, ChannelSource, Rgb, RgbArray, Selection, SlideSource

BLACK: Rgb = (0, 0, 0)
PRIMARIES: tuple[Rgb, ...] = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
GREY: Rgb = (255, 255, 255)

MAX_SHOWN = 3
"""A picture has three colours: more channels cannot be told apart in it."""

SHOWN_FROM = "shown from black to full colour"
"""Begins the notice on windows that were measured."""

MAX_NAMED = 12
"""Channels that a message names; there are slides of a hundred."""


@dataclass(frozen=True)
class Shown:
    """A channel as it is shown: its place in the file, its colour, the values from black to full colour."""

    index: int
    name: str
    color: Rgb
    window: Window

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "index": self.index,
            "name": self.name,
            "color": list(self.color),
            "window": list(self.window),
        }


class CompositeSource:
    """Some channels of a file, added up on black. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, source: ChannelSource, shown: Sequence[Shown]) -> None:
        self._source = source
        self._shown = tuple(shown)
        self._indices = [channel.index for channel in shown]
        self.info = replace(
            source.info,
            background=BLACK,
            icc_profile=None,  # describes colours, not amounts of light
            channels=source.channels,
            choice={**source.info.choice, "channels": [channel.to_dict() for channel in shown]},
            is_fluorescence=True,
            notices=(*source.info.notices, *_tell(source.channels, shown)),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode a tile of the chosen channels and add their colours up."""
        pixels = self._source.read_channels(level, row, col, self._indices)
        return None if pixels is None else blend(pixels, self._shown)

    def read_associated(self, name: str) -> RgbArray:
        """Decode an associated image."""
        return self._source.read_associated(name)

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def blend(pixels: npt.NDArray[Any], shown: Sequence[Shown]) -> RgbArray:
    """Add up channels (rows, cols, n), each in its colour, to RGB (rows, cols, 3) uint8.

    A value at the lower end of its window or below adds nothing, one at the upper end or above its whole
    colour; sums stop at 255.
    """
    total = np.zeros((*pixels.shape[:2], 3), np.float32)
    for place, channel in enumerate(shown):
        light = _light(pixels[..., place], channel.window)
        for sample, strength in enumerate(channel.color):
            if strength:
                total[..., sample] += light * np.float32(strength)
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)


def _light(values: npt.NDArray[Any], window: Window) -> npt.NDArray[np.float32]:
    """Bring values to 0 (low and below) to 1 (high and above)."""
    low, high = window
    if values.dtype in (np.uint8, np.uint16):
        every = np.arange(np.iinfo(values.dtype).max + 1, dtype=np.float64)
        table = np.clip((every - low) / (high - low), 0, 1).astype(np.float32)
        return table[values]
    scaled = (np.nan_to_num(values.astype(np.float64), nan=low) - low) / (high - low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def is_channels(source: SlideSource | ChannelSource) -> bool:
    """Whether a reader found separate channels."""
    return hasattr(source, "read_channels")


def show_channels(
    source: SlideSource | ChannelSource, wanted: Sequence[str | int] | None, path: Path
) -> SlideSource:
    """Make a picture of what a reader opened; a picture in RGB is one already.

    Parameters
    ----------
    source : SlideSource or ChannelSource
    wanted : sequence of str or int, optional
        Names of channels, or their numbers from 1. A file of a single channel needs none.
    path : Path
        For messages.

    Raises
    ------
    ChannelsError
        If there are several channels and none was chosen, or `wanted` names what is not there. The source
        stays open.
    """
    if not is_channels(source):
        if wanted:
            raise ChannelsError(
                "this slide is a picture in colours or grey: it has no channels to choose from",
                path=path,
                hint="open it without --channels",
            )
        return source  # type: ignore[return-value]
    channel_source: ChannelSource = source  # type: ignore[assignment]
    channels = channel_source.channels
    if not wanted and len(channels) > 1:
        error = ChannelsError(
            f"{len(channels)} separate channels, no RGB picture ({describe(channels)})",
            path=path,
            hint=f"choose up to {MAX_SHOWN} of them, for instance {example(channels)}",
        )
        error.channels = tuple(channel.name for channel in channels)
        raise error
    indices = [_find(name, channels, path) for name in wanted] if wanted else [0]
    shown = plan_shown(channel_source, _checked(indices, channels, path))
    return CompositeSource(channel_source, shown)


def describe_choice(choice: Mapping[str, Any]) -> str:
    """Say what was chosen, for people; see :class:`~napari_nic.slides.model.SourceInfo`."""
    parts = [f"{name} {choice[name]}" for name in ("scene", "z", "t") if name in choice]
    names = ", ".join(str(channel.get("name")) for channel in choice.get("channels", []))
    return "; ".join(([names] if names else []) + parts) or "the whole picture"


def clean_choice(choice: object) -> dict[str, Any]:
    """Return what a file of ours says was chosen; nothing if it makes no sense.

    Parameters
    ----------
    choice : JSON value
        As :attr:`~napari_nic.slides.Slide.choice` was written.
    """
    if not isinstance(choice, Mapping):
        return {}
    numbers = {name: choice[name] for name in ("scene", "z", "t") if name in choice}
    channels = choice.get("channels", [])
    if not isinstance(channels, list) or not all(_is_shown(channel) for channel in channels):
        return {}
    if not all(isinstance(number, int) and number >= 1 for number in numbers.values()):
        return {}
    return numbers | ({"channels": channels} if channels else {})


def _is_shown(channel: object) -> bool:
    if not isinstance(channel, Mapping):
        return False
    index, color, window = (channel.get(name) for name in ("index", "color", "window"))
    return (
        isinstance(index, int)
        and index >= 0
        and isinstance(channel.get("name"), str)
        and isinstance(color, list)
        and isinstance(window, list)
        and (len(color), len(window)) == (3, 2)
        and all(isinstance(strength, int) and 0 <= strength <= 255 for strength in color)
        and all(isinstance(end, int | float) for end in window)
    )


def choice_options(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of :func:`~napari_nic.slides.open_slide` that choose the same again."""
    channels = [int(channel["index"]) + 1 for channel in choice.get("channels", [])]
    selection = Selection(scene=choice.get("scene"), z=choice.get("z"), t=choice.get("t"))
    return {"channels": channels or None, "selection": None if selection == Selection() else selection}


def _checked(indices: list[int], channels: Sequence[Channel], path: Path) -> list[int]:
    if len(set(indices)) < len(indices):
        raise ChannelsError(
            "a channel is named twice", path=path, found=describe(channels), hint="name it once"
        )
    if len(indices) > MAX_SHOWN:
        raise ChannelsError(
            f"{len(indices)} channels cannot be told apart in one picture",
            path=path,
            hint=f"choose up to {MAX_SHOWN}, for instance {example(channels)}",
        )
    return indices


def _find(wanted: str | int, channels: Sequence[Channel], path: Path) -> int:
    """Return the place of a channel: by its name, in any case, or by its number from 1."""
    text = str(wanted).strip()
    named = [i for i, channel in enumerate(channels) if channel.name == text]
    named = named or [i for i, channel in enumerate(channels) if channel.name.casefold() == text.casefold()]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        numbers = " or ".join(str(i + 1) for i in named)
        raise ChannelsError(
            f"{len(named)} channels are called {text}",
            path=path,
            hint=f"name the one by its number: {numbers}",
        )
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(channels):
        return int(text) - 1
    raise ChannelsError(
        f"there is no channel {text!r} ({describe(channels)})",
        path=path,
        hint=f"choose up to {MAX_SHOWN} of them, for instance {example(channels)}",
    )


def plan_shown(source: ChannelSource, indices: Sequence[int]) -> tuple[Shown, ...]:
    """Choose colours and windows: the file's own, else red, green, blue, and percentiles."""
    channels = [source.channels[index] for index in indices]
    lacking = [i for i, channel in zip(indices, channels, strict=True) if channel.window is None]
    measured = dict(zip(lacking, measure_windows(source, lacking), strict=True)) if lacking else {}
    return tuple(
        Shown(index, channel.name, color, channel.window or measured[index])
        for index, channel, color in zip(indices, channels, _colors(channels), strict=True)
    )


def _colors(channels: Sequence[Channel]) -> tuple[Rgb, ...]:
    """Colours to show channels in: the file's; red, green, blue for others, or for all if it repeats itself.

    One channel alone is grey if it has no colour.
    """
    stated = [None if channel.color == BLACK else channel.color for channel in channels]
    if len(channels) == 1:
        return (stated[0] or GREY,)
    named = [color for color in stated if color is not None]
    if len(set(named)) < len(named):
        return PRIMARIES[: len(channels)]
    free = iter([color for color in PRIMARIES if color not in named])
    return tuple(color or next(free) for color in stated)


def _tell(channels: Sequence[Channel], shown: Sequence[Shown]) -> list[str]:
    """What was chosen for the user: values from black to full colour, and colours."""
    told = []
    measured = [channel for channel in shown if channels[channel.index].window is None]
    if measured:
        ranges = ", ".join(f"{c.name} {c.window[0]:g} to {c.window[1]:g}" for c in measured)
        told.append(f"{SHOWN_FROM}: {ranges} (99.8 % of the coarsest level)")
    if len(shown) > 1 and any(channel.color != channels[channel.index].color for channel in shown):
        told.append("the file names no colours that tell all channels apart: red, green, blue are put in")
    return told


def describe(channels: Sequence[Channel]) -> str:
    """List channels with their numbers, as they may be chosen."""
    names = [f"{number} {channel.name}" for number, channel in enumerate(channels[:MAX_NAMED], 1)]
    more = len(channels) - MAX_NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def example(channels: Sequence[Channel]) -> str:
    """Return the option that would choose the first channels, by name where names tell them apart."""
    first = channels[:MAX_SHOWN]
    names = [channel.name.casefold() for channel in channels]
    plain = all(
        "," not in c.name and " " not in c.name and names.count(c.name.casefold()) == 1 for c in first
    )
    return "--channels " + ",".join(c.name if plain else str(i) for i, c in enumerate(first, 1))
