"""Find tissue on a slide: a threshold on stain, a second look at pale fat, and cleaning up."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken
from napari_nic.slides import Slide, read_overview
from napari_nic.slides.model import RgbArray
from napari_nic.slides.shrink import shrink
from napari_nic.tissue.components import drop_parts_below, drop_small, fill_holes
from napari_nic.tissue.mask import TissueMask
from napari_nic.tissue.pen import find_pen
from napari_nic.tissue.stain import FloatArray, Stain, glass_color, measure_stain, texture, white_balance

BoolArray = npt.NDArray[np.bool_]

THRESHOLD_MIN, THRESHOLD_MAX = 0.018, 0.060
"""Bounds of the threshold on stain (optical density). Below the first there is no stain but noise and uneven
glass: without this floor Otsu's method finds "tissue" on an empty slide. Above the second, dark tissue that
fills the slide would hide pale stroma."""

TEXTURE_MIN = 0.0028
"""Roughness of fat against that of glass (measured on overviews: 0.005-0.008 against 0.0001-0.0025)."""

TEXTURE_OVER_GLASS = 2.0
"""Fat must also be this many times rougher than the slide's smoother half of glass."""

COLOR_MIN = 0.012
"""Mean colour of a part of the mask below which it is grey: dust, a bubble's rim, the edge of the glass."""

_COARSE_UM = 16.0
_OPENING = 3  # px of the coarse picture
_NO_SPREAD = 1e-6
_OTSU_OFFSET = 0.005  # keeps the logarithm finite on clean glass
_BLUR_UM = 5.0
_TEXTURE_WINDOW_UM = 120.0  # a few fat cells
_FAT_MIN_UM2 = 500_000.0  # less is a cluster of dust
_FAT_HOLE_UM2 = 60_000.0
_REACH = 0.35  # of the window, by which texture reaches over an edge


@dataclass(frozen=True)
class TissueOptions:
    """How tissue is found; areas in square micrometres.

    Attributes
    ----------
    mpp : float
        Resolution of the picture that is looked at, um/px.
    min_area_um2 : float
        Smaller parts are specks. The default is four patches of 128 px at 0.5 um/px.
    max_hole_um2 : float
        Smaller holes are filled; larger lumens and vessels stay open. 0 keeps every lumen.
    fat : bool
        Look for pale fat by its texture.
    drop_pen : bool
        Leave marker ink out. Switch off for stains that are green or blue (Masson's trichrome, Alcian blue).
    """

    mpp: float = 8.0
    min_area_um2: float = 4 * 64.0**2
    max_hole_um2: float = 2 * 64.0**2
    fat: bool = True
    drop_pen: bool = True


def find_tissue(
    slide: Slide,
    *,
    options: TissueOptions | None = None,
    workers: int = 2,
    token: CancellationToken | None = None,
) -> TissueMask:
    """Find tissue on a slide.

    The slide is looked at in about 8 um/px: its coarsest level that fine is averaged down in strips
    (:func:`~napari_nic.slides.read_overview`), so that memory stays small on slides of one level too.

    Pen marks
    ---------
    Green, blue, red and black marker ink is recognised by its colour and its size (at least 0.1 mm2) and is
    **left out**, with a margin of 40 um, and so is whatever tissue lies under it, since an encoder would see
    ink and not tissue. A dot smaller than that, and ink in the colours of the stains (violet, navy, pink,
    brown), is not recognised. See :func:`~napari_nic.tissue.pen.find_pen`.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    options : TissueOptions, optional
        Resolution, areas and switches.
    workers : int
        Threads that decode.
    token : CancellationToken, optional
        Checked while the slide is read.

    Returns
    -------
    TissueMask
        At the overview's resolution.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is not known.
    """
    options = options or TissueOptions()
    overview = read_overview(slide, options.mpp, workers=workers, token=token)
    step = overview.placement.step_um
    mask, threshold = segment_tissue(overview.image, (step[0] * step[1]) ** 0.5, options)
    method = f"stain > {threshold:.3f} (Otsu) at {step[0]:.3g} um/px"
    return TissueMask(mask, overview.placement, method)


