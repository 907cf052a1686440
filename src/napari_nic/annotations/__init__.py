"""Annotations of slides: others' formats, areas on the grid, agreement with maps.

Public modules beside this list: ``frames``.
"""

from napari_nic.annotations.agreement import Agreement, agreement
from napari_nic.annotations.colors import UNCLASSIFIED, UNCLASSIFIED_COLOR, label_colors
from napari_nic.annotations.model import AREA_KINDS, Annotation, AnnotationSet, Kind
from napari_nic.annotations.raster import covered_share, patch_share, rasterise
from napari_nic.annotations.registry import (
    FORMATS,
    read_annotations,
    writable_formats,
    write_annotations,
)
from napari_nic.colors import RGB

__all__ = [
    "AREA_KINDS",
    "FORMATS",
    "RGB",
    "UNCLASSIFIED",
    "UNCLASSIFIED_COLOR",
    "Agreement",
    "Annotation",
    "AnnotationSet",
    "Kind",
    "agreement",
    "covered_share",
    "label_colors",
    "patch_share",
    "rasterise",
    "read_annotations",
    "writable_formats",
    "write_annotations",
]
