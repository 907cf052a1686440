"""From a saliency map to an area: smoothed, cut off, without specks; and how well it meets an outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from napari_nic.annotations import Agreement, agreement
from napari_nic.errors import InvalidParameterError
from napari_nic.explain.saliency import SaliencyMap
from napari_nic.tissue import drop_small

_INSIDE = 0.5


@dataclass(frozen=True)
class AreaOptions:
    """How a map becomes an area.

    Tellez et al. 2019 (section 4.2) clean their maps by a "simple general-purpose post-processing routine"
    that they do not describe; these are its usual parts, with numbers of our choice.

    Attributes
    ----------
    sigma : float
        Of the Gaussian that smooths, in cells; 0 for none. Cells that are not encoded take no part in it.
    threshold : float, optional
        Least smoothed value of the area, in the map's raw unit; by default Otsu's threshold over the values
        above 0, the ones that speak for the target.
    min_cells : int
        Smaller parts (8-connected) are specks.

    Raises
    ------
    InvalidParameterError
        If a number is out of range.
    """

    sigma: float = 1.0
    threshold: float | None = None
    min_cells: int = 4

    def __post_init__(self) -> None:
        if self.sigma < 0 or self.min_cells < 0:
            raise InvalidParameterError("smoothing and least size must not be negative", found=f"{self}")


def salient_area(saliency: SaliencyMap, options: AreaOptions | None = None) -> np.ndarray:
    """Return where a saliency map speaks for its target: ndarray of bool, (rows, cols).

    Parameters
    ----------
    saliency : SaliencyMap
    options : AreaOptions, optional

    Notes
    -----
    A map without a value above 0 has no area, whatever the threshold is set to by default.
    """
    options = options or AreaOptions()
    values = smoothed(saliency.values, saliency.mask, options.sigma)
    threshold = options.threshold
    if threshold is None:
        threshold = _otsu(values[saliency.mask & (values > 0)])
    return drop_small((values >= threshold) & saliency.mask, options.min_cells)


def smoothed(values: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth a map by a Gaussian over the cells of a mask alone; float32 (rows, cols), 0 outside of it.

    Parameters
    ----------
    values : ndarray of float, (rows, cols)
    mask : ndarray of bool, (rows, cols)
        Cells that count; glass must not dilute the tissue beside it.
    sigma : float
        In cells; 0 changes nothing.
    """
    inside = mask.astype(np.float32)
    kept = np.where(mask, values, 0).astype(np.float32)
    if sigma == 0 or not mask.any():
        return kept
    blurred, weight = (cv2.GaussianBlur(plane, (0, 0), sigma) for plane in (kept, inside))
    # Every cell of the mask weighs itself, so the divisor is never 0 where it is used.
    return np.divide(blurred, weight, out=np.zeros_like(kept), where=mask)


def compare_area(area: np.ndarray, outline: np.ndarray, valid: np.ndarray | None = None) -> Agreement:
    """Compare an area with an annotated one: Jaccard index and Dice coefficient at no threshold of choice.

    Parameters
    ----------
    area : ndarray of bool, (rows, cols)
        As of :func:`salient_area`.
    outline : ndarray of bool, (rows, cols)
        The annotated area, for instance ``rasterise(...) >= 0.5``.
    valid : ndarray of bool, (rows, cols), optional
        Cells that count, for instance the encoded ones.

    Raises
    ------
    InvalidParameterError
        If shapes differ, or no valid cell is in the annotated area.
    """
    return agreement(np.asarray(area, np.float32), outline, valid, threshold=_INSIDE)


def _otsu(values: np.ndarray) -> float:
    """Return the threshold of Otsu 1979 between small and large positive values; infinite without any."""
    if not values.size:
        return float("inf")
    highest = float(values.max())
    levels = np.rint(values / highest * 255).astype(np.uint8)
    level, _ = cv2.threshold(levels.reshape(1, -1), 0, 255, cv2.THRESH_OTSU)
    return (level + 0.5) / 255 * highest
