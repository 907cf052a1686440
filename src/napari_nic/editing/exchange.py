"""Objects of a document <-> the plain annotations that files are read to and written from.

What files say of an object beside its shape (lock, own colour, parent, measurements, metadata) lies in
:attr:`~napari_nic.annotations.Annotation.extra` in QuPath's words. In a document it is the object's, and
stands there alone; :func:`plain` puts it back.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from napari_nic.annotations import RGB, Annotation, AnnotationSet
from napari_nic.annotations.details import color_in, measurements
from napari_nic.editing.classes import DrawingClass
from napari_nic.editing.objects import AnnotationObject
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted, was_were

_LOCKED, _METADATA, _PARENT = "isLocked", "metadata", "parent"
_TAKEN, _COLORS = ("measurements", _LOCKED, _METADATA), ("color", "colorRGB", "lineColor")


def objects_of(
    annotations: AnnotationSet, *, taken: Iterable[str] = (), token: CancellationToken | None = None
) -> tuple[tuple[AnnotationObject, ...], tuple[str, ...]]:
    """Make objects of the shapes of a file, each with an id of its own.

    An id of the file is kept. A shape without one gets an id that follows from its class and place, so that
    the same file gives the same ids; of shapes of one id the first keeps it.

    Parameters
    ----------
    annotations : AnnotationSet
    taken : iterable of str
        Ids that other objects have already.
    token : CancellationToken, optional
        Asked at each shape.

    Returns
    -------
    objects : tuple of AnnotationObject
        In the order of the set.
    notes : tuple of str
        What had to be changed, for the user to see.
    """
    used = set(taken)
    seen: Counter[str] = Counter()
    objects: list[AnnotationObject] = []
    n_renamed = 0
    hashes = _content_ids(annotations, token)
    plain: set[int] = set()
    for annotation, content in zip(checked(annotations.annotations, token), hashes, strict=True):
        wanted = annotation.id or content
        seen[wanted] += 1
        identity = wanted if seen[wanted] == 1 else _derived(wanted, seen[wanted])
        while identity in used:
            seen[wanted] += 1
            identity = _derived(wanted, seen[wanted])
        used.add(identity)
        n_renamed += bool(annotation.id) and identity != annotation.id
        if id(annotation.extra) in plain:
            # It says no more beside its shape than another one, which was nothing of its own.
            objects.append(AnnotationObject(identity, annotation))
            continue
        made = object_of(annotation, identity)
        objects.append(made)
        if made.annotation is annotation:
            plain.add(id(annotation.extra))
    if not n_renamed:
        return tuple(objects), ()
    note = f"{counted(n_renamed, 'shape')} with the id of another one {was_were(n_renamed)} given a new id"
    return tuple(objects), (note,)


def classes_of(annotations: AnnotationSet) -> tuple[DrawingClass, ...]:
    """Return the classes of a set with its colours."""
    return tuple(DrawingClass(label, annotations.colors[label]) for label in annotations.labels())


def object_of(annotation: Annotation, identity: str) -> AnnotationObject:
    """Make an object of a shape; what its file says of lock, colour, parent and numbers becomes its own."""
    extra = dict(annotation.extra)
    properties = extra.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    parent = extra.get(_PARENT)
    color = color_in(properties)
    metadata = _texts(properties.get(_METADATA))
    taken = _TAKEN if color is None else (*_TAKEN, *_COLORS)
    left = {key: value for key, value in properties.items() if key not in taken}
    if metadata is None and _METADATA in properties:  # no table of texts: kept for the file it came from
        left[_METADATA] = properties[_METADATA]
    if isinstance(parent, str):
        del extra[_PARENT]
    extra.pop("properties", None)
    if left:
        extra["properties"] = left
    own = color is not None or isinstance(parent, str) or bool(set(_TAKEN) & properties.keys())
    return AnnotationObject(
        identity,
        replace(annotation, extra=extra) if own else annotation,
        color=color,
        locked=properties.get(_LOCKED) is True,
        parent=parent if isinstance(parent, str) else "",
        measurements=measurements(annotation),
        metadata=metadata or {},
    )


def plain(item: AnnotationObject, *, with_id: bool = False) -> Annotation:
    """Return the annotation that a file is written from: the inverse of :func:`object_of`.

    Parameters
    ----------
    item : AnnotationObject
    with_id : bool
        Whether an object that had no id in its file is written with the one it has in the document.
    """
    own: dict[str, Any] = {}
    if item.locked:
        own[_LOCKED] = True
    if item.color is not None:
        own["color"] = list(item.color)
    if item.measurements:
        own["measurements"] = dict(item.measurements)
    if item.metadata:
        own[_METADATA] = dict(item.metadata)
    annotation = item.annotation
    if not (own or item.parent):
        return replace(annotation, id=item.id) if with_id and annotation.id != item.id else annotation
    extra = dict(annotation.extra)
    if own:
        extra["properties"] = {**extra.get("properties", {}), **own}
    if item.parent:
        extra[_PARENT] = item.parent
    return replace(annotation, extra=extra, id=item.id if with_id else annotation.id)


def plain_set(
    objects: Iterable[AnnotationObject],
    colors: Mapping[str, RGB],
    source: str = "",
    *,
    with_ids: bool = False,
) -> AnnotationSet:
    """Return objects as a plain set; see :func:`plain`."""
    return AnnotationSet(tuple(plain(item, with_id=with_ids) for item in objects), colors, source)


def _texts(value: Any) -> dict[str, str] | None:
    """Return a table of texts, None if it is none."""
    if not isinstance(value, Mapping):
        return None
    if not all(isinstance(part, str) for pair in value.items() for part in pair):
        return None
    return dict(value)


def _content_ids(annotations: AnnotationSet, token: CancellationToken | None) -> list[str]:
    """Return an id for each shape that has none, from what it is; empty for the others."""
    without = np.array([not annotation.id for annotation in annotations.annotations], bool)
    ids = [""] * len(without)
    geometries = np.array([*(a.geometry for a in annotations.annotations), None], object)[:-1]
    places = shapely.to_wkb(geometries[without])
    for number, place in zip(np.flatnonzero(without), checked(places, token), strict=True):
        one = annotations.annotations[number]
        text = f"{one.label}\0{one.kind}\0{one.name}\0".encode(errors="surrogatepass")
        ids[number] = _uuid_of(hashlib.sha256(text + place).hexdigest())
    return ids


def _uuid_of(digest: str) -> str:
    """Write the first half of a digest as a UUID of version 5; :mod:`uuid` takes ten times as long."""
    variant = "89ab"[int(digest[16], 16) % 4]
    first = (digest[:8], digest[8:12], f"5{digest[13:16]}", f"{variant}{digest[17:20]}", digest[20:32])
    return "-".join(first)


def _derived(identity: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{identity} {number}"))
