"""Faults of colour and place that SSIM hardly sees, and that no codec of good quality makes.

==================  ============================================================================
fault               how it is told from the noise of compression
==================  ============================================================================
hue turned          the one angle by which all colours (a*, b* of CIELAB) are best turned
channels swapped    another order of the decoded channels fits the source better
picture shifted     the one displacement that best explains the error of brightness by gradients
block or line off   the largest mean error of brightness over 8 x 8 pixels, or a line of 64
==================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.recompression.quality.metrics import Floats, to_lab

BLOCK, LINE = 8, 64
"""Pixels over which the error of brightness is averaged: a side of a block; length of a line."""

_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
_LEAST_CHROMA = 2.0
"""Greyer pictures have no hue to turn."""
_LEAST_GRADIENT = 0.5
"""Grey levels a pixel; flatter pictures do not show a shift."""
_TO_SIGMA = 1.4826
_ORDERS = tuple(permutations(range(3)))[1:]


class Broken(NamedTuple):
    """Something that was asked for and is not kept.

    Attributes
    ----------
    kind : str
        By which it is counted.
    text : str
        With the numbers.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class FaultLimits:
    """From where on something counts as a fault.

    Attributes
    ----------
    hue_deg : float
        Degrees by which colours are turned.
    shift_px : float
        Pixels by which the picture is displaced.
    step : float
        Grey levels by which the mean of a block or line is off.
    spread : float
        Or so many times the spread of all blocks' errors, if that is more: in a coarse picture each is off.
    order : float
        Share of the squared error that another order of channels must stay below.
    """

    hue_deg: float = 1.0
    shift_px: float = 0.25
    step: float = 4.0
    spread: float = 8.0
    order: float = 0.5


@dataclass(frozen=True)
class Faults:
    """What is wrong, as measured; see :class:`FaultLimits` for what counts.

    Attributes
    ----------
    hue_deg : float
        Degrees by which colours are turned; 0 of a grey picture.
    shift_px : tuple of float
        (y, x) displacement; 0 of a flat picture.
    block, line : float
        Largest mean error of brightness over a block, and over a line; grey levels.
    spread : float
        Of the errors of all blocks.
    order : str
        How the channels are best read, such as ``"BGR"``; ``"RGB"`` where they are in order.
    order_gain : float
        Squared error that is left if they are read so, as a share.
    """

    hue_deg: float
    shift_px: tuple[float, float]
    block: float
    line: float
    spread: float
    order: str
    order_gain: float

    def beyond(self, limits: FaultLimits) -> tuple[Broken, ...]:
        """Name the faults that pass the limits; none where there is none."""
        return tuple(self._named(limits))

    def _named(self, limits: FaultLimits) -> Iterator[Broken]:
        if self.order != "RGB" and self.order_gain < limits.order:
            yield Broken("swapped channels", f"channels swapped: they are right as {self.order}")
            return  # which explains all others
        if abs(self.hue_deg) > limits.hue_deg:
            yield Broken("hue", f"hue turned by {self.hue_deg:+.1f} degrees")
        shift = float(np.hypot(*self.shift_px))
        if shift > limits.shift_px:
            yield Broken("shift", f"shifted by {shift:.1f} px")
            return
        step = max(limits.step, limits.spread * self.spread)
        if self.block > step:
            yield Broken("block edge", f"a block off by {self.block:.1f} grey levels")
        if self.line > step:
            yield Broken("line", f"a line off by {self.line:.1f} grey levels")


def find_faults(source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> Faults:
    """Measure the faults of a decoded picture.

    Parameters
    ----------
    source, decoded : ndarray of uint8, (rows, cols, 3)
        sRGB.
    """
    return faults_of(source, decoded, to_lab(source), to_lab(decoded))


def faults_of(
    source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8], source_lab: Floats, decoded_lab: Floats
) -> Faults:
    """As :func:`find_faults`, where CIELAB of both is at hand."""
    bright = source.astype(np.float32) @ _BRIGHTNESS
    error = decoded.astype(np.float32) @ _BRIGHTNESS - bright
    block, line, spread = _steps(error)
    order, gain = _order(source, decoded)
    hue = _hue(source_lab, decoded_lab)
    return Faults(hue, _shift(bright, error), block, line, spread, order, gain)


def _hue(source: Floats, decoded: Floats) -> float:
    one, other = (lab[..., 1] + 1j * lab[..., 2] for lab in (source, decoded))
    if np.sqrt(np.mean(np.abs(one) ** 2)) < _LEAST_CHROMA:
        return 0.0
    return float(np.degrees(np.angle(np.vdot(one, other))))


def _order(source: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8]) -> tuple[str, float]:
    """Return the best order of channels and the share of the squared error that is left with it."""
    one, other = (_planes(rgb) for rgb in (source, decoded))
    squares = np.array([[float(np.square(x - y).sum(dtype=float)) for y in other] for x in one])
    as_is = float(np.trace(squares))
    best = min(_ORDERS, key=lambda order: sum(squares[k, order[k]] for k in range(3)))
    other_error = float(sum(squares[k, best[k]] for k in range(3)))
    if other_error >= as_is:
        return "RGB", 1.0
    return "".join("RGB"[k] for k in best), other_error / as_is


def _planes(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Return the channels one after the other, (3, pixels)."""
    return np.ascontiguousarray(rgb.reshape(-1, 3).T, np.float32)


def _shift(bright: Floats, error: Floats) -> tuple[float, float]:
    """Solve, by least squares, for the displacement that explains the error by the gradients."""
    y = (bright[2:, 1:-1] - bright[:-2, 1:-1]) / 2
    x = (bright[1:-1, 2:] - bright[1:-1, :-2]) / 2
    rest = error[1:-1, 1:-1]
    if y.size == 0 or np.sqrt(np.mean(y * y + x * x)) < _LEAST_GRADIENT:
        return 0.0, 0.0
    xy = np.vdot(x, y)
    matrix = np.array([[np.vdot(y, y), xy], [xy, np.vdot(x, x)]], float)
    found = np.linalg.lstsq(matrix, -np.array([np.vdot(y, rest), np.vdot(x, rest)], float), rcond=1e-6)[0]
    return float(found[0]), float(found[1])


def _steps(error: Floats) -> tuple[float, float, float]:
    """Return the largest mean error of a block and of a line, and the spread of blocks' errors."""
    blocks = _means(error, BLOCK, BLOCK)
    spread = float(_TO_SIGMA * np.median(np.abs(blocks - np.median(blocks))))
    lines = max(float(np.abs(_means(error, *size)).max()) for size in ((1, LINE), (LINE, 1)))
    return float(np.abs(blocks).max()), lines, spread


def _means(values: Floats, rows: int, cols: int) -> Floats:
    """Return means over all windows of so many pixels that lie wholly on the picture, or over all of it."""
    size = min(rows, values.shape[0]), min(cols, values.shape[1])
    mean = cv2.blur(values, (size[1], size[0]), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean[: values.shape[0] - size[0] + 1, : values.shape[1] - size[1] + 1])
