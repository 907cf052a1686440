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
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.recompression.quality.metrics import Floats, to_lab

BLOCK, LINE = 8, 64
"""Pixels over which the error of brightness is averaged: a side of a block; length of a line."""

_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
_LEAST_CHROMA = 6.0
"""Greyer pixels have no hue: half a grey level would turn it."""
_LEAST_SHARE = 0.04
"""Of pixels that have a hue, for the picture to have one."""
_LEAST_TURNED, _LEAST_SHIFTED = 0.01, 0.1
"""Share of the error that a turn of hues or a shift must explain, to be more than chance."""
_GROUPS = 4
"""Of blocks by how much there is to see in them: where there is more, codecs lose more."""
_EVERY = 4
"""Of so many places along each axis one is taken to measure spreads."""
_LEAST_GRADIENT = 0.5
"""Grey levels a pixel; flatter pictures do not show a shift."""
_TO_SIGMA = 1.4826
_NOISE = 0.5
"""Grey levels that are nothing: rounding."""
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
        Or so many times the spread of the errors of blocks with as much detail, if that is more: in a coarse
        picture each is off.
    order : float
        Share of the squared error that another order of channels must stay below.
    """

    hue_deg: float = 1.7
    shift_px: float = 0.25
    step: float = 4.0
    spread: float = 6.0
    order: float = 0.5


class Step(NamedTuple):
    """A block or line that is brighter or darker than it should be.

    Attributes
    ----------
    error : float
        Mean over it, grey levels.
    spread : float
        Of this mean, over those with about as much detail.
    """

    error: float
    spread: float


@dataclass(frozen=True)
class Faults:
    """What is wrong, as measured; see :class:`FaultLimits` for what counts.

    Attributes
    ----------
    hue_deg : float
        Degrees by which colours are turned; 0 of a picture that is grey but for single pixels.
    shift_px : tuple of float
        (y, x) displacement; 0 of a flat picture, or where it explains next to nothing of the error.
    block, line : Step
        Mean error of brightness of the block and of the line that stand out most.
    order : str
        How the channels are best read, such as ``"BGR"``; ``"RGB"`` where they are in order.
    order_gain : float
        Squared error that is left if they are read so, as a share.
    """

    hue_deg: float
    shift_px: tuple[float, float]
    block: Step
    line: Step
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
        for kind, text, found in (("block edge", "block", self.block), ("line", "line", self.line)):
            if found.error > max(limits.step, limits.spread * found.spread):
                yield Broken(kind, f"a {text} off by {found.error:.1f} grey levels")


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
    block = _worst_step(bright, error, (BLOCK, BLOCK))
    lines = [_worst_step(bright, error, size) for size in ((1, LINE), (LINE, 1))]
    line = max(lines, key=_stands_out)
    order, gain = _order(source, decoded)
    hue = _hue(source_lab, decoded_lab)
    return Faults(hue, _shift(bright, error), block, line, order, gain)


def _hue(source: Floats, decoded: Floats) -> float:
    one, other = (lab[..., 1] + 1j * lab[..., 2] for lab in (source, decoded))
    colored = np.abs(one) > _LEAST_CHROMA
    if np.count_nonzero(colored) < _LEAST_SHARE * colored.size:
        return 0.0
    one, other = one[colored], other[colored]
    angle = np.angle(np.vdot(one, other))
    rotated_back = other * np.exp(-1j * angle)
    is_more = _explained(one - other, one - rotated_back) > _LEAST_TURNED
    return float(np.degrees(angle)) if is_more else 0.0


def _explained(error: npt.NDArray[Any], rest: npt.NDArray[Any]) -> float:
    """Return the share of an error's square that is gone in the rest."""
    whole = float(np.vdot(error, error).real)
    return 1 - float(np.vdot(rest, rest).real) / whole if whole else 0.0


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
    if _explained(rest, rest + np.float32(found[0]) * y + np.float32(found[1]) * x) < _LEAST_SHIFTED:
        return 0.0, 0.0
    return float(found[0]), float(found[1])


def _worst_step(bright: Floats, error: Floats, size: tuple[int, int]) -> Step:
    """Return the window of a size that stands out most among those with about as much detail."""
    found = _means(error, *size)
    detail = _means(bright * bright, *size) - _means(bright, *size) ** 2
    few = np.s_[::_EVERY, ::_EVERY]
    edges = np.quantile(detail[few], np.arange(1, _GROUPS) / _GROUPS)
    groups = np.searchsorted(edges, detail)
    steps = []
    for group in range(_GROUPS):
        own, sample = found[groups == group], found[few][groups[few] == group]
        if own.size:
            spread = _spread(sample) if sample.size else 0.0
            steps.append(Step(float(np.abs(own).max()), spread))
    return max(steps, key=_stands_out)


def _spread(values: Floats) -> float:
    """Return a standard deviation that a few odd ones, or a shift of all, do not change."""
    return float(_TO_SIGMA * np.median(np.abs(values - np.median(values))))


def _stands_out(step: Step) -> float:
    return step.error / (_NOISE + step.spread)


def _means(values: Floats, rows: int, cols: int) -> Floats:
    """Return means over all windows of so many pixels that lie wholly on the picture, or over all of it."""
    size = min(rows, values.shape[0]), min(cols, values.shape[1])
    mean = cv2.blur(values, (size[1], size[0]), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean[: values.shape[0] - size[0] + 1, : values.shape[1] - size[1] + 1])
