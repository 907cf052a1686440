"""Micrometres on slides whose pixels need not be square: to um and back, lengths, areas, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from napari_nic.geometry import PixelSize

UM = "\N{MICRO SIGN}m"
MM2 = "mm\N{SUPERSCRIPT TWO}"
UM2 = f"{UM}\N{SUPERSCRIPT TWO}"

UM_PER_MM = 1000.0
SMALL_UM2 = 10_000.0
"""Areas below are told in square micrometres."""


def in_um(geometry: Any, pixel: PixelSize) -> Any:
    """Map a geometry from level-0 pixels to micrometres from the slide's corner."""
    return shapely.transform(geometry, lambda points: points * np.array([pixel.x, pixel.y]))


def in_px(geometry: Any, pixel: PixelSize) -> Any:
    """Inverse of :func:`in_um`."""
    return shapely.transform(geometry, lambda points: points / np.array([pixel.x, pixel.y]))


def length_um(geometry: Any, pixel: PixelSize) -> float:
    """Length of a line, or of all outlines of an area, in micrometres."""
    return float(in_um(geometry, pixel).length)


def area_um2(geometry: Any, pixel: PixelSize) -> float:
    """Area in square micrometres; 0 for lines and points."""
    return float(geometry.area) * pixel.x * pixel.y


def length_text(um: float) -> str:
    """Say a length: um below a millimetre, mm above."""
    return f"{um / UM_PER_MM:.3f} mm" if um >= UM_PER_MM else f"{um:.1f} {UM}"


def area_text(um2: float) -> str:
    """Say an area: square micrometres where it is small, else mm2."""
    return f"{um2:,.0f} {UM2}" if um2 < SMALL_UM2 else f"{um2 / UM_PER_MM**2:.3g} {MM2}"


def size_text(geometry: Any, pixel: PixelSize | None) -> str:
    """Say how large a geometry is: area and outline, or length; in pixels where their size is not known."""
    if geometry.geom_type in ("Point", "MultiPoint"):
        number = shapely.get_num_geometries(geometry)
        return "" if number == 1 else f"{number} points"
    is_line = geometry.area == 0
    if pixel is None:
        return f"{geometry.length:,.0f} px" if is_line else f"{geometry.area:,.0f} px\N{SUPERSCRIPT TWO}"
    length = length_text(length_um(geometry, pixel))
    return length if is_line else f"{area_text(area_um2(geometry, pixel))}, outline {length}"
