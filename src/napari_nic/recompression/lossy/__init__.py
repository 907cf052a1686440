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
from napari_nic.recompression.lossy.containers import CONTAINERS, load_container
from napari_nic.recompression.lossy.options import LossyOptions
from napari_nic.recompression.lossy.reports import LossyReport
from napari_nic.recompression.lossy.writing import recompress_lossy

__all__ = [
    "CONTAINERS",
    "PIXEL_CODECS",
    "SUBSAMPLINGS",
    "CodecSettings",
    "LossyOptions",
    "LossyReport",
    "PixelCodec",
    "QualityScale",
    "TileCheck",
    "Verdict",
    "WrittenTile",
    "load_container",
    "make_settings",
    "recompress_lossy",
]
