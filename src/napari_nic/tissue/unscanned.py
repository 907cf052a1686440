"""What the scanner did not scan: it is filled with one even grey, or with black, and is no tissue."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.slides import Overview, RgbArray, Slide
from napari_nic.tissue.stain import extremes

BoolArray = npt.NDArray[np.bool_]

MIN_AREA_UM2 = 60_000.0
"""Scanners leave out whole fields of view; a smaller even spot is a bubble, or the glass between tissue."""

_CHROMA = 12  # fillings are grey
_WHITE = 254  # pure white needs no care: it has no stain, and is never taken for the colour of glass
_EVEN = 1  # levels that neighbours may differ by, from rounding
_WINDOW = 5  # px
_BAND_ROWS = 512
_MOST_PARTS = 16
_MOST_POINTS = 100_000
_SAMPLES, _SAMPLE_PX = 4, 64
_NATIVE_EVEN = 2  # levels, after lossy compression; the grain of scanned glass is more
_GROW, _NEAR = 16, 12  # px and grey levels: ringing in a block of lossy compression
_RIM = 5  # px: averaging blurs the edge


def find_unscanned(
    slide: Slide, overview: Overview, token: CancellationToken | None = None
) -> BoolArray | None:
    """Return where the slide is filled with one even colour, (rows, cols) bool; None when nowhere.

    Glass may look just as even once it is averaged down. So a few spots of each even part are looked at on
    level 0, where what was scanned has a grain.

    Parameters
    ----------
    slide : Slide
    overview : Overview
        A picture of it.
    token : CancellationToken, optional
    """
    token = token or CancellationToken()
    step = overview.placement.step_um
    even = _even_parts(overview.image, token)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(even.view(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    large = [n + 1 for n in np.argsort(-areas)[:_MOST_PARTS] if areas[n] * step[0] * step[1] >= MIN_AREA_UM2]
    rows, cols = overview.image.shape[:2]
    filled = np.zeros((rows, cols), np.bool_)
    for label in large:
        token.checkpoint()
        x, y, width, height = stats[label, :4]
        every = max(1, math.isqrt(width * height // _MOST_POINTS))
        inside = np.argwhere(labels[y : y + height : every, x : x + width : every] == label) * every
        if _is_filling(slide, overview, inside + np.array([y, x])):
            box = RegionPx(y - _GROW, x - _GROW, height + 2 * _GROW, width + 2 * _GROW)
            part = box.intersect(RegionPx(0, 0, rows, cols)).slices
            filled[part] |= _grown(labels[part] == label, overview.image[part])
    return filled if filled.any() else None


def _grown(part: BoolArray, image: RgbArray) -> BoolArray:
    """Grow a filling to its very edge, where lossy compression and averaging have made it less even."""
    color = np.median(image[part][:: max(1, int(part.sum()) // _MOST_POINTS)], axis=0).astype(np.uint8)
    difference = extremes(cv2.absdiff(image, np.full_like(image, color)))[1]
    side = np.ones((2 * _GROW + 1, 2 * _GROW + 1), np.uint8)
    near = cv2.dilate(part.view(np.uint8), side).astype(np.bool_) & (difference <= _NEAR)
    return cv2.dilate((near | part).view(np.uint8), np.ones((_RIM, _RIM), np.uint8)).astype(np.bool_)


def _even_parts(image: RgbArray, token: CancellationToken) -> BoolArray:
    """Return the pixels that are grey and like all their neighbours."""
    even = np.empty(image.shape[:2], np.bool_)
    window, reach = np.ones((_WINDOW, _WINDOW), np.uint8), _WINDOW // 2
    for top in range(0, len(image), _BAND_ROWS):
        token.checkpoint()
        first = max(0, top - reach)
        band = np.ascontiguousarray(image[first : top + _BAND_ROWS + reach])
        span = extremes(cv2.dilate(band, window) - cv2.erode(band, window))[1]
        lowest, highest = extremes(band)
        found = (span <= _EVEN) & (highest - lowest < _CHROMA) & (lowest < _WHITE)
        even[top : top + _BAND_ROWS] = found[top - first :][:_BAND_ROWS]
    return even


def _is_filling(slide: Slide, overview: Overview, inside: npt.NDArray[np.intp]) -> bool:
    """Whether level 0 has no grain at some spots of an even part; `inside` are its pixels (n, 2)."""
    if len(inside) == 0:
        return False
    spots = inside[np.linspace(0, len(inside) - 1, _SAMPLES + 2).astype(int)[1:-1]]
    downsample = slide.levels[overview.level]
    for y, x in spots:
        region = RegionPx(
            int((y + 0.5) * overview.factor * downsample.downsample_y) - _SAMPLE_PX // 2,
            int((x + 0.5) * overview.factor * downsample.downsample_x) - _SAMPLE_PX // 2,
            _SAMPLE_PX,
            _SAMPLE_PX,
        ).intersect(slide.levels[0].region)
        try:
            pixels = slide.read_region(0, region)
        except DamagedSlideError:
            return False
        if int(np.ptp(pixels, axis=(0, 1)).max()) > _NATIVE_EVEN:
            return False
    return True
