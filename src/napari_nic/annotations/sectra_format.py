"""Sectra's JSON of one annotation or a list of them, read only; it counts in parts of the slide's width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_nic.annotations.building import BadShapeError, Drawn, build_set
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.json_files import first_keys, list_of, load_json, plain_text, shapes_of, xy_of
from napari_nic.annotations.model import AnnotationSet, Kind
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.jobs import CancellationToken
from napari_nic.names import ANNOTATION_SUFFIXES

_KINDS: dict[str, Kind] = {"area": "polygon", "polyline": "line", "line": "line", "point": "points"}


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is Sectra's."""
    keys, _ = first_keys(head)
    return "slideId" in keys and bool(keys & {"rowVersion", "content"})


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; shapes have names and no classes.

    Raises
    ------
    AnnotationError
        If it is no JSON, or no shape in it can be understood.
    """
    document = load_json(path, "Sectra")
    items = document if isinstance(document, list) else [document]
    return build_set(shapes_of(items, "annotation", _shape, token), path, colors={}, token=token)


def _shape(item: Mapping[str, Any], where: str) -> Iterable[Drawn]:
    kind = _KINDS.get(plain_text(item.get("type")).lower())
    if kind is None:
        raise BadShapeError(f"an annotation of unknown type {str(item.get('type'))[:40]!r}")
    points = [xy_of(point) for point in list_of(item.get("content"), "a content")]
    parts: list[Any] = points if kind == "points" else [points] if kind == "line" else [[points]]
    if kind == "points" and len(points) == 1:
        kind = "point"
    name, identity = plain_text(item.get("name")), plain_text(item.get("id"))
    yield Drawn(where, UNCLASSIFIED, kind, parts, name, identity)


FORMAT = AnnotationFormat(
    "Sectra JSON", ANNOTATION_SUFFIXES["sectra"], recognises, read, unit="parts of the width"
)