def segment_tissue(
    image: RgbArray, um_per_px: float, options: TissueOptions | None = None
) -> tuple[BoolArray, float]:
    """Find tissue in a picture of a whole slide.

    Otsu's method (1979) on the logarithm of stain (:func:`~napari_nic.tissue.stain.stain`), where glass and
    tissue are two humps of like width, and the threshold lies near pale tissue instead of half-way to dark;
    then fat, pen marks, grey parts, specks and holes as the options say.

    Parameters
    ----------
    image : ndarray
        (rows, cols, 3) uint8 RGB.
    um_per_px : float
        Side of a pixel in micrometres.
    options : TissueOptions, optional
        Areas and switches; its `mpp` plays no part here.

    Returns
    -------
    mask : ndarray
        (rows, cols) bool.
    threshold : float
        Least stain of tissue, optical density.
    """
    options = options or TissueOptions()
    glass = glass_color(image)
    mask, threshold = _find_stained(image, glass, um_per_px)
    factor = max(1, round(_COARSE_UM / um_per_px))
    coarse = _Coarse(shrink(image, factor), glass, um_per_px * factor)
    stained = coarse.drop_grey(_reduce(mask, factor))
    pen = coarse.find_pen() if options.drop_pen else np.zeros_like(stained)
    mask &= _enlarge(stained, factor, mask.shape)
    if options.fat:
        mask |= _enlarge(coarse.find_fat(stained, pen, threshold), factor, mask.shape)
    clear = ~_enlarge(pen, factor, mask.shape)
    # Holes first, so that a net of thin walls is not dropped as so many specks.
    mask = fill_holes(mask & clear, options.max_hole_um2 / um_per_px**2) & clear
    return drop_small(mask, options.min_area_um2 / um_per_px**2), threshold


def _find_stained(image: RgbArray, glass: FloatArray, um_per_px: float) -> tuple[BoolArray, float]:
    amount = measure_stain(image, glass).amount
    amount = cv2.GaussianBlur(amount, (0, 0), max(_BLUR_UM / um_per_px, 0.5), dst=amount)
    threshold = _threshold(amount)
    return amount > threshold, threshold


def _threshold(amount: FloatArray) -> float:
    logarithm = cv2.log(amount + np.float32(_OTSU_OFFSET))
    low, high = float(logarithm.min()), float(logarithm.max())
    if high - low < _NO_SPREAD:  # an empty picture has no two classes
        return THRESHOLD_MAX
    grey = cv2.normalize(logarithm, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    found = math.exp(low + (level + 0.5) / 255 * (high - low)) - _OTSU_OFFSET
    return min(max(found, THRESHOLD_MIN), THRESHOLD_MAX)


@dataclass(frozen=True, eq=False)
class _Coarse:
    """The picture at about 16 um/px, which is enough for pen and fat and four times quicker."""

    image: RgbArray
    glass: FloatArray
    um_per_px: float

    @cached_property
    def stain(self) -> Stain:
        return measure_stain(self.image, self.glass)

    def drop_grey(self, mask: BoolArray) -> BoolArray:
        """Drop the parts without colour, unless nothing on the slide has any (a grey scan)."""
        color = self.stain.color
        if not mask.any() or float(color[mask].mean()) < COLOR_MIN:
            return mask
        return drop_parts_below(mask, color, COLOR_MIN)

    def find_pen(self) -> BoolArray:
        return find_pen(white_balance(self.image, self.glass), self.um_per_px)

    def find_fat(self, stained: BoolArray, pen: BoolArray, threshold: float) -> BoolArray:
        """Find the fine net of fat where nothing dark is; the gap between it and tissue is closed."""
        window = _TEXTURE_WINDOW_UM / self.um_per_px
        reach = 2 * max(1, round(_REACH * window)) + 1
        dark = self.stain.amount > threshold
        # Walls of fat that pass the threshold are texture too; solid tissue, dirt and ink are not.
        tissue = _dilate(_erode(dark & stained, _OPENING), _OPENING)
        ignore = _dilate(tissue | (dark & ~stained) | pen, reach)
        if ignore.all():
            return np.zeros_like(ignore)
        rough = texture(self.image, self.glass, ignore, window)
        glass = float(np.percentile(rough[~ignore], 25))
        fat = rough > max(TEXTURE_MIN, TEXTURE_OVER_GLASS * glass)
        fat = drop_small(fat, _FAT_MIN_UM2 / self.um_per_px**2)
        # Around what is dark nothing was measured: close the gap to tissue, and around specks within fat.
        closed = fat | (ignore & _dilate(fat, reach + 2) & _dilate(tissue, reach)) | tissue
        closed = fill_holes(closed, _FAT_HOLE_UM2 / self.um_per_px**2)
        # The window reaches over the edge of fat: shrink it there, but not where it meets tissue.
        return _erode(closed, reach) & ~tissue


def _reduce(mask: BoolArray, factor: int) -> BoolArray:
    """Return a coarser mask of what holds any True."""
    rows, cols = (-(-side // factor) for side in mask.shape)
    padded = np.zeros((rows * factor, cols * factor), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    shifts = itertools.product(range(factor), repeat=2)
    return np.logical_or.reduce([padded[y::factor, x::factor] for y, x in shifts])


def _enlarge(mask: BoolArray, factor: int, shape: tuple[int, int]) -> BoolArray:
    """Repeat each element, cut to `shape`."""
    return mask.repeat(factor, axis=0).repeat(factor, axis=1)[: shape[0], : shape[1]]


def _dilate(mask: BoolArray, side: int) -> BoolArray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(np.bool_)


def _erode(mask: BoolArray, side: int) -> BoolArray:
    return cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(np.bool_)
