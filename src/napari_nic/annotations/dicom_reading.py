"""DICOM's annotations, read; see :mod:`~napari_nic.annotations.dicom_format`."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import shapely

from napari_nic.annotations.building import BadShapeError, Drawn, build_set
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import extra_of
from napari_nic.annotations.ellipses import ellipse
from napari_nic.annotations.kinds import is_upright_box
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.scaling import pair
from napari_nic.colors import RGB
from napari_nic.errors import AnnotationError
from napari_nic.extras import require
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import DICOM_ANNOTATIONS_CLASS
from napari_nic.slides.dicom_instances import HEADER_ERRORS, DicomInstances
from napari_nic.wording import counted

WHAT = "annotations in DICOM"

MAX_BYTES = 2**30
"""A file is held in memory whole."""

_POINTS = {"POINT": 1, "RECTANGLE": 4, "ELLIPSE": 4}
"""Points of a shape, of kinds that have the same number each."""


for _name in ("highdicom", "pydicom"):  # what they note is for programmers
    logging.getLogger(_name).addHandler(logging.NullHandler())


@contextmanager
def unwarned() -> Iterator[None]:
    """Let pydicom not complain of values that are odd but harmless, of slides and of annotations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_on(slide: DicomInstances, path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    """Read the annotations of a slide, with checkpoints of `token`, in pixels of its finest level.

    Raises
    ------
    AnnotationError
        If the file is damaged, of another slide, or counts in something else than pixels; names the group.
    MissingDependencyError
        If highdicom is not installed.
    """
    require("highdicom", WHAT)
    with unwarned():
        drawn, colors = _drawn_on(slide, _document(path), path, token)
    return build_set(drawn, path, colors=colors, token=token)


def _drawn_on(
    slide: DicomInstances, document: pydicom.Dataset, path: Path, token: CancellationToken | None
) -> tuple[list[Drawn], dict[str, RGB]]:
    """Shapes of all groups, and the colours of their classes."""
    drawn: list[Drawn] = []
    colors: dict[str, RGB] = {}
    try:
        scale = _scale(document, slide, path)
        groups = list(document.get("AnnotationGroupSequence", None) or [])
    except HEADER_ERRORS as error:
        if isinstance(error, AnnotationError):
            raise
        raise _damaged(path, error) from error
    for number, group in enumerate(groups, 1):
        try:
            shapes = list(_shapes(group, f"group {number}", scale, token))
            label, color = _label(group), _color(group)
        except HEADER_ERRORS as error:  # a BadShapeError is among them
            shapes = [Drawn(f"group {number}", UNCLASSIFIED, "polygon", [], damage=str(error)[:200])]
            label, color = UNCLASSIFIED, None
        for shape in shapes:
            shape.label = label
        drawn += shapes
        if color is not None and label != UNCLASSIFIED:
            colors.setdefault(label, color)
    return drawn, colors


def _document(path: Path) -> pydicom.Dataset:
    if path.stat().st_size > MAX_BYTES:
        raise AnnotationError(
            "the file is too large for annotations", path=path, expected=f"at most {MAX_BYTES:,} bytes"
        )
    try:
        # From memory no more is read than there is, whatever length a damaged element states.
        document = pydicom.dcmread(BytesIO(path.read_bytes()))
        kind = str(document.get("SOPClassUID", ""))
    except HEADER_ERRORS as error:
        raise _damaged(path, error) from error
    if kind != DICOM_ANNOTATIONS_CLASS:
        raise AnnotationError(
            "this DICOM file holds no annotations",
            path=path,
            expected="Microscopy Bulk Simple Annotations",
            found=pydicom.uid.UID(kind).name,
        )
    return document


def _damaged(path: Path, error: Exception) -> AnnotationError:
    return AnnotationError("the annotation file is damaged", path=path, found=str(error)[:200])


def _scale(document: pydicom.Dataset, slide: DicomInstances, path: Path) -> np.ndarray:
    """Pixels of the finest level that one of the file's pixels is wide and high, (x, y)."""
    _check_counting(document, path)
    frame = str(document.get("FrameOfReferenceUID", ""))
    referred = _referred(document)
    shape = next((slide.shapes[identity] for identity in referred if identity in slide.shapes), None)
    if shape is None or (frame and slide.frame_of_reference and frame != slide.frame_of_reference):
        raise AnnotationError(
            "the annotations belong to another slide",
            path=path,
            expected=f"annotations of a picture of {slide.finest.parent.name}",
            found=f"annotations of {', '.join(referred[:3]) or 'no picture at all'}"
            if shape is None
            else f"annotations in the frame {frame}, not {slide.frame_of_reference}",
            hint="open them on the slide that they were drawn on",
        )
    return np.array(slide.shape[::-1], np.float64) / np.array(shape[::-1])


def _check_counting(document: pydicom.Dataset, path: Path) -> None:
    kind = str(document.get("AnnotationCoordinateType", ""))
    origin = str(document.get("PixelOriginInterpretation", "VOLUME"))
    if kind != "2D" or origin != "VOLUME":
        raise AnnotationError(
            "the annotations do not count in pixels of the whole picture",
            path=path,
            expected="coordinates of the total pixel matrix (2D, VOLUME)",
            found=f"{kind[:20] or 'nothing said'}, {origin[:20]}",
            hint="export them with 2D coordinates",
        )


def _referred(document: pydicom.Dataset) -> list[str]:
    """UIDs of the pictures that a file refers to."""
    items = list(document.get("ReferencedImageSequence", None) or [])
    for series in document.get("ReferencedSeriesSequence", None) or []:
        items += series.get("ReferencedInstanceSequence", None) or []
    return list(dict.fromkeys(str(item.get("ReferencedSOPInstanceUID", "")) for item in items))


def _label(group: pydicom.Dataset) -> str:
    label = str(group.get("AnnotationGroupLabel", "")).strip()
    if not label and "AnnotationPropertyTypeCodeSequence" in group:
        label = str(group.AnnotationPropertyTypeCodeSequence[0].get("CodeMeaning", "")).strip()
    return label or UNCLASSIFIED


def _color(group: pydicom.Dataset) -> RGB | None:
    stated = group.get("RecommendedDisplayCIELabValue")
    if stated is None or len(stated) != len(("L", "a", "b")):
        return None
    color = require("highdicom.color", WHAT).CIELabColor.from_dicom_value([int(value) for value in stated])
    red, green, blue = color.to_rgb(clip=True)
    return red, green, blue


def _shapes(
    group: pydicom.Dataset, where: str, scale: np.ndarray, token: CancellationToken | None
) -> Iterator[Drawn]:
    kind = str(group.get("GraphicType", ""))
    measured = _measurements(group)
    for number, points in enumerate(checked(_split(group, kind), token)):
        own = f"{where}, annotation {number + 1}"
        shape = _drawn(kind, points * scale, own)
        if number in measured:
            shape.extra = extra_of(measured[number])
        yield shape


def _split(group: pydicom.Dataset, kind: str) -> list[np.ndarray]:
    """Points of each shape of a group, (n, 2)."""
    if "DoublePointCoordinatesData" in group:
        values = np.frombuffer(group.DoublePointCoordinatesData, "<f8")
    else:
        values = np.frombuffer(group.get("PointCoordinatesData", b""), "<f4").astype(np.float64)
    if len(values) % 2:
        raise BadShapeError("an odd number of coordinates")
    points = values.reshape(-1, 2)
    each = _POINTS.get(kind)
    if each is not None:
        if len(points) % each:
            raise BadShapeError(f"{counted(len(points), 'point')}, which make no {kind.lower()}s")
        return list(points.reshape(-1, each, 2))
    if kind not in ("POLYGON", "POLYLINE"):
        raise BadShapeError(f"shapes of unknown type {kind[:40]!r}")
    starts = np.frombuffer(group.get("LongPrimitivePointIndexList", b""), "<i4").astype(np.int64) - 1
    if len(points) == 0 and len(starts) == 0:
        return []
    rises = len(starts) > 0 and starts[0] == 0 and (np.diff(starts) > 0).all() and starts[-1] < len(values)
    if not rises or (starts % 2).any():
        raise BadShapeError("a list of beginnings that does not fit its coordinates")
    return np.split(points, starts[1:] // 2)


def _drawn(kind: str, points: np.ndarray, where: str) -> Drawn:
    if kind == "POINT":
        return Drawn(where, "", "point", points.tolist())
    if kind == "POLYLINE":
        return Drawn(where, "", "line", [points])
    if kind == "ELLIPSE":
        return Drawn(where, "", "ellipse", [[_ellipse(points)]])
    if kind == "RECTANGLE" and is_upright_box(shapely.Polygon(points)):
        return Drawn(where, "", "rectangle", [[points]])
    return Drawn(where, "", "polygon", [[points]])


def _ellipse(ends: np.ndarray) -> list[tuple[float, float]]:
    """Draw an ellipse, given by the ends of its longer axis and of its shorter one."""
    centre, along, across = ends.mean(axis=0), (ends[1] - ends[0]) / 2, (ends[3] - ends[2]) / 2
    radii = math.hypot(*along), math.hypot(*across)
    return ellipse(pair(centre), radii, math.atan2(along[1], along[0]))


def _measurements(group: pydicom.Dataset) -> dict[int, dict[str, float]]:
    """Measurements by number of the shape, from 0; the unit is a part of the name."""
    found: dict[int, dict[str, float]] = {}
    for item in group.get("MeasurementsSequence", None) or []:
        name = str(item.ConceptNameCodeSequence[0].get("CodeMeaning", ""))
        unit = str(item.MeasurementUnitsCodeSequence[0].get("CodeValue", ""))
        name = f"{name} {unit}" if unit not in ("", "1", "{counts}") else name
        values = item.MeasurementValuesSequence[0]
        numbers = np.frombuffer(values.FloatingPointValues, "<f4")
        places = values.get("AnnotationIndexList")
        indices = np.arange(len(numbers)) if places is None else np.frombuffer(places, "<i4") - 1
        for index, number in zip(indices.tolist(), numbers.tolist(), strict=True):
            found.setdefault(index, {})[name] = number
    return found
