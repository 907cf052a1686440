"""Which pictures of a TIFF file are the slide and its levels: tifffile joins those of one step only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tifffile

from napari_nic.slides.levels import is_same_picture

_MASK_BIT = 4
_OWN_ORDER = ("is_ndpi", "is_philips", "is_ome", "is_imagej", "is_qpi", "is_scn", "is_bif", "is_lsm")
"""Dialects that say themselves which pages are levels; their other pages are others."""

_NAMES = ("label", "macro", "thumbnail")


@dataclass(frozen=True)
class Pyramid:
    """The slide among tifffile's series.

    Attributes
    ----------
    index : int
        Its number among tifffile's series.
    levels : tuple of tifffile.TiffPageSeries
        Finest first.
    others : tuple of int
        Series that hold no level of it.
    """

    index: int
    levels: tuple[Any, ...]
    others: tuple[int, ...]


def find_pyramid(tif: tifffile.TiffFile, index: int) -> Pyramid:
    """Add to the levels of a series those that tifffile takes for other pictures.

    Steps may differ, sizes may be rounded up and then down, the first page after the slide may be a level
    where an Aperio has its thumbnail. What is joined is smaller, of the same aspect and samples, and marked
    as reduced, or cut into the same tiles.

    Parameters
    ----------
    tif : tifffile.TiffFile
    index : int
        The slide among its series.
    """
    main = tif.series[index]
    known = [level.keyframe for level in main.levels]
    levels = list(main.levels)
    if not any(getattr(tif, flag) for flag in _OWN_ORDER):
        for level in _candidates(tif, index):
            if _is_level(level, levels) and all(level.keyframe is not page for page in known):
                levels.append(level)
        levels.sort(key=lambda level: -level.keyframe.imagelength * level.keyframe.imagewidth)
    joined = {level.keyframe.offset for level in levels}
    others = tuple(
        number
        for number, series in enumerate(tif.series)
        if number != index and series.keyframe.offset not in joined
    )
    return Pyramid(index, tuple(levels), others)


def is_mask(page: Any) -> bool:
    """Whether a page only says which pixels of another one count, as GDAL writes them."""
    return page.photometric == tifffile.PHOTOMETRIC.MASK or bool(int(page.subfiletype) & _MASK_BIT)


def _candidates(tif: tifffile.TiffFile, index: int) -> list[Any]:
    """Return all pictures but the slide; of an Aperio, tifffile leaves pages out that it does not expect."""
    if tif.is_svs:
        pages = [page for page in tif.pages if isinstance(page, tifffile.TiffPage)]
        return [tifffile.TiffPageSeries([page], page.shape, page.dtype, page.axes) for page in pages[1:]]
    return [level for number, series in enumerate(tif.series) if number != index for level in series.levels]


def _is_level(level: Any, levels: list[Any]) -> bool:
    finest, page = levels[0].keyframe, level.keyframe
    size, full = (page.imagelength, page.imagewidth), (finest.imagelength, finest.imagewidth)
    taken = [(known.keyframe.imagelength, known.keyframe.imagewidth) for known in levels]
    is_alike = (level.axes, page.samplesperpixel, page.dtype) == (
        levels[0].axes,
        finest.samplesperpixel,
        finest.dtype,
    )
    if is_mask(page) or not is_alike or size in taken or not is_same_picture(full, size):
        return False
    if any(name in page.description.lower() for name in _NAMES):
        return False
    if finest.is_tiled:
        return page.is_tiled and (page.is_reduced or _tile(page) == _tile(finest))
    return not page.is_tiled and page.is_reduced


def _tile(page: Any) -> tuple[int, int]:
    return int(page.tilelength), int(page.tilewidth)
