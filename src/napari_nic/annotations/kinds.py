"""As what a shape was drawn, and whether it still is that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from napari_nic.annotations.ellipses import ellipse_of

if TYPE_CHECKING:
    import shapely

Kind = Literal["polygon", "rectangle", "ellipse", "spline", "line", "arrow", "measurement", "point", "points"]

KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
"""By their names, for what is read."""

AREA_KINDS = ("polygon", "rectangle", "ellipse", "spline")

ARROW_ENDS = 2
"""Points of an arrow; the last one is its head."""


def true_kind(kind: Kind, geometry: shapely.Geometry) -> Kind:
    """Return what a shape is after its geometry was exchanged.

    A rectangle or an ellipse whose outline is no more one is a polygon, an arrow of more than two points a
    line; other kinds stay.

    Parameters
    ----------
    kind : Kind
        As what it was drawn.
    geometry : shapely geometry
        As it is now.
    """
    if kind == "rectangle":
        return kind if is_upright_box(geometry) else "polygon"
    if kind == "ellipse":
        return kind if ellipse_of(geometry) is not None else "polygon"
    if kind == "arrow":
        return kind if is_arrow(geometry) else "line"
    return kind


def is_upright_box(geometry: shapely.Geometry) -> bool:
    """Whether an area fills its box."""
    left, top, right, bottom = geometry.bounds
    full = (right - left) * (bottom - top)
    return bool(geometry.area >= full * (1 - 1e-9))


def is_arrow(geometry: shapely.Geometry) -> bool:
    """Whether a line is one of two points."""
    return geometry.geom_type == "LineString" and len(geometry.coords) == ARROW_ENDS
