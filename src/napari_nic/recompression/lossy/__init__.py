"""Lossy modes: tiles are decoded, encoded by another codec, checked, and put into a container."""

from napari_nic.recompression.lossy.checking import TileCheck, Verdict, WrittenTile
from napari_nic.recompression.lossy.codecs import (
    PIXEL_CODECS,
    SUBSAMPLINGS,
    CodecSettings,
    PixelCodec,
    QualityScale,
    make_settings,
)

__all__ = [
    "PIXEL_CODECS",
    "SUBSAMPLINGS",
    "CodecSettings",
    "PixelCodec",
    "QualityScale",
    "TileCheck",
    "Verdict",
    "WrittenTile",
    "make_settings",
]
