"""Lossy modes: tiles are decoded, encoded by another codec, checked, and put into a container."""

from napari_nic.recompression.lossy.checking import TileCheck, Verdict, WrittenTile
from napari_nic.recompression.lossy.codecs import (
    LEARNED,
    PIXEL_CODECS,
    SUBSAMPLINGS,
    CodecSettings,
    PixelCodec,
    QualityScale,
    load_pixel_codec,
    make_settings,
    quality_of,
    scale_of,
)
from napari_nic.recompression.lossy.containers import CONTAINERS, load_container
from napari_nic.recompression.lossy.estimating import estimate_lossy
from napari_nic.recompression.lossy.opens_in import PROGRAMS, Answer, choose_options, opens_table
from napari_nic.recompression.lossy.options import LossyOptions
from napari_nic.recompression.lossy.picture import SourcePicture
from napari_nic.recompression.lossy.reports import LossyReport
from napari_nic.recompression.lossy.targets import CosineMeasure, FoundQuality, Target, find_settings
from napari_nic.recompression.lossy.validating import LossyCheck, record_in, validate_lossy
from napari_nic.recompression.lossy.writing import recompress_lossy

__all__ = [
    "CONTAINERS",
    "LEARNED",
    "PIXEL_CODECS",
    "PROGRAMS",
    "SUBSAMPLINGS",
    "Answer",
    "CodecSettings",
    "CosineMeasure",
    "FoundQuality",
    "LossyCheck",
    "LossyOptions",
    "LossyReport",
    "PixelCodec",
    "QualityScale",
    "SourcePicture",
    "Target",
    "TileCheck",
    "Verdict",
    "WrittenTile",
    "choose_options",
    "estimate_lossy",
    "find_settings",
    "load_container",
    "load_pixel_codec",
    "make_settings",
    "opens_table",
    "quality_of",
    "recompress_lossy",
    "record_in",
    "scale_of",
    "validate_lossy",
]
