"""What formats can hold: told by each, so that what a file would lose is known before it is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
import shapely

from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import details, measurements
from napari_nic.annotations.ellipses import Ellipse, ellipse_of
from napari_nic.annotations.kinds import is_arrow, true_kind
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.wording import counted

WITHOUT = "written without"
"""What becomes of shapes whose ids, names or measurements a format cannot hold."""

FEATURES: dict[str, tuple[str, Callable[[Annotation], bool]]] = {
    # feature -> (what has it, whether a shape has it)
    "holes": ("area", lambda a: a.is_area and bool(shapely.get_num_interior_rings(_parts(a)).any())),
    "areas of several parts": ("area", lambda a: a.geometry.geom_type == "MultiPolygon"),
    "rectangles": ("rectangle", lambda a: a.kind == "rectangle"),
    "circles": ("circle", lambda a: _is_ellipse(a, lambda e: e.is_circle)),
    "ellipses": ("ellipse", lambda a: _is_ellipse(a, lambda e: not (e.is_circle or e.is_turned))),
    "turned ellipses": ("turned ellipse", lambda a: _is_ellipse(a, lambda e: e.is_turned)),
    "splines": ("spline", lambda a: a.kind == "spline"),
    "lines": ("line", lambda a: a.kind == "line"),
    "lines of several parts": ("line", lambda a: a.geometry.geom_type == "MultiLineString"),
    "arrows": ("arrow", lambda a: a.kind == "arrow" and is_arrow(a.geometry)),
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


ELLIPSES = ("circles", "ellipses", "turned ellipses")


def carried(annotation: Annotation, instead: Collection[str]) -> Annotation:
    """Return a shape as a kind that a format has: an ellipse as polygon, an arrow as line, where it has none.

    Parameters
    ----------
    annotation : Annotation
    instead : collection of str
        Features that the format lacks.
    """
    kind = annotation.kind
    if kind not in ("ellipse", "arrow"):
        return annotation
    kind = true_kind(kind, annotation.geometry)
    lacking = [feature for feature in (*ELLIPSES, "arrows") if feature in instead]
    if any(FEATURES[feature][1](annotation) for feature in lacking):
        kind = "polygon" if kind == "ellipse" else "line"
    return annotation if kind == annotation.kind else replace(annotation, kind=kind)


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


def _is_ellipse(annotation: Annotation, which: Callable[[Ellipse], bool]) -> bool:
    found = ellipse_of(annotation.geometry) if annotation.kind == "ellipse" else None
    return found is not None and which(found)


def _parts(annotation: Annotation) -> np.ndarray:
    return np.asarray(shapely.get_parts(annotation.geometry))


def _has_fractions(geometry: shapely.Geometry) -> bool:
    points = shapely.get_coordinates(geometry)
    return bool((points != np.round(points)).any())
