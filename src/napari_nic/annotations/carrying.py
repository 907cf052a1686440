"""What formats can hold: told by each, so that what a file would lose is known before it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import shapely

from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import details, measurements
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.wording import counted

WITHOUT = "written without"
"""What becomes of shapes whose ids, names or measurements a format cannot hold."""

FEATURES: dict[str, tuple[str, Callable[[Annotation], bool]]] = {
    # feature -> (what has it, whether a shape has it)
    "holes": ("area", lambda a: a.is_area and bool(shapely.get_num_interior_rings(_parts(a)).any())),
    "areas of several parts": ("area", lambda a: a.geometry.geom_type == "MultiPolygon"),
    "rectangles": ("rectangle", lambda a: a.kind == "rectangle"),
    "splines": ("spline", lambda a: a.kind == "spline"),
    "lines": ("line", lambda a: a.kind == "line"),
    "lines of several parts": ("line", lambda a: a.geometry.geom_type == "MultiLineString"),
    "measured lines": ("measured line", lambda a: a.kind == "measurement"),
    "points": ("point", lambda a: a.geometry.geom_type == "Point"),
    "point sets": ("point set", lambda a: a.geometry.geom_type == "MultiPoint"),
    "names": ("shape", lambda a: bool(a.name)),
    "ids": ("shape", lambda a: bool(a.id)),
    "measurements": ("shape", lambda a: bool(measurements(a))),
    "further details": ("shape", lambda a: bool(details(a))),
    "fractions of a unit": ("shape", lambda a: _has_fractions(a.geometry)),
}
"""What a shape may have that not every format can hold."""

COLOURS = "class colours"


def losses_of(annotations: AnnotationSet, label: str, instead: Mapping[str, str]) -> tuple[str, ...]:
    """Say what a format that lacks some features does to a set.

    Parameters
    ----------
    annotations : AnnotationSet
    label : str
        Of the format, as in messages.
    instead : mapping
        Feature that it lacks, of :data:`FEATURES` or :data:`COLOURS`, to what is done instead.
    """
    texts = []
    for feature, done in instead.items():
        noun, number = _counted(annotations, feature)
        if number:
            verb = "is" if number == 1 else "are"
            texts.append(f"{label} has no {feature}: {counted(number, noun)} {verb} {done}")
    return tuple(texts)


def _counted(annotations: AnnotationSet, feature: str) -> tuple[str, int]:
    if feature == COLOURS:
        return "class", len([label for label in annotations.labels() if label != UNCLASSIFIED])
    noun, has = FEATURES[feature]
    return noun, sum(map(has, annotations.annotations))


def _parts(annotation: Annotation) -> np.ndarray:
    return np.asarray(shapely.get_parts(annotation.geometry))


def _has_fractions(geometry: shapely.Geometry) -> bool:
    points = shapely.get_coordinates(geometry)
    return bool((points != np.round(points)).any())
