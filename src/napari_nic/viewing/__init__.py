"""What a viewer of slides computes: magnification, thumbnails, stains; no window and no Qt."""

from napari_nic.viewing.bookmarks import Bookmark
from napari_nic.viewing.magnification import (
    MAGNIFICATIONS,
    UM_PER_PX_AT_1X,
    format_magnification,
    magnification_at,
    native_magnification,
    um_per_px_at,
)
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
    "MAGNIFICATIONS",
    "OWN",
    "STAIN_SETS",
    "UM_PER_PX_AT_1X",
    "Bookmark",
    "Display",
    "StainSet",
    "Tone",
    "format_magnification",
    "format_stains",
    "iter_thumbnail",
    "magnification_at",
    "native_magnification",
    "parse_stains",
    "stain_picture",
    "um_per_px_at",
]
