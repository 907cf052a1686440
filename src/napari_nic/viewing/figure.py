"""A figure of a slide with what lies on it, computed from the data at the resolution that is wanted.

No screenshot: each layer is sampled from the level that is fine enough, at twice the figure's resolution, and
averaged; the screen's size and zoom play no part. Rows are made in bands, so that only the figure itself is
held in memory.

Frame: level-0 pixels (y, x), corner-based. Colours are RGBA of 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slides import RgbArray

FloatArray = npt.NDArray[np.float32]
Blending = Literal["translucent", "additive", "opaque"]

MOST_PIXELS = 100_000_000
"""Of a figure: 300 MB. A printed page at 600 dpi has 35 million."""

BAND_ROWS = 256
OVERSAMPLING = 2
_SHIFT = 4
"""Bits of a fraction of a pixel, of OpenCV's polygons."""

_FINE = 4
"""Steps in a pixel in which the area of an outline is counted."""


@dataclass(frozen=True)
class FigureFrame:
    """What a figure shows and how finely.

    Attributes
    ----------
    region : RegionPx
        Of level 0.
    downsample : float
        Level-0 pixels on a pixel of the figure.

    Raises
    ------
    InvalidParameterError
        If nothing would be shown, or more than :data:`MOST_PIXELS`.
    """

    region: RegionPx
    downsample: float

    def __post_init__(self) -> None:
        if self.region.is_empty:
            raise InvalidParameterError(
                "the figure would show nothing of the slide", hint="look at the slide first"
            )
        if not (math.isfinite(self.downsample) and self.downsample > 0):
            raise InvalidParameterError("a figure has a positive resolution", found=f"{self.downsample:g}")
        rows, cols = self.shape
        if rows * cols > MOST_PIXELS:
            raise InvalidParameterError(
                "the figure would be too large",
                expected=f"at most {MOST_PIXELS:,} pixels",
                found=f"{cols:,} x {rows:,}",
                hint="choose a lower magnification or a smaller region",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the figure."""
        return (
            max(1, round(self.region.height / self.downsample)),
            max(1, round(self.region.width / self.downsample)),
        )


class Part(Protocol):
    """What a figure is made of, from below to above."""

    def paint(self, canvas: FloatArray, top: int, frame: FigureFrame) -> None:
        """Draw onto a band of the figure in place: (rows, cols, 3) float32 of 0 to 1, from row `top` on."""
        ...


@dataclass(frozen=True, eq=False)
class RasterPart:
    """A picture, a map of values or of labels, as one level or as a pyramid.

    Attributes
    ----------
    levels : sequence of array
        Finest first, (rows, cols) or (rows, cols, samples); NumPy or lazy Dask arrays.
    to_px : ndarray, (3, 3)
        Maps (row, col, 1) of a *centre-based* index of ``levels[0]`` to (y, x, 1) in level-0 pixels.
    to_rgba : callable
        Maps sampled elements to RGBA of 0 to 1, (..., 4).
    opacity : float
    blending : {"translucent", "additive", "opaque"}
    smooth : bool
        Whether values between elements mean something; labels have none.
    """

    levels: Sequence[Any]
    to_px: npt.NDArray[np.float64]
    to_rgba: Callable[[npt.NDArray[Any]], FloatArray]
    opacity: float = 1.0
    blending: Blending = "translucent"
    smooth: bool = True

    def paint(self, canvas: FloatArray, top: int, frame: FigureFrame) -> None:
        """Sample the level that is fine enough and blend it in."""
        step = frame.downsample / OVERSAMPLING
        index, scale = self._level(frame.downsample)
        # Centre of a sample -> level-0 pixel -> index of level 0 -> index of the level.
        to_index = np.linalg.inv(self.to_px)
        origin = np.array([frame.region.y + top * frame.downsample, frame.region.x])
        placed = np.array([[step, 0, origin[0] + step / 2], [0, step, origin[1] + step / 2], [0, 0, 1.0]])
        coarser = np.diag([1 / scale[0], 1 / scale[1], 1.0])
        coarser[:2, 2] = (0.5 / scale[0] - 0.5, 0.5 / scale[1] - 0.5)
        matrix = coarser @ to_index @ placed
        shape = (canvas.shape[0] * OVERSAMPLING, canvas.shape[1] * OVERSAMPLING)
        rgba = self._sample(self.levels[index], matrix, shape)
        if rgba is not None:
            small = cv2.resize(rgba, canvas.shape[1::-1], interpolation=cv2.INTER_AREA)
            blend(canvas, small, self.opacity, self.blending)

    def _level(self, downsample: float) -> tuple[int, tuple[float, float]]:
        """Return the coarsest level that is as fine as the figure, and its size against the finest."""
        element = math.sqrt(abs(np.linalg.det(self.to_px[:2, :2])))
        finest = self.levels[0].shape
        best = (0, (1.0, 1.0))
        for index, level in enumerate(self.levels):
            scale = (finest[0] / level.shape[0], finest[1] / level.shape[1])
            if element * math.sqrt(scale[0] * scale[1]) <= downsample * 1.01:
                best = (index, scale)
        return best

    def _sample(
        self, level: Any, matrix: npt.NDArray[np.float64], shape: tuple[int, int]
    ) -> FloatArray | None:
        corners = np.array([(r, c, 1.0) for r in (-0.5, shape[0] - 0.5) for c in (-0.5, shape[1] - 0.5)])
        found = (corners @ matrix.T)[:, :2]
        low = np.maximum(np.floor(found.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(found.max(axis=0)).astype(int) + 2, level.shape[:2])
        if (low >= high).any():
            return None
        block = _read(level[low[0] : high[0], low[1] : high[1]])
        rgba = np.ascontiguousarray(self.to_rgba(block), np.float32)
        # Premultiplied: the colour of what is transparent must not bleed in at edges.
        rgba[..., :3] *= rgba[..., 3:]
        shifted = matrix.copy()
        shifted[:2, 2] -= low
        turned = shifted[[1, 0, 2]][:, [1, 0, 2]][:2]  # OpenCV's points are (x, y)
        # Elements that are no smaller than the figure's pixels keep their edges, and at 1:1 their values.
        enlarged = np.hypot(*matrix[:2, 0]) < 1.01 / OVERSAMPLING
        how = cv2.INTER_LINEAR if self.smooth and not enlarged else cv2.INTER_NEAREST
        return _warp(rgba, turned, shape, how)


def _warp(rgba: FloatArray, turned: npt.NDArray[np.float64], shape: tuple[int, int], how: int) -> FloatArray:
    """Sample with edges that end where the elements end, and transparent beyond."""
    flags = how | cv2.WARP_INVERSE_MAP
    size = (shape[1], shape[0])
    inside = cv2.copyMakeBorder(rgba, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    moved = turned.copy()
    moved[:, 2] += 1
    sampled = cv2.warpAffine(inside, moved, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    # An element spans half a pixel beyond its centre: samples further out show nothing.
    if turned[0, 1] == turned[1, 0] == 0:  # not turned, as nearly always: rows and columns by themselves
        cols = turned[0, 0] * np.arange(size[0]) + turned[0, 2]
        rows = turned[1, 1] * np.arange(size[1]) + turned[1, 2]
        sampled[:, (cols < -0.5) | (cols > rgba.shape[1] - 0.5)] = 0
        sampled[(rows < -0.5) | (rows > rgba.shape[0] - 0.5)] = 0
        return np.asarray(sampled, np.float32)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    col = turned[0, 0] * x + turned[0, 1] * y + turned[0, 2]
    row = turned[1, 0] * x + turned[1, 1] * y + turned[1, 2]
    outside = (col < -0.5) | (row < -0.5) | (col > rgba.shape[1] - 0.5) | (row > rgba.shape[0] - 0.5)
    sampled[outside] = 0
    return np.asarray(sampled, np.float32)


def _read(block: Any) -> npt.NDArray[Any]:
    # Lazy arrays in this thread alone: a pool of threads would outlive the figure.
    return np.asarray(block.compute(scheduler="synchronous") if hasattr(block, "compute") else block)


@dataclass(frozen=True, eq=False)
class Shape:
    """An outline, a line, or a round point given by its outline.

    Attributes
    ----------
    points : ndarray, (n, 2)
        (y, x) in level-0 pixels.
    closed : bool
    edge, face : ndarray, (4,)
        RGBA of 0 to 1.
    width_px : float
        Of the line in level-0 pixels.
    """

    points: npt.NDArray[np.float64]
    closed: bool
    edge: FloatArray
    face: FloatArray
    width_px: float


@dataclass(frozen=True, eq=False)
class ShapesPart:
    """Shapes, in their order.

    Attributes
    ----------
    shapes : sequence of Shape
    opacity : float
    """

    shapes: Sequence[Shape]
    opacity: float = 1.0
    _boxes: list[tuple[float, float]] = field(default_factory=list, repr=False)

    def paint(self, canvas: FloatArray, top: int, frame: FigureFrame) -> None:
        """Draw what touches the band."""
        if not self._boxes:
            self._boxes.extend(_rows_of(shape) for shape in self.shapes)
        first = frame.region.y + top * frame.downsample
        last = first + canvas.shape[0] * frame.downsample
        for shape, (upper, lower) in zip(self.shapes, self._boxes, strict=True):
            if lower >= first and upper <= last:
                _draw(shape, self.opacity, canvas, top, frame)


def _rows_of(shape: Shape) -> tuple[float, float]:
    rows = shape.points[:, 0]
    return float(rows.min() - shape.width_px), float(rows.max() + shape.width_px)


def _draw(shape: Shape, opacity: float, canvas: FloatArray, top: int, frame: FigureFrame) -> None:
    corner = np.array([frame.region.y + top * frame.downsample, frame.region.x])
    # OpenCV's pixels are centred on whole numbers.
    places = (shape.points - corner) / frame.downsample - 0.5
    line = max(1, round(shape.width_px / frame.downsample))
    low = np.maximum(np.floor(places.min(axis=0)).astype(int) - line - 1, 0)
    high = np.minimum(np.ceil(places.max(axis=0)).astype(int) + line + 2, canvas.shape[:2])
    if (low >= high).any():
        return
    part = canvas[low[0] : high[0], low[1] : high[1]]
    fixed = np.rint((places - low)[:, ::-1] * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
    for color, is_face in ((shape.face, True), (shape.edge, False)):
        if color[3] <= 0 or (is_face and not shape.closed):
            continue
        mask = _filled(places - low, part.shape[:2]) if is_face else np.zeros(part.shape[:2], np.uint8)
        if not is_face:
            cv2.polylines(mask, [fixed], shape.closed, 255, line, cv2.LINE_AA, _SHIFT)
        amount = mask[..., None].astype(np.float32) / 255 * float(color[3]) * opacity
        part += amount * (np.asarray(color[:3], np.float32) - part)


def _filled(places: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return how much of each pixel lies in an outline, 0 to 255; OpenCV's own smooth fill adds a rim."""
    mask = np.zeros((shape[0] * _FINE, shape[1] * _FINE), np.uint8)
    fine = (places + 0.5) * _FINE - 0.5
    fixed = np.rint(fine[:, ::-1] * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_8, _SHIFT)
    return np.asarray(cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def blend(canvas: FloatArray, rgba: FloatArray, opacity: float, blending: Blending) -> None:
    """Lay premultiplied RGBA over a picture in place, as viewers do."""
    alpha = rgba[..., 3:] * opacity
    if blending == "additive":
        canvas += rgba[..., :3] * opacity
        np.clip(canvas, 0, 1, out=canvas)
        return
    if blending == "opaque":
        alpha = (alpha > 0).astype(np.float32)
        canvas *= 1 - alpha
        canvas += rgba[..., :3]
        return
    canvas *= 1 - alpha
    canvas += rgba[..., :3] * opacity


def iter_figure(
    frame: FigureFrame,
    parts: Sequence[Part],
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    token: CancellationToken | None = None,
) -> Generator[Progress, None, RgbArray]:
    """Compose a figure, band by band.

    Parameters
    ----------
    frame : FigureFrame
    parts : sequence of Part
        From below to above.
    background : (int, int, int)
        RGB below all.
    token : CancellationToken, optional
        Checked before each band.

    Yields
    ------
    Progress
        After each band.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)

    Raises
    ------
    CancelledError
        If `token` was cancelled.
    DamagedSlideError
        If pixels cannot be read, unless the slide hatches those.
    """
    token = token or CancellationToken()
    rows, cols = frame.shape
    figure = np.empty((rows, cols, 3), np.uint8)
    tops = range(0, rows, BAND_ROWS)
    for done, top in enumerate(tops, 1):
        token.checkpoint()
        band = np.empty((min(BAND_ROWS, rows - top), cols, 3), np.float32)
        band[:] = np.array(background, np.float32) / 255
        for part in parts:
            part.paint(band, top, frame)
        figure[top : top + len(band)] = np.rint(np.clip(band, 0, 1) * 255).astype(np.uint8)
        yield Progress(done, len(tops), "composing the figure", "bands")
    return figure
