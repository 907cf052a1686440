"""Sizes, regions and placements: frozen values in which pixels and micrometres never mix.

Frame
-----
The truth is **level-0 pixels, (y, x), corner-based**: pixel 0 spans [0, 1), its centre lies at 0.5.
Names ending in ``_px`` are pixels (of level 0 unless a level is named), in ``_um`` micrometres from the
slide's top left corner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari_nic.errors import InvalidParameterError

MPP_MIN, MPP_MAX = 0.05, 20.0
"""Micrometres per pixel outside this range are taken for a mistake in the file until a user confirms them."""

USER, GIVEN = "user", "given"
"""Sources of a size that a user states: of a slide, and of features whose slide is not at hand."""

CONFIRMED = "the file, confirmed by the user"
"""Source of a size outside that range which a user stated to be what the file says."""


@dataclass(frozen=True)
class PixelSize:
    """Size of a level-0 pixel in micrometres, and where that knowledge came from.

    Attributes
    ----------
    y, x : float
        Micrometres per level-0 pixel (mpp).
    source : str
        For instance ``"aperio.MPP"``, ``"tiff resolution"``, ``"user"``.
    """

    y: float
    x: float
    source: str = USER

    def __post_init__(self) -> None:
        if self.source == CONFIRMED:
            is_sensible = 0 < self.y < math.inf and 0 < self.x < math.inf
        else:
            is_sensible = MPP_MIN <= self.y <= MPP_MAX and MPP_MIN <= self.x <= MPP_MAX
        if not is_sensible:
            raise InvalidParameterError(
                "micrometres per pixel out of range",
                expected=f"{MPP_MIN} to {MPP_MAX} um/px",
                found=f"{self.y:g} x {self.x:g} um/px from {self.source}",
            )

    @property
    def mean(self) -> float:
        """Geometric mean of both axes, um/px."""
        return math.sqrt(self.y * self.x)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by ``PixelSize(**d)``."""
        return asdict(self)


@dataclass(frozen=True)
class RegionPx:
    """A rectangle of whole pixels [y, y + height) x [x, x + width) on one level, corner-based."""

    y: int
    x: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise InvalidParameterError("a region has a negative size", found=f"{self.height} x {self.width}")

    @property
    def bottom(self) -> int:
        """First row below the region."""
        return self.y + self.height

    @property
    def right(self) -> int:
        """First column right of the region."""
        return self.x + self.width

    @property
    def is_empty(self) -> bool:
        """Whether the region holds no pixel."""
        return self.height == 0 or self.width == 0

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, cols) slices into an array of the whole level; the region must not start below 0."""
        return slice(self.y, self.bottom), slice(self.x, self.right)

    def intersect(self, other: RegionPx) -> RegionPx:
        """Return the common part, of size 0 where there is none."""
        y, x = max(self.y, other.y), max(self.x, other.x)
        return RegionPx(
            y, x, max(0, min(self.bottom, other.bottom) - y), max(0, min(self.right, other.right) - x)
        )


@dataclass(frozen=True)
class LevelGeometry:
    """Shape of one pyramid level and its scale against level 0.

    Attributes
    ----------
    height, width : int
        Size in pixels of this level.
    downsample_y, downsample_x : float
        Level-0 pixels per pixel of this level; 1 on level 0.
    """

    height: int
    width: int
    downsample_y: float = 1.0
    downsample_x: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.height, self.width

    @property
    def region(self) -> RegionPx:
        """The whole level."""
        return RegionPx(0, 0, self.height, self.width)


@dataclass(frozen=True)
class Placement:
    """Where a regular raster lies on the slide.

    Attributes
    ----------
    origin_um : (float, float)
        (y, x) of the top left **corner** of element [0, 0], from the slide's top left corner.
    step_um : (float, float)
        (y, x) size of one element.
    """

    origin_um: tuple[float, float]
    step_um: tuple[float, float]

    def corner_um(self, row: float, col: float) -> tuple[float, float]:
        """Map an element's index to the (y, x) of its top left corner in micrometres."""
        return self.origin_um[0] + row * self.step_um[0], self.origin_um[1] + col * self.step_um[1]

    def index_at(self, y_um: float, x_um: float) -> tuple[float, float]:
        """Map micrometres to a fractional index; ``floor`` of it is the element that holds the point."""
        return (y_um - self.origin_um[0]) / self.step_um[0], (x_um - self.origin_um[1]) / self.step_um[1]

    def centred_on(self, pixel: PixelSize) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return ``(scale, translate)`` for a viewer that places element centres, as napari does.

        In such a viewer a slide with ``scale=mpp`` and no translation has the *centre* of pixel 0 at 0,
        so everything is shifted by half a level-0 pixel against the corner-based frame:
        ``translate = origin + (step - pixel) / 2``.
        """
        translate = (
            self.origin_um[0] + (self.step_um[0] - pixel.y) / 2,
            self.origin_um[1] + (self.step_um[1] - pixel.x) / 2,
        )
        return self.step_um, translate

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return {"origin_um": list(self.origin_um), "step_um": list(self.step_um)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Placement:
        """Inverse of :meth:`to_dict`."""
        oy, ox = data["origin_um"]
        sy, sx = data["step_um"]
        return cls((float(oy), float(ox)), (float(sy), float(sx)))
