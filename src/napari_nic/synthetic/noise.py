"""Noise of a given grain: the raw material of every texture and shape."""

from __future__ import annotations

import numpy as np


def smooth_noise(
    shape: tuple[int, int], grain: float | tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Gaussian noise, smoothed; it repeats seamlessly at its borders.

    Parameters
    ----------
    shape : (int, int)
        (rows, cols).
    grain : float or (float, float)
        Sigma of the smoothing in elements, for (y, x).

    Returns
    -------
    ndarray of float32, (rows, cols)
        Mean 0, standard deviation 1.
    """
    grain_y, grain_x = grain if isinstance(grain, tuple) else (grain, grain)
    white = rng.standard_normal(shape, dtype=np.float32)
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None, :]
    response = np.exp(-2 * np.pi**2 * ((fy * grain_y) ** 2 + (fx * grain_x) ** 2))
    response[0, 0] = 0
    smooth = np.fft.irfft2(np.fft.rfft2(white) * response, s=shape)
    return (smooth / max(float(smooth.std()), 1e-12)).astype(np.float32)


def open_noise(shape: tuple[int, int], grain: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise without repetition: opposite borders are unrelated."""
    pad = int(np.ceil(3 * grain))
    padded = smooth_noise((shape[0] + 2 * pad, shape[1] + 2 * pad), grain, rng)
    return np.ascontiguousarray(padded[pad : pad + shape[0], pad : pad + shape[1]])


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Rise from 0 at `low` to 1 at `high` without a kink; `low` above `high` makes it fall."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return t * t * (3 - 2 * t)
