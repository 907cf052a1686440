"""Find tissue in one picture: a threshold on stain, a second look at pale fat, and cleaning up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.jobs import CancellationToken, checked
from napari_nic.slides import RgbArray
from napari_nic.slides.shrink import shrink
from napari_nic.tissue.bright import find_bright, is_bright_on_black
from napari_nic.tissue.components import BAND_ROWS, drop_parts_below, drop_small, fill_holes
from napari_nic.tissue.pen import find_pen
from napari_nic.tissue.stain import FloatArray, Stain, glass_color, measure_stain, texture
from napari_nic.tissue.unet import DEFAULT_UNET

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
_MOST_COARSE = 15_000_000  # pixels; only glass of more than 60 x 60 mm is looked at more coarsely
_OPENING = 3  # px of the coarse picture
_NO_SPREAD = 1e-6
_OTSU_OFFSET = 0.005  # keeps the logarithm finite on clean glass
_BLUR_UM = 5.0
_TEXTURE_WINDOW_UM = 120.0  # a few fat cells
_FAT_MIN_UM2 = 500_000.0  # less is a cluster of dust
_FAT_HOLE_UM2 = 60_000.0
_REACH = 0.35  # of the window, by which texture reaches over an edge
_BLUR_REACH = 4  # standard deviations that OpenCV's kernel of floats spans
_CLEARLY = 4  # grey levels by which two even greys are told apart


@dataclass(frozen=True)
class TissueOptions:
    """How tissue is found; areas in square micrometres.

    Attributes
    ----------
    method : {"threshold", "unet"}
        By a threshold on stain, or by a small network (:mod:`napari_nic.tissue.unet`). `mpp`, `fat` and
        `drop_pen` are of the threshold: a network has its own resolution, and knows fat and ink by itself.
    network : str
        Name or folder of the network.
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
    method: Literal["threshold", "unet"] = "threshold"
    network: str = DEFAULT_UNET


def segment_tissue(
    image: RgbArray,
    um_per_px: float,
    options: TissueOptions | None = None,
    *,
    unscanned: BoolArray | None = None,
    token: CancellationToken | None = None,
) -> tuple[BoolArray, float]:
    """Find tissue in a picture of a whole slide.

    Otsu's method (1979) on the logarithm of stain (:func:`~napari_nic.tissue.stain.stain`), where glass and
    tissue are two humps of like width, and the threshold lies near pale tissue instead of half-way to dark;
    then fat, pen marks, grey parts, specks and holes as the options say. In a picture that is mostly black
    and has no glass, what shines is tissue (:func:`~napari_nic.tissue.bright.find_bright`).

    Parameters
    ----------
    image : ndarray
        (rows, cols, 3) uint8 RGB.
    um_per_px : float
        Side of a pixel in micrometres.
    options : TissueOptions, optional
        Areas and switches; its `mpp` plays no part here.
    unscanned : ndarray, optional
        (rows, cols) bool, where nothing was scanned; never tissue.
    token : CancellationToken, optional
        Checked between the steps.

    Returns
    -------
    mask : ndarray
        (rows, cols) bool.
    threshold : float
        Least stain of tissue, optical density; or least brightness, grey levels.
    """
    return Look(
        [image], um_per_px, options or TissueOptions(), token or CancellationToken(), unscanned
    ).segment()


