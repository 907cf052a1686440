"""Path -> :class:`Slide`: a lazy pyramid of any vendor's slide, its pixel size, colours and fingerprint."""

from napari_nic.slides.channels import choice_options, clean_choice, describe_choice
from napari_nic.slides.model import Channel, ColorInfo, Level, Selection, SlideSource, SourceInfo
from napari_nic.slides.opening import (
    READERS,
    open_slide,
    read_channels,
    register_reader,
    slide_suffixes,
    told_suffixes,
)
from napari_nic.slides.overview import Overview, iter_read_overview, read_overview
from napari_nic.slides.slide import Slide

__all__ = [
    "READERS",
    "Channel",
    "ColorInfo",
    "Level",
    "Overview",
    "Selection",
    "Slide",
    "SlideSource",
    "SourceInfo",
    "choice_options",
    "clean_choice",
    "describe_choice",
    "iter_read_overview",
    "open_slide",
    "read_channels",
    "read_overview",
    "register_reader",
    "slide_suffixes",
    "told_suffixes",
]
