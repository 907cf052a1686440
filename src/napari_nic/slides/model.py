"""What a reader finds in a file, and what it must be able to do: plain values and one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_nic.geometry import LevelGeometry, RegionPx

Rgb = tuple[int, int, int]
RgbArray = npt.NDArray[np.uint8]

WHITE: Rgb = (255, 255, 255)
"""Background of a slide whose file names none."""


@dataclass(frozen=True)
class Level(LevelGeometry):
    """One level of the file's own pyramid.

    Attributes
    ----------
    tile : (int, int)
        (rows, cols) of the block that is decoded at once; (1, 1) is never meaningful and not allowed.
    """

    tile: tuple[int, int] = (256, 256)

    @property
    def tile_grid(self) -> tuple[int, int]:
        """(rows, cols) of tiles that cover the level."""
        return -(-self.height // self.tile[0]), -(-self.width // self.tile[1])

    def tile_region(self, row: int, col: int) -> RegionPx:
        """Pixels of tile (row, col), cropped at the level's edge."""
        whole = RegionPx(row * self.tile[0], col * self.tile[1], *self.tile)
        return whole.intersect(self.region)


@dataclass(frozen=True)
class ColorInfo:
    """The slide's colour profile and whether the pixels were converted by it.

    Attributes
    ----------
    profile : str or None
        Description of the embedded ICC profile; None where the file holds none.
    applied : bool
        Whether pixels come as sRGB by way of that profile. Without a profile they are taken as they are.
    """

    profile: str | None = None
    applied: bool = False


@dataclass(frozen=True)
class Channel:
    """One channel of a picture that is not RGB, such as a fluorescent stain.

    Attributes
    ----------
    name : str
        As the file calls it; ``"channel 2"`` where it has no name.
    color : (int, int, int) or None
        The colour that the file shows it in.
    window : (float, float) or None
        Values that the file shows as black and as full colour.
    """

    name: str
    color: Rgb | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class Selection:
    """Which picture of a file that holds several; None where the user did not say.

    Attributes
    ----------
    scene : str or int, optional
        Name, or number from 1, of an area that was scanned by itself.
    z, t : int, optional
        Number from 1 of the plane of depth, and of the time point.
    """

    scene: str | int | None = None
    z: int | None = None
    t: int | None = None


@dataclass(frozen=True)
class PixelSizeClaim:
    """What one place in the file says about the size of a level-0 pixel, in um, however absurd.

    Attributes
    ----------
    y, x : float
        Micrometres; NaN where it says no length.
    source : str
        The place.
    doubt : str
        Why it must not be believed unless a user confirms it; empty where nothing speaks against it.
    """

    y: float
    x: float
    source: str
    doubt: str = ""


@dataclass(frozen=True)
class SourceInfo:
    """Facts that a reader found without decoding a pixel of the pyramid.

    Attributes
    ----------
    vendor : str
        Who made the file, as OpenSlide names vendors where it knows them.
    levels : tuple of Level
        The file's own pyramid, finest first.
    pixel_sizes : tuple of PixelSizeClaim
        Most trustworthy first.
    background : (int, int, int)
        RGB of missing tiles and of everything outside the slide.
    icc_profile : bytes or None
        The embedded profile.
    properties : mapping of str to str
        The file's metadata, as it stands there.
    bounds : RegionPx or None
        Level-0 rectangle that holds all scanned pixels, where the file names one. Informative.
    associated : tuple of str
        Names of the label, macro and thumbnail images.
    fingerprint_files : tuple of Path
        Files whose bytes identify the slide; the main file alone for most formats.
    notices : tuple of str
        Sentences that a user must be told when the slide opens: what the file contradicts itself in, what
        of it is not shown, what had to be taken for granted.
    channels : tuple of Channel
        All channels of the file; empty for a picture in RGB or grey.
    choice : mapping of str to JSON values
        What is shown of a file that holds more than one picture: ``channels`` as they are shown, and the
        numbers from 1 of ``scene``, ``z`` and ``t``. Results of one choice are not those of another. Empty
        for any other slide.
    is_fluorescence : bool
        Whether the picture is light on black: channels, added up.
    is_read_whole : bool
        Whether a level can only be decoded as a whole, so that reading a little of it is costly.
    """

    vendor: str
    levels: tuple[Level, ...]
    pixel_sizes: tuple[PixelSizeClaim, ...] = ()
    background: Rgb = WHITE
    icc_profile: bytes | None = None
    properties: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    bounds: RegionPx | None = None
    associated: tuple[str, ...] = ()
    fingerprint_files: tuple[Path, ...] = ()
    notices: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    choice: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    is_fluorescence: bool = False
    is_read_whole: bool = False


class SlideSource(Protocol):
    """An open file. All methods may be called from several threads at once."""

    info: SourceInfo

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one tile, cropped at the level's edge, in the file's own colours; None if it is missing.

        Raises
        ------
        DamagedSlideError
            If the tile cannot be decoded.
        """
        ...

    def read_associated(self, name: str) -> RgbArray:
        """Decode an associated image, (rows, cols, 3)."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class ChannelSource(Protocol):
    """An open file of separate channels, which only a choice makes a picture of. Safe from several threads.

    ``info.background`` means nothing here: what the file leaves out is black.
    """

    info: SourceInfo

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels, in the file's order."""

    def read_channels(
        self, level: int, row: int, col: int, channels: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """Decode one tile of some channels, cropped at the level's edge; None if all of it is missing.

        Returns
        -------
        ndarray
            (rows, cols, len(channels)) in the file's own numbers.

        Raises
        ------
        DamagedSlideError
            If the tile cannot be decoded.
        """
        ...

    def read_associated(self, name: str) -> RgbArray:
        """Decode an associated image, (rows, cols, 3)."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


OpenSource = Callable[..., SlideSource | ChannelSource]
"""A reader: takes a Path and opens the file, or raises UnreadableSlideError with why it is none of its own.

One that is registered as selecting takes a :class:`Selection` as well."""


def to_rgb(pixels: npt.NDArray[Any], background: Rgb) -> RgbArray:
    """Bring decoded samples (rows, cols[, 1 | 2 | 3 | 4]) to RGB uint8.

    Grey is repeated, 16-bit samples keep their high byte, alpha is composited on `background`.

    Raises
    ------
    ValueError
        If the samples are neither 8 nor 16 bit unsigned, or of another number than 1 to 4.
    """
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8:
        raise ValueError(f"samples are {pixels.dtype}, not 8 or 16 bit unsigned")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    samples = pixels.shape[2]
    if samples == 3:
        return np.ascontiguousarray(pixels)
    if samples in (2, 4):
        return composite(pixels, background)
    if samples == 1:
        return np.repeat(pixels, 3, axis=2)
    raise ValueError(f"{samples} samples per pixel, not grey, RGB or RGBA")


def composite(pixels: npt.NDArray[np.uint8], background: Rgb) -> RgbArray:
    """Lay straight-alpha pixels (rows, cols, 2 | 4), alpha last, over `background`."""
    color, alpha = pixels[..., :-1], pixels[..., -1:]
    if color.shape[2] == 1:
        color = np.repeat(color, 3, axis=2)
    if alpha.all() and alpha.min() == 255:
        return np.ascontiguousarray(color)
    weight = alpha.astype(np.uint16)
    mixed = color * weight + np.asarray(background, np.uint16) * (255 - weight)
    return ((mixed + 127) // 255).astype(np.uint8)
