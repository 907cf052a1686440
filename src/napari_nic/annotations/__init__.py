"""Annotations of slides: others' formats, areas on the grid, agreement with maps."""

from napari_nic.annotations.agreement import Agreement, agreement
from napari_nic.annotations.colors import UNCLASSIFIED, label_colors
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.raster import covered_share, rasterise
from napari_nic.annotations.registry import (
    FORMATS,
    read_annotations,
    writable_formats,
    write_annotations,
)
from napari_nic.colors import RGB

__all__ = [
    "FORMATS",
    "RGB",
    "UNCLASSIFIED",
    "Agreement",
    "Annotation",
    "AnnotationSet",
    "agreement",
    "covered_share",
    "label_colors",
    "rasterise",
    "read_annotations",
    "writable_formats",
    "write_annotations",
]
