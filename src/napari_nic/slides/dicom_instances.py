"""What a DICOM slide calls its pictures, for what refers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_nic.errors import DamagedSlideError, SlideNotFoundError, UnreadableSlideError
from napari_nic.slides.readers.dicom_files import HEADER_ERRORS, DicomFile, is_dicom, read_series


@dataclass(frozen=True)
class DicomInstances:
    """Identifiers of a DICOM slide.

    Attributes
    ----------
    shapes : mapping of str to (int, int)
        SOP Instance UID of each level, or of a part of one, to (rows, cols) of the whole level.
    frame_of_reference : str
        UID; empty where the slide states none.
    finest : Path
        A file of the finest level.
    """

    shapes: Mapping[str, tuple[int, int]]
    frame_of_reference: str
    finest: Path

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the finest level."""
        return max(self.shapes.values(), key=lambda shape: shape[0] * shape[1])


def dicom_instances(path: Path) -> DicomInstances | None:
    """Read the headers of a slide; None if it is no DICOM slide.

    Parameters
    ----------
    path : Path
        A file or the folder of the slide.
    """
    if not (path.is_dir() or is_dicom(path)):
        return None
    try:
        levels = [file for file in read_series(path) if file.flavour == "VOLUME"]
    except (UnreadableSlideError, DamagedSlideError, SlideNotFoundError):
        return None
    shapes = {identity: file.shape for file in levels for identity in _identities(file)}
    finest = max(levels, key=lambda file: (file.shape[0] * file.shape[1], not file.is_resampled))
    return DicomInstances(shapes, str(finest.header.get("FrameOfReferenceUID", "")), finest.path)


def _identities(file: DicomFile) -> list[str]:
    """UIDs of a file, and of the whole that it is a part of."""
    words = ("SOPInstanceUID", "SOPInstanceUIDOfConcatenationSource")
    return [str(file.header[word].value) for word in words if word in file.header]


__all__ = ["HEADER_ERRORS", "DicomInstances", "dicom_instances"]
