"""What lies on slides beside tissue and misleads programs that look for it: dust, ink, bubbles, uneven light.

All functions change an overview of float32 (rows, cols, 3) RGB, 0 to 255, in place. Sizes are drawn in
micrometres.
"""

from __future__ import annotations

import cv2
import numpy as np

from napari_nic.synthetic.noise import open_noise

Rng = np.random.Generator

INKS = ((25, 45, 160), (15, 110, 60), (20, 20, 25), (170, 25, 40), (70, 30, 120))
"""RGB of markers: blue, green, black, red, violet."""

_SHIFT = 4
"""Binary digits after the point of the coordinates that OpenCV draws at."""


def add_dust(image: np.ndarray, mpp: float, rng: Rng) -> None:
    """Lay specks and fibres on it, dark and in no stain's colour, some out of focus."""
    amount = np.zeros((image.shape[0], image.shape[1]), np.float32)
    area_mm2 = image.shape[0] * image.shape[1] * (mpp / 1000) ** 2
    for _ in range(rng.poisson(min(400, 6 * area_mm2) * rng.uniform(0.2, 2))):
        axes = rng.lognormal(np.log(9), 0.7, 2) / mpp
        _ellipse(amount, _place(amount, rng), axes, float(rng.uniform(0, 180)), rng.uniform(0.2, 0.95))
    for _ in range(rng.integers(0, 6)):
        points = _walk(amount, mpp, rng, steps=int(rng.integers(8, 40)), step_um=40, bend=0.3)
        _stroke(amount, points, max(1.0, rng.uniform(5, 18) / mpp), rng.uniform(0.15, 0.7))
    amount = cv2.GaussianBlur(amount, (0, 0), max(0.3, rng.uniform(0.5, 6) / mpp))
    color = rng.uniform(40, 130) + rng.normal(0, 8, 3)
    _blend(image, amount, color)


def add_ink(image: np.ndarray, mpp: float, rng: Rng) -> np.ndarray:
    """Draw strokes, dots and rings of a marker; return where it hides what lies below, (rows, cols) bool."""
    amount = np.zeros((image.shape[0], image.shape[1]), np.float32)
    for _ in range(rng.integers(1, 5)):
        width = rng.uniform(250, 700) / mpp
        if rng.random() < 0.3:
            _ellipse(amount, _place(amount, rng), (width * 0.7, width * 0.6), 0.0, 1.0)
            continue
        points = _walk(amount, mpp, rng, steps=int(rng.integers(4, 24)), step_um=250, bend=0.35)
        _stroke(amount, points, width, 1.0)
    streaks = 1 + 0.12 * open_noise(amount.shape, max(1.0, 60 / mpp), rng)
    strength = rng.uniform(0.45, 0.97)
    amount = cv2.GaussianBlur(amount, (0, 0), max(0.4, 12 / mpp)) * np.clip(streaks, 0, 1.2) * strength
    _blend(image, np.clip(amount, 0, 1), np.array(INKS[rng.integers(len(INKS))]) + rng.normal(0, 10, 3))
    return np.asarray(amount > strength / 2)


def add_bubbles(image: np.ndarray, mpp: float, rng: Rng) -> None:
    """Enclose air below the cover glass: rings with a dark rim."""
    amount = np.zeros((image.shape[0], image.shape[1]), np.float32)
    for _ in range(rng.integers(1, 8)):
        radius = rng.lognormal(np.log(160), 0.7) / mpp
        line = max(1, round(rng.uniform(10, 40) / mpp))
        center = tuple(int(value * 2**_SHIFT) for value in _place(amount, rng)[::-1])
        cv2.circle(amount, center, round(radius * 2**_SHIFT), 1.0, line, cv2.LINE_AA, _SHIFT)
    amount = cv2.GaussianBlur(amount, (0, 0), max(0.4, 10 / mpp)) * rng.uniform(0.1, 0.5)
    _blend(image, amount, np.full(3, rng.uniform(60, 150)))


