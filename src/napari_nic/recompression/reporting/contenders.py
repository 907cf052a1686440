"""What is compared with each other: codecs at several qualities, on equal terms of chroma subsampling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari_nic.recompression.lossy import CodecSettings, PixelCodec, load_pixel_codec, make_settings
from napari_nic.slides import RgbArray


@dataclass(frozen=True)
class Contender:
    """A codec with its settings.

    Attributes
    ----------
    codec : PixelCodec
    settings : CodecSettings
    """

    codec: PixelCodec
    settings: CodecSettings

    @property
    def series(self) -> str:
        """The codec and all but its quality: what a line of a plot is."""
        effort = f" effort {self.settings.effort}" if self.codec.name == "jpegxl" else ""
        return f"{self.codec.name} {self.settings.subsampling}{effort}"

    @property
    def name(self) -> str:
        """As it is written in tables."""
        if self.codec.scale.is_fixed:
            return self.series
        return f"{self.series}, {self.settings.quality:g} {self.codec.scale.unit}".rstrip()

    def encode(self, tile: RgbArray) -> bytes:
        """Encode a tile."""
        return self.codec.encode(tile, self.settings)

    def decode(self, data: bytes) -> RgbArray:
        """Decode a tile."""
        return self.codec.decode(data)


def contender(
    name: str, quality: float | None = None, subsampling: str | None = None, effort: int = 3
) -> Contender:
    """Return a contender by the name of its codec; its defaults where nothing was said.

    Raises
    ------
    UnknownNameError
        If there is no such codec.
    InvalidParameterError
        If it has no such settings.
    """
    codec = load_pixel_codec(name)
    return Contender(codec, make_settings(codec, quality, subsampling, effort))


BASELINE = ("jpeg", 90.0, "4:4:4")
"""What sizes are compared with, at equal subsampling."""

PAPER_BASELINE = ("jpeg", 90.0, "4:2:0")
"""JPEG as most programs write it."""

_SERIES: tuple[tuple[str, str | None, int, tuple[float, ...]], ...] = (
    ("jpeg", "4:2:0", 3, (90,)),
    ("jpeg", "4:4:4", 3, (70, 80, 90, 95)),
    ("jpeg2000", None, 3, (33, 37, 41)),
    ("jpegxl", None, 7, (90,)),
    ("jpegxl", None, 3, (80, 90, 95)),
    ("avif", "4:4:4", 3, (60, 70, 80, 90)),
    ("webp", None, 3, (90,)),
)


def default_contenders() -> tuple[Contender, ...]:
    """Return those of the paper that are at hand, and their neighbours in quality."""
    return tuple(
        contender(name, quality, subsampling, effort)
        for name, subsampling, effort, qualities in _SERIES
        for quality in qualities
    )


def with_baselines(contenders: Iterable[Contender]) -> tuple[Contender, ...]:
    """Put both baselines first, each contender once."""
    every = (contender(*PAPER_BASELINE), contender(*BASELINE), *contenders)
    return tuple({one.name: one for one in every}.values())
