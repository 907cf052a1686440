"""PSNR, SSIM, MS-SSIM and local colour error of two pictures of the same size.

SSIM is that of Wang et al. 2004 (Gaussian window of 11 pixels, sigma 1.5; only places where the window lies
wholly on the picture), the mean over channels; MS-SSIM that of Wang et al. 2003 with their five weights.
No value of any of them is a validated limit of what a pathologist can see.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError

Picture = npt.NDArray[np.uint8] | npt.NDArray[np.floating]
Floats = npt.NDArray[np.float32]

WINDOW, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales of MS-SSIM, finest first."""

LEAST_MS_SSIM = WINDOW * 2 ** (len(WEIGHTS) - 1)
"""Pixels that a picture must have along each axis for MS-SSIM."""

NEIGHBOURHOOD = 8
"""Pixels along each side over which colours are averaged: a block of JPEG."""

_K1, _K2, _PEAK = 0.01, 0.03, 255.0


def psnr(source: Picture, decoded: Picture, *, peak: float = _PEAK) -> float:
    """Return the peak signal-to-noise ratio in dB over all channels; infinite for equal pictures.

    Parameters
    ----------
    source, decoded : ndarray, (rows, cols) or (rows, cols, channels)
    peak : float
        The largest value that a sample can have.

    Raises
    ------
    InvalidParameterError
        If their shapes differ.
    """
    _check(source, decoded)
    error = float(np.mean(np.square(np.subtract(source, decoded, dtype=np.float32), dtype=np.float64)))
    return float("inf") if error == 0 else float(10 * np.log10(peak * peak / error))


def ssim(source: Picture, decoded: Picture, *, peak: float = _PEAK) -> float:
    """Return the structural similarity, the mean over places and channels; 1 for equal pictures.

    Parameters
    ----------
    source, decoded : ndarray, (rows, cols) or (rows, cols, channels)
    peak : float
        The largest value that a sample can have.

    Raises
    ------
    InvalidParameterError
        If their shapes differ, or a side is shorter than the window.
    """
    _check(source, decoded, least=WINDOW)
    whole, _ = _terms(_floats(source, peak), _floats(decoded, peak))
    return min(float(whole.mean()), 1.0)


def ms_ssim(source: Picture, decoded: Picture, *, peak: float = _PEAK) -> float:
    """Return the multi-scale structural similarity, the mean over channels; 1 for equal pictures.

    Parameters
    ----------
    source, decoded : ndarray, (rows, cols) or (rows, cols, channels)
    peak : float
        The largest value that a sample can have.

    Raises
    ------
    InvalidParameterError
        If their shapes differ, or a side is shorter than :data:`LEAST_MS_SSIM`.
    """
    _check(source, decoded, least=LEAST_MS_SSIM)
    one, other = _floats(source, peak), _floats(decoded, peak)
    product = np.ones(one.shape[2])
    for number, weight in enumerate(WEIGHTS):
        whole, contrast = _terms(one, other)
        is_last = number == len(WEIGHTS) - 1
        product *= np.maximum(whole if is_last else contrast, 0) ** weight
        one, other = (one, other) if is_last else (_halved(one), _halved(other))
    return min(float(product.mean()), 1.0)


def color_error_map(source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> Floats:
    """Return the distance of local mean colours in CIELAB (delta E of 1976), at each pixel.

    Parameters
    ----------
    source, decoded : ndarray of uint8, (rows, cols, 3)
        sRGB.

    Returns
    -------
    ndarray of float32, (rows, cols)
        Of means over :data:`NEIGHBOURHOOD` pixels square; at the edges of what lies within.
    """
    _check(source, decoded)
    return distance_of_means(to_lab(decoded) - to_lab(source))


def distance_of_means(difference: Floats) -> Floats:
    """Return the length of the local mean of a difference of colours, (rows, cols)."""
    mean = cv2.blur(difference, (NEIGHBOURHOOD, NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.sqrt(np.square(mean).sum(axis=-1)), np.float32)


def to_lab(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Return sRGB pixels as CIELAB (white D65), (rows, cols, 3) float32."""
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)


def _check(source: Picture, decoded: Picture, *, least: int = 1) -> None:
    if source.shape != decoded.shape:
        raise InvalidParameterError(
            "two pictures of different sizes cannot be compared", found=f"{source.shape} and {decoded.shape}"
        )
    if min(source.shape[:2]) < least:
        raise InvalidParameterError(
            "the pictures are too small to be compared in this way",
            expected=f"at least {least} pixels along each side",
            found=f"{source.shape[0]} x {source.shape[1]}",
        )


def _floats(picture: Picture, peak: float) -> Floats:
    """Return samples of 0 to 255, (rows, cols, channels): float32 is exact enough around there."""
    scaled = np.asarray(picture, np.float32) * np.float32(_PEAK / peak)
    return scaled[..., None] if scaled.ndim == 2 else scaled


def _terms(one: Floats, other: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the mean over places of SSIM and of its contrast and structure alone, (channels,) each."""
    level = np.float32(_PEAK / 2)  # variances of small numbers lose fewer digits
    x, y = one - level, other - level
    mean_x, mean_y = _window(x), _window(y)
    variances = _window(x * x + y * y) - mean_x**2 - mean_y**2
    both = _window(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + level, mean_y + level
    c1, c2 = np.float32((_K1 * _PEAK) ** 2), np.float32((_K2 * _PEAK) ** 2)
    contrast = (2 * both + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean(axis=(0, 1), dtype=float), contrast.mean(axis=(0, 1), dtype=float)


def _window(values: Floats) -> Floats:
    """Return local means by the window, where it lies wholly on the picture."""
    blurred = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)
    edge = WINDOW // 2
    return np.asarray(blurred.reshape(values.shape)[edge:-edge, edge:-edge])


def _halved(values: Floats) -> Floats:
    """Return means of 2 x 2 pixels; an odd last row or column is left out."""
    rows, cols = values.shape[0] // 2, values.shape[1] // 2
    return values[: 2 * rows, : 2 * cols].reshape(rows, 2, cols, 2, -1).mean(axis=(1, 3), dtype=np.float32)
