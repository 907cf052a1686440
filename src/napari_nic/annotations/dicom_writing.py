"""DICOM's annotations, written; see :mod:`~napari_nic.annotations.dicom_format`."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom

import napari_nic
from napari_nic.annotations.dicom_reading import WHAT, unwarned
from napari_nic.annotations.ellipses import ellipse_of
from napari_nic.annotations.kinds import is_upright_box
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.annotations.pieces import corners, parts_of, points_in, simple_areas
from napari_nic.colors import RGB
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken, checked
from napari_nic.slides.dicom_instances import DicomInstances

if TYPE_CHECKING:
    import shapely

MAX_LABEL = 64
"""Characters of a group's label (LO)."""

_REPEATED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "FrameOfReferenceUID", "StudyInstanceUID"),
)
"""What a file of annotations repeats of its slide; not every slide states it."""


_Shapes = dict[tuple[str, str], list[np.ndarray]]
"""Points of the shapes of one class and one kind."""


def write_on(
    slide: DicomInstances, annotations: AnnotationSet, path: Path, token: CancellationToken | None = None
) -> tuple[str, ...]:
    """Write a file that refers to the finest level of a slide.

    Parameters
    ----------
    slide : DicomInstances
    annotations : AnnotationSet
        Level-0 pixels.
    path : Path
    token : CancellationToken, optional
        Asked at each shape.

    Returns
    -------
    tuple of str
        Classes whose names had to be changed.
    """
    require("highdicom", WHAT)
    labels, notes = _group_labels(annotations)
    collected: _Shapes = {}
    digest = hashlib.sha256()
    for annotation in checked(annotations.annotations, token):
        for kind, points in _written(annotation):
            collected.setdefault((annotation.label, kind), []).append(points)
            digest.update(f"{annotation.label}\0{kind}\0".encode(errors="replace") + points.tobytes())
    with unwarned():
        names = {label: (name, annotations.colors[label]) for label, name in labels.items()}
        _save(slide, collected, names, digest.hexdigest(), path)
    return notes


def _save(
    slide: DicomInstances, shapes: _Shapes, names: Mapping[str, tuple[str, RGB]], digest: str, path: Path
) -> None:
    source = _source(slide)
    seed = f"{source.SOPInstanceUID} {digest}"
    groups = [
        _group(number, (names[label], kind), points, seed)
        for number, ((label, kind), points) in enumerate(shapes.items(), 1)
    ]
    document = require("highdicom.ann", WHAT).MicroscopyBulkSimpleAnnotations(
        [source],
        "2D",
        groups,
        series_instance_uid=_uid(f"{seed} series"),
        series_number=1,
        sop_instance_uid=_uid(seed),
        instance_number=1,
        manufacturer="napari-nic",
        manufacturer_model_name="napari-nic",
        software_versions=napari_nic.__version__,
        device_serial_number="0",
        specific_character_set="ISO_IR 192",
    )
    document.save_as(path, enforce_file_format=True)


def _group(number: int, named: tuple[tuple[str, RGB], str], points: list[np.ndarray], seed: str) -> Any:
    """Make the group of one class and one kind of shape."""
    ann, coding = require("highdicom.ann", WHAT), require("pydicom.sr.coding", WHAT)
    (label, color), kind = named
    return ann.AnnotationGroup(
        number,
        _uid(f"{seed} {number}"),
        label,
        coding.Code("309825002", "SCT", "Spatial and Relational Concept"),
        coding.Code("111030", "DCM", "Image Region"),
        kind,
        points,
        "MANUAL",
        display_color=require("highdicom.color", WHAT).CIELabColor.from_rgb(*color),
    )


def _uid(text: str) -> str:
    """One from the content, so that the same set makes the same file (but for the date in it)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, text).int}"


def _source(slide: DicomInstances) -> pydicom.Dataset:
    """Header of the finest level; what it does not state is there and empty."""
    source = pydicom.dcmread(slide.finest, stop_before_pixels=True)
    for word in _REPEATED:
        if word not in source:
            setattr(source, word, "")
    return source


def _group_labels(annotations: AnnotationSet) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Label of the group of each class, no two the same, and what had to be changed."""
    names: dict[str, str] = {}
    for label in sorted(annotations.labels(), key=lambda label: _plain(label) != label):
        plain = _plain(label)
        tried = (plain if n == 1 else f"{plain[: MAX_LABEL - 6]} ({n})" for n in count(1))
        names[label] = next(name for name in tried if name not in names.values())
    return names, tuple(
        f"the class {label!r} was written as {name!r}" for label, name in names.items() if name != label
    )


def _plain(label: str) -> str:
    """A class as far as a label can hold it."""
    text = label.encode("utf-8", "replace").decode().replace("\\", "/")
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text[:MAX_LABEL].strip() or "\ufffd"


def _written(annotation: Annotation) -> Iterator[tuple[str, np.ndarray]]:
    """Type and points of the shapes that stand for one annotation."""
    geometry = annotation.geometry
    found = ellipse_of(geometry) if annotation.kind == "ellipse" else None
    if found is not None:
        yield "ELLIPSE", _axes(found.centre, found.radii, found.angle)
    elif annotation.is_area:
        simple = simple_areas(geometry)
        is_box = annotation.kind == "rectangle" and is_upright_box(geometry)
        for piece in simple:
            yield (
                "RECTANGLE" if is_box else "POLYGON",
                _array(_box(piece) if is_box else corners(piece.exterior)),
            )
    elif annotation.kind in ("point", "points"):
        for point in points_in(geometry):
            yield "POINT", _array([point])
    else:
        for part in parts_of(geometry):
            yield "POLYLINE", _array(corners(part))


def _box(area: shapely.Geometry) -> list[tuple[float, float]]:
    left, top, right, bottom = area.bounds
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _axes(centre: tuple[float, float], radii: tuple[float, float], angle: float) -> np.ndarray:
    """Ends of the longer axis, then of the shorter one."""
    directions = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    order = sorted((0, 1), key=lambda axis: -radii[axis])
    ends = [sign * radii[axis] * directions[axis] for axis in order for sign in (-1, 1)]
    return np.array(centre) + np.array(ends)


def _array(points: list[tuple[float, float]]) -> np.ndarray:
    return np.array(points, np.float64)
