"""Find tissue on a slide: a threshold on stain, a second look at pale fat, and cleaning up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken
from napari_nic.slides import Slide, read_overview
from napari_nic.slides.model import RgbArray
from napari_nic.tissue.components import drop_small, fill_holes, mean_by_part
from napari_nic.tissue.mask import TissueMask
from napari_nic.tissue.pen import find_pen
from napari_nic.tissue.stain import FloatArray, glass_color, stain, texture, white_balance

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
    balanced = white_balance(image, glass_color(image))
    amount, color = stain(balanced)
    amount = cv2.GaussianBlur(amount, (0, 0), max(_BLUR_UM / um_per_px, 0.5))
    threshold = _threshold(amount)
    dark = amount > threshold
    stained = _drop_grey(dark, color)
    pen = find_pen(balanced, um_per_px) if options.drop_pen else np.zeros_like(stained)
    mask = stained & ~pen
    if options.fat:
        mask |= _find_fat(balanced, stained, dark | pen, um_per_px)
    # Holes first, so that a net of thin walls is not dropped as so many specks.
    mask = fill_holes(mask, options.max_hole_um2 / um_per_px**2) & ~pen
    return drop_small(mask, options.min_area_um2 / um_per_px**2), threshold


def _threshold(amount: FloatArray) -> float:
    from skimage.filters import threshold_otsu  # here, since scikit-image costs half a second to import

    logarithm = np.log10(amount + np.float32(_OTSU_OFFSET))
    if logarithm.min() == logarithm.max():  # an empty picture has no two classes
        return THRESHOLD_MAX
    found = 10 ** float(threshold_otsu(logarithm)) - _OTSU_OFFSET
    return min(max(found, THRESHOLD_MIN), THRESHOLD_MAX)


def _drop_grey(mask: BoolArray, color: FloatArray) -> BoolArray:
    """Drop the parts without colour, unless nothing on the slide has any (a grey scan)."""
    if not mask.any() or float(color[mask].mean()) < COLOR_MIN:
        return mask
    return mask & (mean_by_part(mask, color) >= COLOR_MIN)


def _find_fat(balanced: FloatArray, tissue: BoolArray, known: BoolArray, um_per_px: float) -> BoolArray:
    """Find the fine net of fat where nothing is known yet; the gap between it and tissue is closed."""
    window = _TEXTURE_WINDOW_UM / um_per_px
    reach = 2 * max(1, round(_REACH * window)) + 1
    ignore = _dilate(known, reach)
    if ignore.all():
        return np.zeros_like(ignore)
    rough = texture(balanced, ignore, window)
    glass = float(np.percentile(rough[~ignore], 25))
    fat = rough > max(TEXTURE_MIN, TEXTURE_OVER_GLASS * glass)
    fat = drop_small(fat, _FAT_MIN_UM2 / um_per_px**2)
    # Around what is dark nothing was measured: close the gap to tissue, and around specks within the fat.
    closed = fat | (ignore & _dilate(fat, reach + 2) & _dilate(tissue, reach)) | tissue
    closed = fill_holes(closed, _FAT_HOLE_UM2 / um_per_px**2)
    # The window reaches over the edge of fat: shrink it there, but not where it meets tissue.
    return _erode(closed, reach) & ~tissue


def _dilate(mask: BoolArray, side: int) -> BoolArray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(np.bool_)


def _erode(mask: BoolArray, side: int) -> BoolArray:
    return cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)).astype(np.bool_)
