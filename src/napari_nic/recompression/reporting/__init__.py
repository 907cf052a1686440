"""What became of a slide that was written anew: bytes, quality by magnification, drift of codes, a page.

Public modules beside this list: ``codec_page``, ``codec_table``, ``contenders``, ``page``, ``preview``,
``recoded``.
"""

from napari_nic.recompression.reporting.comparing import ReportOptions, SlideComparison, compare_slides
from napari_nic.recompression.reporting.drift import EmbeddingDrift, PredictionDrift
from napari_nic.recompression.reporting.page import RunFacts, report_page
from napari_nic.recompression.reporting.stored import StoredLevel, stored_levels
from napari_nic.recompression.reporting.views import MAGNIFICATIONS

__all__ = [
    "MAGNIFICATIONS",
    "EmbeddingDrift",
    "PredictionDrift",
    "ReportOptions",
    "RunFacts",
    "SlideComparison",
    "StoredLevel",
    "compare_slides",
    "report_page",
    "stored_levels",
]