def add_glass_edge(image: np.ndarray, mpp: float, rng: Rng) -> None:
    """Let the cover glass end: a straight dark line, and another brightness beyond it."""
    rows, cols = image.shape[:2]
    angle, at = rng.normal(0, 0.03), rng.uniform(0.02, 0.15)
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    along, across, size = (y, x, cols) if rng.random() < 0.5 else (x, y, rows)
    distance = (across - (at if rng.random() < 0.5 else 1 - at) * size + angle * along) * mpp
    line = np.exp(-((distance / rng.uniform(12, 45)) ** 2)) * rng.uniform(0.1, 0.6)
    beyond = (distance < 0) if at < 0.5 else (distance > 0)
    image *= (1 - line)[..., None]
    image *= np.where(beyond, rng.uniform(0.93, 1.0), 1.0).astype(np.float32)[..., None]


def add_uneven_light(image: np.ndarray, mpp: float, rng: Rng) -> None:
    """Shade the glass in clouds, bands and frames, as stained glue and stitched scans do."""
    rows, cols = image.shape[:2]
    clouds = open_noise((rows, cols), max(4.0, rng.uniform(400, 1500) / mpp), rng)
    light = 1 + rng.uniform(0.01, 0.045) * clouds
    period = rng.uniform(200, 900) / mpp
    phase = np.arange(cols if rng.random() < 0.5 else rows, dtype=np.float32) / period
    bands = 1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * phase)
    light *= bands[None, :] if len(bands) == cols and rng.random() < 0.9 else _column(bands, rows)
    slope = np.linspace(-0.5, 0.5, rows)[:, None] * rng.normal(0, 0.08)
    slope = slope + np.linspace(-0.5, 0.5, cols)[None, :] * rng.normal(0, 0.08)
    tint = 1 + rng.normal(0, 0.006, 3)
    image *= ((light + slope)[..., None] * tint).astype(np.float32)


def add_lines(image: np.ndarray, mpp: float, rng: Rng) -> None:
    """Scratch the glass: thin straight lines, grey, from border to border."""
    rows, cols = image.shape[:2]
    amount = np.zeros((rows, cols), np.float32)
    for _ in range(rng.integers(1, 5)):
        ends = rng.uniform(0, 1, 2) if rng.random() < 0.5 else np.repeat(rng.uniform(0, 1), 2)
        first, last = ((0, ends[0] * cols), (rows, ends[1] * cols))
        if rng.random() < 0.5:
            first, last = ((ends[0] * rows, 0), (ends[1] * rows, cols))
        points = np.array([first, last], np.float32)
        _stroke(amount, points, max(1.0, rng.uniform(4, 30) / mpp), rng.uniform(0.08, 0.5))
    _blend(image, amount, np.full(3, rng.uniform(90, 170)))


def _column(bands: np.ndarray, rows: int) -> np.ndarray:
    return np.asarray(np.resize(bands, rows)[:, None])


def _place(amount: np.ndarray, rng: Rng) -> tuple[float, float]:
    """(y, x) anywhere."""
    y, x = rng.uniform(0, 1, 2) * amount.shape
    return float(y), float(x)


def _walk(amount: np.ndarray, mpp: float, rng: Rng, *, steps: int, step_um: float, bend: float) -> np.ndarray:
    """Corners of a bent line, (steps, 2) float32 (y, x)."""
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, steps))
    moves = np.stack([np.sin(turns), np.cos(turns)], 1) * (step_um / mpp)
    return (np.array(_place(amount, rng)) + np.cumsum(moves, 0)).astype(np.float32)


def _stroke(amount: np.ndarray, points: np.ndarray, width: float, value: float) -> None:
    corners = np.rint(points[:, ::-1] * 2**_SHIFT).astype(np.int32)
    drawn = np.zeros_like(amount)
    cv2.polylines(drawn, [corners], False, 1.0, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    np.maximum(amount, drawn * np.float32(value), out=amount)


def _ellipse(
    amount: np.ndarray,
    center: tuple[float, float],
    axes: tuple[float, float] | np.ndarray,
    angle: float,
    value: float,
) -> None:
    place = round(center[1] * 2**_SHIFT), round(center[0] * 2**_SHIFT)
    sides = tuple(max(8, round(float(axis) * 2**_SHIFT)) for axis in axes)
    cv2.ellipse(amount, place, sides, angle, 0, 360, float(value), -1, cv2.LINE_AA, _SHIFT)


def _blend(image: np.ndarray, amount: np.ndarray, color: np.ndarray) -> None:
    share = amount[..., None].astype(np.float32)
    image += share * (np.clip(color, 0, 255).astype(np.float32) - image)
