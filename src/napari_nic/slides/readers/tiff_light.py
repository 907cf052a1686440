"""Channels of a TIFF file, such as fluorescent stains, read as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_nic.errors import OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.slides.contrast import Window
from napari_nic.slides.model import Channel, Rgb, RgbArray, SlideSource
from napari_nic.slides.readers.bytesource import ByteSource
from napari_nic.slides.readers.tiff_channels import imagej_color
from napari_nic.slides.readers.tiff_levels import TiffLevel
from napari_nic.slides.readers.tiff_metadata import TiffFacts
from napari_nic.slides.readers.tiff_page import Plane
from napari_nic.slides.readers.tiff_picture import TiffPicture
from napari_nic.slides.readers.tiff_pixels import PixelKind, check_codec, refusal

if TYPE_CHECKING:
    from napari_nic.slides.model import SourceInfo

Numbers = npt.NDArray[Any]

_BLACK: Rgb = (0, 0, 0)
_ZERO_IS_BLACK = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.PALETTE,  # the colours that a channel is shown in, not what it holds
)


class LightPicture(TiffPicture):
    """Pages of one size, each a channel, or one page with a sample for each channel; decoded to numbers.

    Raises
    ------
    UnsupportedPixelsError
        If the channels are written in different ways, or 0 is not dark.
    """

    def __init__(self, planes: list[Plane], source: ByteSource) -> None:
        super().__init__(planes[:1], source, _BLACK, _kind(planes))
        self._channels = [self, *(TiffPicture([plane], source, _BLACK, self.kind) for plane in planes[1:])]
        self._held: dict[int, Numbers | None] = {}

    @property
    def channel_count(self) -> int:
        """Number of channels."""
        return len(self._channels) if len(self._channels) > 1 else self.kind.colors

    def read_numbers(self, frame: RegionPx, row: int, col: int, channels: Sequence[int]) -> Numbers | None:
        """Decode block (row, col), which shows `frame`, of some channels; None if all of it is missing."""
        if len(self._channels) == 1:
            numbers = self._numbers(0, frame, row, col)
            return None if numbers is None else numbers[..., list(channels)]
        planes = [self._numbers(index, frame, row, col) for index in channels]
        there = [plane for plane in planes if plane is not None]
        if not there:
            return None
        return np.concatenate([np.zeros_like(there[0]) if p is None else p for p in planes], axis=2)

    def _numbers(self, channel: int, frame: RegionPx, row: int, col: int) -> Numbers | None:
        if not self._is_whole:
            return self._gather(channel, frame, row, col)
        with self._lock:
            if channel not in self._held:
                self._held[channel] = self._gather(channel, RegionPx(0, 0, *self.shape), 0, 0)
            whole = self._held[channel]
        return None if whole is None else whole[frame.slices]

    def _gather(self, channel: int, frame: RegionPx, row: int, col: int) -> Numbers | None:
        plane = self._planes[0]
        parts = [self._channels[channel].decode(index) for index in plane.segments(row, col)]
        there = [part.samples for part in parts if part is not None]
        if not there:
            return None
        numbers = np.zeros((frame.height, frame.width, there[0].shape[2]), there[0].dtype)
        height = plane.segment_shape[0]
        for place, part in enumerate(parts):
            if part is not None:
                target = numbers[place * height : (place + 1) * height]
                target[:] = part.samples[: target.shape[0], : target.shape[1]]
        return numbers


def _kind(planes: list[Plane]) -> PixelKind:
    first = planes[0].page
    for plane in planes:
        page = plane.page
        check_codec(page)
        if page.photometric not in _ZERO_IS_BLACK:
            name = getattr(page.photometric, "name", page.photometric)
            raise refusal(f"channels written as {name}")
        if page.dtype is None or page.dtype.kind not in "uif" or isinstance(page.bitspersample, tuple):
            raise refusal(f"channels of {page.dtype}")
        is_alike = plane.shape == planes[0].shape and plane.block == planes[0].block
        if not is_alike or (page.dtype, page.samplesperpixel) != (first.dtype, first.samplesperpixel):
            raise refusal("its channels are written in different ways")
    if len(planes) > 1 and first.samplesperpixel > 1:
        raise refusal(f"channels of {first.samplesperpixel} samples a pixel")
    return PixelKind(tifffile.PHOTOMETRIC.MINISBLACK, int(first.bitspersample), int(first.samplesperpixel))


class TiffChannelSource:
    """An open TIFF of channels. See :class:`~napari_nic.slides.model.ChannelSource`.

    Parameters
    ----------
    slide : SlideSource
        The same file, for all that is no pixel of a channel.
    levels : sequence of TiffLevel
        Their pictures are :class:`LightPicture`.
    channels : sequence of Channel
    """

    def __init__(self, slide: SlideSource, levels: Sequence[TiffLevel], channels: Sequence[Channel]) -> None:
        self._slide, self._pictures = slide, [level.picture for level in levels]
        self.info: SourceInfo = replace(slide.info, channels=tuple(channels), icc_profile=None)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels of the file."""
        return self.info.channels

    def read_channels(self, level: int, row: int, col: int, channels: Sequence[int]) -> Numbers | None:
        """Decode one tile of some channels."""
        picture = self._pictures[level]
        if not isinstance(picture, LightPicture):
            raise OutOfBoundsError(f"level {level} holds no channels")
        frame = self.info.levels[level].tile_region(row, col)
        return picture.read_numbers(frame, row, col, channels)

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        return self._slide.read_associated(name)

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


def describe_channels(tif: tifffile.TiffFile, facts: TiffFacts, picture: TiffPicture) -> tuple[Channel, ...]:
    """Name the channels, with the colours and windows that the file states."""
    count = picture.channel_count if isinstance(picture, LightPicture) else 1
    metadata = (tif.imagej_metadata or {}) if tif.is_imagej else {}
    channels = []
    for index in range(count):
        stated = facts.channels[index] if index < len(facts.channels) else None
        channels.append(
            Channel(
                (stated.name if stated else "") or f"channel {index + 1}",
                (stated.color if stated else None) or imagej_color(metadata, index),
                _imagej_window(metadata, index),
            )
        )
    return tuple(channels)


def _imagej_window(metadata: dict[str, Any], index: int) -> Window | None:
    ranges = metadata.get("Ranges") or ()
    if len(ranges) < 2 * index + 2:
        return None
    low, high = float(ranges[2 * index]), float(ranges[2 * index + 1])
    return (low, high) if np.isfinite([low, high]).all() and low < high else None
