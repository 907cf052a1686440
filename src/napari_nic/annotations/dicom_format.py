"""DICOM's Microscopy Bulk Simple Annotations, both ways: of DICOM slides, in pixels; needs highdicom.

A group of one kind of shape is a class; its label is the class's name. Files refer to a picture of their
slide, and are read on that slide alone. There are no holes, no shapes of several parts, no names and ids of
single shapes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_nic.annotations.carrying import WITHOUT
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.registry import AnnotationFormat
from napari_nic.annotations.slide_extent import OF_DICOM, SlideExtent
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken
from napari_nic.names import ANNOTATION_SUFFIXES, DICOM_ANNOTATIONS_CLASS

_MAGIC, _MAGIC_AT = b"DICM", 128


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is one of annotations."""
    return head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC and DICOM_ANNOTATIONS_CLASS.encode() in head


def read(path: Path, _token: CancellationToken | None = None) -> AnnotationSet:
    """Refuse a file without its slide; see ``dicom_reading``."""
    raise AnnotationError("annotations in DICOM have no place without their slide", path=path)


def write(
    _annotations: AnnotationSet, path: Path, _token: CancellationToken | None = None
) -> tuple[str, ...]:
    """Refuse to write for no slide; see ``dicom_writing``."""
    raise AnnotationError("annotations in DICOM are written for a DICOM slide", path=path)


def on_slide(chosen: AnnotationFormat, extent: SlideExtent, path: Path) -> AnnotationFormat:
    """Return the format for one slide.

    Raises
    ------
    AnnotationError
        If it is no DICOM slide, or not at hand.
    """
    from napari_nic.annotations.dicom_reading import read_on, unwarned
    from napari_nic.annotations.dicom_writing import write_on
    from napari_nic.slides.dicom_instances import dicom_instances

    with unwarned():
        found = None if extent.path is None else dicom_instances(extent.path)
    if found is None:
        raise AnnotationError(
            "annotations in DICOM refer to a DICOM slide",
            path=path,
            expected="a DICOM slide to lay them on",
            found=extent.name or "another slide",
            hint="open its DICOM files; for other slides choose another format",
        )
    return replace(chosen, read=partial(read_on, found), write=partial(write_on, found))


FORMAT = AnnotationFormat(
    "DICOM ANN",
    ANNOTATION_SUFFIXES["dicom"],
    recognises,
    read,
    write,
    instead={
        "holes": "cut into pieces that have none",
        "areas of several parts": "written as separate ones",
        "splines": "written as polygons",
        "lines of several parts": "written as separate ones",
        "arrows": "written as lines",
        "measured lines": "written as lines",
        "point sets": "written as single points",
        "names": WITHOUT,
        "ids": WITHOUT,
        "measurements": WITHOUT,
        "further details": WITHOUT,
    },
    unit=OF_DICOM,
    on_slide=on_slide,
)