class Look:
    """One search for tissue in one picture.

    Parameters
    ----------
    image : list of one ndarray
        The picture, taken out of the list when it is no longer needed: it is the largest array of all.
    """

    def __init__(
        self,
        image: list[RgbArray],
        um_per_px: float,
        options: TissueOptions,
        token: CancellationToken,
        unscanned: BoolArray | None,
    ) -> None:
        self._image, self._um_per_px = image, um_per_px
        self._options, self._token = options, token
        self._unscanned = unscanned
        self.is_bright = False

    def segment(self) -> tuple[BoolArray, float]:
        """Find stained tissue, or what shines on black."""
        if is_bright_on_black(self._image[0]):
            return self.bright()
        image, options, token = self._image.pop(), self._options, self._token
        glass = self._glass(image)
        factor = max(1, round(_COARSE_UM / self._um_per_px))
        if image.shape[0] * image.shape[1] > _MOST_COARSE * factor**2:
            factor += 1
        small = shrink(image, factor)
        stain = _blurred_stain(image, glass, self._um_per_px, token)
        del image
        threshold = _threshold(stain, self._unscanned, token)
        mask = stain > threshold
        del stain
        if self._unscanned is not None:
            mask &= ~self._unscanned
        coarse = _Coarse(small, glass, self._um_per_px * factor, token)
        token.checkpoint()
        stained = coarse.drop_grey(_reduce(mask, factor))
        pen = coarse.find_pen() if options.drop_pen else np.zeros_like(stained)
        token.checkpoint()
        mask &= _enlarge(stained, factor, mask.shape)
        if options.fat:
            never = pen if self._unscanned is None else pen | _reduce(self._unscanned, factor)
            mask |= _enlarge(coarse.find_fat(stained, never, threshold), factor, mask.shape)
        token.checkpoint()
        clear = ~_enlarge(pen, factor, mask.shape)
        if self._unscanned is not None:
            clear &= ~self._unscanned
        return self._cleaned(mask, clear), threshold

    def bright(self) -> tuple[BoolArray, float]:
        """Find what shines on black."""
        self.is_bright = True
        mask, threshold = find_bright(self._image.pop(), self._um_per_px)
        self._token.checkpoint()
        return self._cleaned(mask, None), threshold

    def _glass(self, image: RgbArray) -> FloatArray:
        """Find the colour of glass, and keep of what is unscanned only what looks otherwise."""
        glass = glass_color(image)
        if self._unscanned is None:
            return glass
        scanned = glass_color(image, self._unscanned)
        if scanned.mean() > glass.mean() + _CLEARLY:
            glass = scanned  # the filling was more frequent
        # A part is taken as a whole: its rim, blurred by averaging, differs from glass in any case.
        self._unscanned = drop_parts_below(
            self._unscanned, lambda band: _differs(image[band], glass).astype(np.float32), 0.5, self._token
        )
        return glass

    def _cleaned(self, mask: BoolArray, clear: BoolArray | None) -> BoolArray:
        """Fill holes first, so that a net of thin walls is not dropped as so many specks."""
        area = self._um_per_px**2
        if clear is None:
            mask = fill_holes(mask, self._options.max_hole_um2 / area)
        else:
            mask &= clear
            mask = fill_holes(mask, self._options.max_hole_um2 / area)
            mask &= clear
        self._token.checkpoint()
        return drop_small(mask, self._options.min_area_um2 / area)


def _blurred_stain(
    image: RgbArray, glass: FloatArray, um_per_px: float, token: CancellationToken
) -> FloatArray:
    """Measure and smooth the stain band by band: no second picture of floats is held whole."""
    sigma = max(_BLUR_UM / um_per_px, 0.5)
    reach = math.ceil(_BLUR_REACH * sigma) + 1
    amount = np.empty(image.shape[:2], np.float32)
    for top in range(0, len(image), BAND_ROWS):
        token.checkpoint()
        first = max(0, top - reach)
        band = measure_stain(image[first : top + BAND_ROWS + reach], glass).amount
        band = cv2.GaussianBlur(band, (0, 0), sigma, dst=band)
        amount[top : top + BAND_ROWS] = band[top - first :][:BAND_ROWS]
    return amount


