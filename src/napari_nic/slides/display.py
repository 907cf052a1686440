"""What a notebook shows of a slide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.errors import NicError
from napari_nic.notebook import SIDE_PX, card

if TYPE_CHECKING:
    from napari_nic.slides.model import RgbArray
    from napari_nic.slides.slide import Slide

MOST_PIXELS = 2**24
"""Pixels of the coarsest level that are read for a picture; without a small level there is none."""


def slide_card(slide: Slide) -> str:
    """Return HTML with size, pixel size, levels, notices, and a picture where a small level holds one."""
    height, width = slide.levels[0].shape
    size = slide.pixel_size
    um = f"{size.x:g} x {size.y:g} um ({size.source})" if size is not None else slide.pixel_size_note
    area = f", {width * size.x / 1000:.1f} x {height * size.y / 1000:.1f} mm" if size is not None else ""
    facts = {
        "size": f"{width:,} x {height:,} px{area}",
        "pixel size": um,
        "levels": f"{len(slide.levels)} ({', '.join(f'{level.downsample_y:g}' for level in slide.levels)})",
        "vendor": f"{slide.vendor} (reader {slide.reader})",
        "note": "; ".join(slide.notices),
    }
    return card(slide.path.name, facts, _picture(slide))


def _picture(slide: Slide) -> RgbArray | None:
    level = slide.levels[-1]
    if level.shape[0] * level.shape[1] > MOST_PIXELS or slide.pixel_size is None:
        return None
    from napari_nic.slides.overview import read_overview

    longest = max(slide.levels[0].shape) * max(slide.pixel_size.x, slide.pixel_size.y)
    try:
        return read_overview(slide, longest / SIDE_PX).image
    except NicError:  # closed, or damaged: what is known of it is shown all the same
        return None
