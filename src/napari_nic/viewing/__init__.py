"""What a viewer of slides computes: magnification, thumbnails, stains; no window and no Qt."""

from napari_nic.viewing.alignment import LEAST_LANDMARKS, Alignment, AlignmentKind, align
from napari_nic.viewing.bookmarks import Bookmark
from napari_nic.viewing.figure import (
    FigureFrame,
    Part,
    RasterPart,
    Shape,
    ShapesPart,
    iter_figure,
)
from napari_nic.viewing.furniture import (
    MM_PER_INCH,
    FigureFacts,
    LegendEntry,
    Mask,
    Write,
    draw_scale_bar,
    format_length,
    legend_strip,
    nice_length,
    write_figure,
)
from napari_nic.viewing.magnification import (
    MAGNIFICATIONS,
    UM_PER_PX_AT_1X,
    format_magnification,
    magnification_at,
    native_magnification,
    um_per_px_at,
)
from napari_nic.viewing.project import Project, ProjectSlide
from napari_nic.viewing.stains import (
    OWN,
    STAIN_SETS,
    Display,
    StainSet,
    Tone,
    format_stains,
    parse_stains,
    stain_picture,
)
from napari_nic.viewing.thumbnail import iter_thumbnail

__all__ = [
    "LEAST_LANDMARKS",
    "MAGNIFICATIONS",
    "MM_PER_INCH",
    "OWN",
    "STAIN_SETS",
    "UM_PER_PX_AT_1X",
    "Alignment",
    "AlignmentKind",
    "Bookmark",
    "Display",
    "FigureFacts",
    "FigureFrame",
    "LegendEntry",
    "Mask",
    "Part",
    "Project",
    "ProjectSlide",
    "RasterPart",
    "Shape",
    "ShapesPart",
    "StainSet",
    "Tone",
    "Write",
    "align",
    "draw_scale_bar",
    "format_length",
    "format_magnification",
    "format_stains",
    "iter_figure",
    "iter_thumbnail",
    "legend_strip",
    "magnification_at",
    "native_magnification",
    "nice_length",
    "parse_stains",
    "stain_picture",
    "um_per_px_at",
    "write_figure",
]