def _threshold(amount: FloatArray, unscanned: BoolArray | None, token: CancellationToken) -> float:
    """Find Otsu's threshold on the logarithm of stain, within its bounds."""
    # A logarithm grows with its argument: its extremes are those of the stain.
    seen = amount if unscanned is None else amount[~unscanned]
    if seen.size == 0:
        return THRESHOLD_MAX
    ends = cv2.log(np.array([[seen.min(), seen.max()]], np.float32) + np.float32(_OTSU_OFFSET))
    low, high = float(ends[0, 0]), float(ends[0, 1])
    if high - low < _NO_SPREAD:  # an empty picture has no two classes
        return THRESHOLD_MAX
    grey = np.empty(seen.shape, np.uint8)
    for top in range(0, len(seen), BAND_ROWS * _per_row(seen)):
        token.checkpoint()
        band = seen[top : top + BAND_ROWS * _per_row(seen)]
        logarithm = cv2.log(band.reshape(1, -1) + np.float32(_OTSU_OFFSET))
        # With both ends beside it, each band is scaled as the whole would be.
        scaled = cv2.normalize(np.hstack([logarithm, ends]), None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
        grey[top : top + len(band)] = scaled[0, :-2].reshape(band.shape)
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    found = math.exp(low + (level + 0.5) / 255 * (high - low)) - _OTSU_OFFSET
    return min(max(found, THRESHOLD_MIN), THRESHOLD_MAX)


def _per_row(values: FloatArray) -> int:
    """How many entries of the first axis are worked on where a picture has one row."""
    return 1 if values.ndim > 1 else 4096


@dataclass(frozen=True, eq=False)
class _Coarse:
    """The picture at about 16 um/px, which is enough for pen and fat and four times quicker."""

    image: RgbArray
    glass: FloatArray
    um_per_px: float
    token: CancellationToken

    def stain(self, band: slice) -> Stain:
        """Measure some rows: to hold the whole would cost twice the picture."""
        return measure_stain(self.image[band], self.glass)

    def dark(self, threshold: float) -> BoolArray:
        """Where there is more stain than `threshold`."""
        found = np.empty(self.image.shape[:2], np.bool_)
        for band in checked(_bands(found), self.token):
            found[band] = self.stain(band).amount > threshold
        return found

    def drop_grey(self, mask: BoolArray) -> BoolArray:
        """Drop the parts without colour, unless nothing on the slide has any (a grey scan)."""
        colors = [self.stain(band).color[mask[band]] for band in checked(_bands(mask), self.token)]
        if not mask.any() or float(np.concatenate(colors).mean()) < COLOR_MIN:
            return mask
        return drop_parts_below(mask, lambda band: self.stain(band).color, COLOR_MIN, self.token)

    def find_pen(self) -> BoolArray:
        return find_pen(self.image, self.glass, self.um_per_px, self.token)

    def find_fat(self, stained: BoolArray, pen: BoolArray, threshold: float) -> BoolArray:
        """Find the fine net of fat where nothing dark is; the gap between it and tissue is closed."""
        window = _TEXTURE_WINDOW_UM / self.um_per_px
        reach = 2 * max(1, round(_REACH * window)) + 1
        dark = self.dark(threshold)
        # Walls of fat that pass the threshold are texture too; solid tissue, dirt and ink are not.
        tissue = _dilate(_erode(dark & stained, _OPENING), _OPENING)
        ignore = _dilate(tissue | (dark & ~stained) | pen, reach)
        if ignore.all():
            return np.zeros_like(ignore)
        rough = texture(self.image, self.glass, ignore, window, self.token)
        glass = float(np.percentile(rough[~ignore], 25, overwrite_input=True))
        fat = rough > max(TEXTURE_MIN, TEXTURE_OVER_GLASS * glass)
        fat = drop_small(fat, _FAT_MIN_UM2 / self.um_per_px**2)
        # Around what is dark nothing was measured: close the gap to tissue, and around specks within fat.
        closed = fat | (ignore & _dilate(fat, reach + 2) & _dilate(tissue, reach)) | tissue
        closed = fill_holes(closed, _FAT_HOLE_UM2 / self.um_per_px**2)
        # The window reaches over the edge of fat: shrink it there, but not where it meets tissue.
        return _erode(closed, reach) & ~tissue


def _differs(image: RgbArray, glass: FloatArray) -> BoolArray:
    found: BoolArray = np.abs(image.astype(np.float32) - glass).max(axis=2) > _CLEARLY
    return found


def _bands(mask: BoolArray) -> Iterator[slice]:
    """Cut rows into bands that are worked on one after the other."""
    return (slice(top, top + BAND_ROWS) for top in range(0, len(mask), BAND_ROWS))


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
