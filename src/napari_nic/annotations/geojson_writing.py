"""QuPath's GeoJSON, written; what a feature of such a file said beside its shape goes back into it."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import details, measurements, written_number
from napari_nic.annotations.ellipses import ellipse_of, ellipse_outline
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.colors import RGB
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted, was_were

IS_ELLIPSE = "isEllipse"
"""Member of a geometry whose box QuPath fills with an upright ellipse."""

METADATA, HEAD, AT_START, AT_END = "metadata", "arrowhead", "<", ">"
"""Where QuPath says that a line has a head, and at which end."""

INSTEAD = {
    "turned ellipses": "written as polygons",
    "splines": "written as polygons",
    "measured lines": "written as lines",
}

_DEFAULTS: dict[str, Any] = {"objectType": "annotation", "isLocked": False}


def write(annotations: AnnotationSet, path: Path, token: CancellationToken | None = None) -> tuple[str, ...]:
    """Write a FeatureCollection; nothing is lost but the kinds that GeoJSON does not know.

    Parameters
    ----------
    annotations : AnnotationSet
    path : Path
    token : CancellationToken, optional
        Asked at each shape.

    Returns
    -------
    tuple of str
        What had to be left out: JSON has no numbers that are not finite.
    """
    n_dropped = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for index, annotation in enumerate(checked(annotations.annotations, token)):
            file.write("\n" if index == 0 else ",\n")
            geometry = _geometry_text(annotation)
            text, dropped = _feature_text(annotation, geometry, annotations.colors, index)
            file.write(text)
            n_dropped += dropped
        file.write("\n]}\n")
    if not n_dropped:
        return ()
    return (f"{counted(n_dropped, 'detail')} without a number {was_were(n_dropped)} left out",)


def _geometry_text(annotation: Annotation) -> str:
    """Write the geometry; of an ellipse with what makes QuPath take it for one."""
    found = ellipse_of(annotation.geometry) if annotation.kind == "ellipse" else None
    if found is None:
        return str(shapely.to_geojson(annotation.geometry))
    text = shapely.to_geojson(ellipse_outline(found.centre, found.radii))
    return f'{text[:-1]},"{IS_ELLIPSE}":true}}'


def _feature_text(
    annotation: Annotation, geometry: str, colors: Mapping[str, RGB], number: int
) -> tuple[str, int]:
    """Return the feature, and how many values of it JSON cannot hold."""
    values = measurements(annotation)
    extra, n_dropped = _finite(details(annotation))
    properties: dict[str, Any] = _DEFAULTS | extra.pop("properties", {})
    if "object_type" in properties:  # the older word for the same
        properties["objectType"] = properties.pop("object_type")
    if annotation.kind == "arrow":
        metadata = properties.get(METADATA)
        properties[METADATA] = {**(metadata if isinstance(metadata, Mapping) else {}), HEAD: AT_END}
    if values:
        properties["measurements"] = {name: written_number(value) for name, value in values.items()}
    if annotation.name:
        properties["name"] = annotation.name
    if annotation.label != UNCLASSIFIED:
        properties["classification"] = {"name": annotation.label, "color": list(colors[annotation.label])}
    # QuPath wants a UUID; one from the content makes the same file of the same set.
    identity = annotation.id or str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {geometry}"))
    plane = extra.pop("plane", None)
    if plane is not None:
        geometry = f'{geometry[:-1]},"plane":{json.dumps(plane)}}}'
    rest = "".join(f", {json.dumps(key)}: {json.dumps(value)}" for key, value in extra.items())
    return (
        f'{{"type": "Feature", "id": {json.dumps(identity)}, "geometry": {geometry},'
        f' "properties": {json.dumps(properties)}{rest}}}'
    ), n_dropped


def _finite(value: Any) -> tuple[Any, int]:
    """Copy a JSON value without the members that are not finite; also return their number."""
    if isinstance(value, Mapping):
        kept, dropped = {}, 0
        for key, member in value.items():
            if isinstance(member, float) and not math.isfinite(member):
                dropped += 1
                continue
            kept[key], more = _finite(member)
            dropped += more
        return kept, dropped
    if isinstance(value, list):
        members = [_finite(member) for member in value]
        return [member for member, _ in members], sum(more for _, more in members)
    if isinstance(value, float) and not math.isfinite(value):
        return None, 1
    return value, 0
