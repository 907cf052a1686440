"""Path -> :class:`Slide`: a lazy pyramid of any vendor's slide, its pixel size, colours and fingerprint.

Public modules beside this list: ``dicom_instances``, ``hatching``, ``omezarr_labels``, ``readers``,
``shrink``.
"""

from napari_nic.slides.channels import SHOWN_FROM, choice_options, clean_choice, describe_choice
from napari_nic.slides.folder import SlideFolder, is_zarr_picture
from napari_nic.slides.kinds import is_part
from napari_nic.slides.model import (
    Channel,
    ColorInfo,
    Level,
    PixelSizeClaim,
    RgbArray,
    Selection,
    SlideSource,
    SourceInfo,
)
from napari_nic.slides.opening import (
    READERS,
    open_slide,
    read_channels,
    register_reader,
    slide_suffixes,
    told_suffixes,
)
from napari_nic.slides.overview import Overview, iter_read_overview, read_overview
from napari_nic.slides.remote import path_for
from napari_nic.slides.slide import Slide

__all__ = [
    "READERS",
    "SHOWN_FROM",
    "Channel",
    "ColorInfo",
    "Level",
    "Overview",
    "PixelSizeClaim",
    "RgbArray",
    "Selection",
    "Slide",
    "SlideFolder",
    "SlideSource",
    "SourceInfo",
    "choice_options",
    "clean_choice",
    "describe_choice",
    "is_part",
    "is_zarr_picture",
    "iter_read_overview",
    "open_slide",
    "path_for",
    "read_channels",
    "read_overview",
    "register_reader",
    "slide_suffixes",
    "told_suffixes",
]
