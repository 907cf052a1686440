"""Smaller slide files: tiles are packed anew, everything else stays as it was, and nothing is lost unseen.

Public modules beside this list: ``codec_training``, ``glass``, ``learned``, ``lossy``, ``quality``,
``reporting``.
"""

from napari_nic.recompression.codecs import CODECS
from napari_nic.recompression.deidentifying import Deidentification
from napari_nic.recompression.glass import GlassOptions
from napari_nic.recompression.report import PageReport, SlideReport
from napari_nic.recompression.restoring import CheckReport, restore, validate
from napari_nic.recompression.rewriting import recompress, try_sample
from napari_nic.recompression.unfinished import read_unfinished

__all__ = [
    "CODECS",
    "CheckReport",
    "Deidentification",
    "GlassOptions",
    "PageReport",
    "SlideReport",
    "read_unfinished",
    "recompress",
    "restore",
    "try_sample",
    "validate",
]
