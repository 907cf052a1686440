"""Annotations of slides: others' formats, areas on the grid, agreement with maps.

Public modules beside this list: ``details``, ``format_table``, ``frames``, ``garbage``, ``label_files``,
``label_image``, ``region_outlines``.
"""

from napari_nic.annotations.agreement import Agreement, agreement
from napari_nic.annotations.boundaries import (
    STEP_UM,
    TOLERANCE_UM,
    BoundaryDistances,
    mask_distances,
    outline_distances,
)
from napari_nic.annotations.cell_areas import cell_area
from napari_nic.annotations.colors import UNCLASSIFIED, UNCLASSIFIED_COLOR, label_colors
from napari_nic.annotations.comparison import ClassComparison, class_comparison, compare_sets, in_um
from napari_nic.annotations.ellipses import Ellipse, ellipse_of, ellipse_outline
from napari_nic.annotations.kinds import KINDS, true_kind
from napari_nic.annotations.label_image import LabelImage, plan_label_image
from napari_nic.annotations.labelled import labelled_cells
from napari_nic.annotations.merging import disjoint, joined
from napari_nic.annotations.model import AREA_KINDS, Annotation, AnnotationSet, Fault, Kind
from napari_nic.annotations.partial import PartRead
from napari_nic.annotations.raster import covered_share, patch_share, rasterise
from napari_nic.annotations.registry import (
    FORMATS,
    counts_in_pixels,
    format_in,
    format_of,
    iter_read_annotations,
    read_annotations,
    writable_formats,
)
from napari_nic.annotations.saving import losses, write_annotations
from napari_nic.annotations.slide_extent import SlideExtent
from napari_nic.colors import RGB

__all__ = [
    "AREA_KINDS",
    "FORMATS",
    "KINDS",
    "RGB",
    "STEP_UM",
    "TOLERANCE_UM",
    "UNCLASSIFIED",
    "UNCLASSIFIED_COLOR",
    "Agreement",
    "Annotation",
    "AnnotationSet",
    "BoundaryDistances",
    "ClassComparison",
    "Ellipse",
    "Fault",
    "Kind",
    "LabelImage",
    "PartRead",
    "SlideExtent",
    "agreement",
    "cell_area",
    "class_comparison",
    "compare_sets",
    "counts_in_pixels",
    "covered_share",
    "disjoint",
    "ellipse_of",
    "ellipse_outline",
    "format_in",
    "format_of",
    "in_um",
    "iter_read_annotations",
    "joined",
    "label_colors",
    "labelled_cells",
    "losses",
    "mask_distances",
    "outline_distances",
    "patch_share",
    "plan_label_image",
    "rasterise",
    "read_annotations",
    "true_kind",
    "writable_formats",
    "write_annotations",
]
