"""What annotations carry beside shape, class, name and id: measurements, locks and the like.

It lies in :attr:`~napari_nic.annotations.Annotation.extra` in QuPath's words: measurements under
``properties``, the members of a feature beside them. Formats that have a place for it take it from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from napari_nic.annotations.json_files import color_of_text
from napari_nic.annotations.model import Annotation
from napari_nic.colors import RGB, from_packed

_PLAIN: dict[str, Any] = {"objectType": "annotation", "isLocked": False}
"""What QuPath says of every annotation, and so says nothing."""


def measurements(annotation: Annotation) -> dict[str, float]:
    """Return the measurements by name; NaN and infinities, which QuPath writes as words, as numbers."""
    properties = annotation.extra.get("properties")
    given = properties.get("measurements") if isinstance(properties, Mapping) else None
    return measurements_of(given)


def measurements_of(given: Any) -> dict[str, float]:
    """Read them in each of QuPath's forms: an object, or a list of {name, value} before 0.4."""
    if isinstance(given, list):
        pairs = [(item.get("name"), item.get("value")) for item in given if isinstance(item, Mapping)]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        return {}
    numbers = ((f"{name}", _number(value)) for name, value in pairs if isinstance(name, str))
    return {name: value for name, value in numbers if value is not None}


def details(annotation: Annotation) -> dict[str, Any]:
    """Return what is neither a measurement nor the same for every annotation."""
    extra = {key: value for key, value in annotation.extra.items() if key != "properties"}
    properties = annotation.extra.get("properties")
    if not isinstance(properties, Mapping):
        return extra
    rest = {
        key: value
        for key, value in properties.items()
        if key != "measurements" and (key not in _PLAIN or _PLAIN[key] != value)
    }
    return extra | ({"properties": rest} if rest else {})


def extra_of(values: Mapping[str, float], rest: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Put measurements and details together again: the inverse of the two functions above."""
    extra = dict(rest or {})
    if values:
        extra["properties"] = {**extra.get("properties", {}), "measurements": dict(values)}
    return extra


def color_in(properties: Mapping[str, Any]) -> RGB | None:
    """Return a colour as [r, g, b], as "#rrggbb", or as the packed integer of older versions of QuPath."""
    color = properties.get("color")
    if color is None:  # Digital Slide Archive's word
        color = properties.get("lineColor")
    if isinstance(color, list) and len(color) >= 3 and all(_is_byte(value) for value in color[:3]):
        return int(color[0]), int(color[1]), int(color[2])
    if isinstance(color, str):
        return color_of_text(color)
    packed = properties.get("colorRGB", color)
    return from_packed(packed) if isinstance(packed, int) and not isinstance(packed, bool) else None


def written_number(value: float) -> float | str:
    """Return a measurement as JSON holds it: QuPath's words for what is not finite."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _is_byte(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 255


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
