"""Cytomine's JSON, read only: what its interface gives for one annotation or a collection of them.

Places are well-known text, whose y counts upwards from the bottom of the slide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_nic.annotations.building import BadShapeError, Drawn, build_set
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.json_files import first_keys, list_of, load_json, plain_text, shapes_of
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.wkt import drawn_of, geometry_of_text
from napari_nic.jobs import CancellationToken
from napari_nic.names import ANNOTATION_SUFFIXES


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is Cytomine's."""
    keys, inner = first_keys(head)
    own = {"project", "container", "location", "userByTerm", "term"}
    if "annotation" in keys:
        return len(own & inner) > 1
    return len(own & keys) > 1 or ("collection" in keys and len(own & inner) > 1)


def read(path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read a file, with checkpoints of `token`; terms become classes.

    Raises
    ------
    AnnotationError
        If it is no JSON, or no shape in it can be understood.
    """
    document = load_json(path, "Cytomine")
    items = document.get("collection", [document]) if isinstance(document, dict) else document
    drawn = shapes_of(items if isinstance(items, list) else [items], "annotation", _shape, token)
    terms = {shape.label for shape in drawn} - {UNCLASSIFIED}
    numbered = any(label.startswith("term ") for label in terms)
    notes = ["classes are the numbers of terms: the file does not name them"] if numbered else []
    return build_set(drawn, path, colors={}, notes=notes, token=token)


def _shape(item: Mapping[str, Any], where: str) -> Iterable[Drawn]:
    inner = item.get("annotation", item)
    if not isinstance(inner, Mapping):
        raise BadShapeError("an annotation that is no object")
    location = inner.get("location")
    if not isinstance(location, str):
        raise BadShapeError("an annotation without a location")
    drawn = drawn_of(geometry_of_text(location), where)
    drawn.label, drawn.id = _label(inner), plain_text(inner.get("id"))
    yield drawn


def _label(inner: Mapping[str, Any]) -> str:
    terms = list_of(inner.get("term") or [], "a list of terms")
    names = [_term_name(term) for term in terms]
    return ", ".join(name for name in names if name) or UNCLASSIFIED


def _term_name(term: Any) -> str:
    if isinstance(term, Mapping):
        return plain_text(term.get("name"))
    return f"term {term}" if isinstance(term, int) else plain_text(term)


FORMAT = AnnotationFormat(
    "Cytomine JSON", ANNOTATION_SUFFIXES["cytomine"], recognises, read, unit="px from the bottom"
)
