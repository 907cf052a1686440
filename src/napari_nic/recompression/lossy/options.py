"""What is asked of a lossy run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.glass import GlassOptions
from napari_nic.recompression.lossy.codecs import (
    CodecSettings,
    PixelCodec,
    load_pixel_codec,
    make_settings,
)


@dataclass(frozen=True)
class LossyOptions:
    """How a slide is written anew.

    Attributes
    ----------
    codec : str
        One of :data:`~napari_nic.recompression.lossy.PIXEL_CODECS`, or ``neural:`` and the name or folder of
        a learned codec.
    quality : float, optional
        On the codec's scale; its default if None.
    subsampling : str, optional
        Of chroma: ``"4:4:4"``, ``"4:2:2"``, ``"4:2:0"``; the codec's first if None.
    effort : int
        Of JPEG XL.
    container : str
        One of :data:`~napari_nic.recompression.lossy.CONTAINERS`.
    tile : int, optional
        Side of tiles; the slide's own if None.
    glass : GlassOptions, optional
        Remove glass; by default all of it is kept.
    deidentify : bool
        Leave out whatever may name somebody.
    label_text : str
        What the label of a file without names says.
    mpp : float, optional
        um per level-0 pixel, where the slide does not say.
    must_pass : bool
        Whether a tile that does not pass the check with its codec's best quality ends the run. Else it is
        kept so, and the report counts it.
    """

    codec: str = "jpegxl"
    quality: float | None = None
    subsampling: str | None = None
    effort: int = 3
    container: str = "tiff"
    tile: int | None = None
    glass: GlassOptions | None = None
    deidentify: bool = False
    label_text: str = ""
    mpp: float | None = None
    must_pass: bool = False

    def __post_init__(self) -> None:
        if self.tile is not None and (self.tile % 16 or not 64 <= self.tile <= 4096):
            raise InvalidParameterError(
                "no such side of tiles", expected="a multiple of 16 from 64 to 4096", found=str(self.tile)
            )
        if self.label_text and not self.deidentify:
            raise InvalidParameterError(
                "a text for a new label was given, and the old one is kept", hint="add --deidentify"
            )

    def load_codec(self) -> tuple[PixelCodec, CodecSettings]:
        """Return the codec and its settings.

        Raises
        ------
        UnknownNameError
            If there is no such codec.
        InvalidParameterError
            If it has no such quality or subsampling.
        """
        codec = load_pixel_codec(self.codec)
        return codec, make_settings(codec, self.quality, self.subsampling, self.effort)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        glass = None if self.glass is None else self.glass.to_dict()
        return {**asdict(replace(self, glass=None)), "glass": glass}
