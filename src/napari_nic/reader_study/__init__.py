"""Readers, predictions and saliency compared with each other: overlap, boundaries, kappa, FROC, consensus.

Public modules beside this list: ``consensus``, ``detections``, ``doctor``, ``froc``, ``kappa``, ``lesions``,
``matching``, ``object_codes``, ``report``, ``staple``, ``units``, ``votes``.
"""

from napari_nic.reader_study.cells import areas_of_classes, box_of, square_grid
from napari_nic.reader_study.cohort import ClassSummary, summarise
from napari_nic.reader_study.difference import difference_legend, difference_overlay
from napari_nic.reader_study.pairs import CompareOptions, PairComparison, compare_readings, pixel_auc
from napari_nic.reader_study.readings import (
    Reading,
    ValueMap,
    labels_of,
    only_labels,
    prediction_reading,
    saliency_reading,
)
from napari_nic.reader_study.slides import ReadSlide

__all__ = [
    "ClassSummary",
    "CompareOptions",
    "PairComparison",
    "ReadSlide",
    "Reading",
    "ValueMap",
    "areas_of_classes",
    "box_of",
    "compare_readings",
    "difference_legend",
    "difference_overlay",
    "labels_of",
    "only_labels",
    "pixel_auc",
    "prediction_reading",
    "saliency_reading",
    "square_grid",
    "summarise",
]
