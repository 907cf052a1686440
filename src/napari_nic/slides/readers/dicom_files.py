"""The files of one DICOM slide: found, told apart, and checked to be all there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from napari_nic.errors import DamagedSlideError, NicError, SlideNotFoundError, UnreadableSlideError

SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
_MAGIC, _MAGIC_AT = b"DICM", 128
_FLAVOURS = ("VOLUME", "LABEL", "OVERVIEW", "THUMBNAIL")
_RESAMPLED = "RESAMPLED"
_HEADER_BYTES = 2**16  # the series' identifier stands among the first elements

HEADER_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    struct.error,
    RecursionError,
)
"""What pydicom raises on headers that are cut off or senseless."""

_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SOPInstanceUIDOfConcatenationSource",
    "ImageType",
    "Manufacturer",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "TotalPixelMatrixRows",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixFocalPlanes",
    "NumberOfOpticalPaths",
    "DimensionOrganizationType",
    "ImagedVolumeWidth",
    "ImagedVolumeHeight",
    "OpticalPathSequence",
    "SharedFunctionalGroupsSequence",
    "ConcatenationUID",
    "InConcatenationNumber",
    "InConcatenationTotalNumber",
]


@dataclass(frozen=True)
class DicomFile:
    """A file and its header, without pixels and without the table of frames."""

    path: Path
    header: pydicom.Dataset
    syntax: pydicom.uid.UID

    @property
    def flavour(self) -> str:
        """``"VOLUME"`` for levels, else LABEL, OVERVIEW or THUMBNAIL; "" for no picture of a slide."""
        kind = [str(value) for value in self.header.get("ImageType", [])]
        return next((name for name in _FLAVOURS if name in kind[2:3]), "")

    @property
    def is_resampled(self) -> bool:
        """Whether it is a reduced copy of another level."""
        return _RESAMPLED in [str(value) for value in self.header.get("ImageType", [])]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the whole picture."""
        return int(self.header.TotalPixelMatrixRows), int(self.header.TotalPixelMatrixColumns)


def is_dicom(path: Path) -> bool:
    """Whether a path is a DICOM file."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC


def read_series(path: Path) -> list[DicomFile]:
    """Return the files of the DICOM slide that a file belongs to, or of the only one in a folder.

    Raises
    ------
    UnreadableSlideError
        If there is no DICOM slide, or there are several.
    DamagedSlideError
        If a file's header cannot be read, or parts of a file that was split are missing.
    SlideNotFoundError
        If its full-resolution picture is missing.
    """
    files = list(_read_all(path))
    series = {str(file.header.get("SeriesInstanceUID", "")): file for file in reversed(files)}
    if path.is_file():
        own = next((file for file in files if file.path == path), None)
        if own is None:
            raise UnreadableSlideError("a DICOM file, but not one of a slide")
        uid = str(own.header.get("SeriesInstanceUID", ""))
    elif len(series) == 1:
        uid = next(iter(series))
    elif not series:
        raise UnreadableSlideError("the folder holds no DICOM slide")
    else:
        names = ", ".join(sorted(file.path.name for file in series.values()))
        raise UnreadableSlideError(
            f"the folder holds {len(series)} DICOM slides", hint=f"open one file ({names})"
        )
    found = [file for file in files if str(file.header.get("SeriesInstanceUID", "")) == uid]
    try:
        _check_whole(found, path)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, NicError):
            raise
        raise DamagedSlideError(
            "the DICOM header holds senseless values",
            path=path,
            found=str(error),
            hint="the file is damaged: copy it again from where it came",
        ) from error
    return found


def _read_all(path: Path) -> Iterator[DicomFile]:
    mark = b""
    for file in sorted(path.iterdir()) if path.is_dir() else _beside(path):
        if not is_dicom(file) or not _holds(file, mark):
            continue
        try:
            header = _read_header(file)
        except DamagedSlideError:
            if file == path:
                raise
            continue  # a stranger, or a level that others do without; what may not be lost is checked
        if file == path:
            mark = str(header.get("SeriesInstanceUID", "")).encode()
        if str(header.get("SOPClassUID", SLIDE_CLASS)) == SLIDE_CLASS:
            syntax = header.file_meta.get("TransferSyntaxUID", pydicom.uid.UID(""))
            yield DicomFile(file, header, syntax)


def _holds(file: Path, mark: bytes) -> bool:
    """Whether the first part of a file holds the series' identifier: a folder may be full of other slides."""
    if not mark:
        return True
    with file.open("rb") as stream:
        return mark in stream.read(_HEADER_BYTES)


def _beside(path: Path) -> list[Path]:
    """The file, then its neighbours."""
    return [path, *(file for file in sorted(path.parent.iterdir()) if file != path)]


def _read_header(file: Path) -> pydicom.Dataset:
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        _ = [header[tag].value for tag in _TAGS if tag in header]  # values are read when they are asked for
    except HEADER_ERRORS as error:
        raise DamagedSlideError(
            "the DICOM header cannot be read",
            path=file,
            found=str(error),
            hint="the file was cut off or damaged: copy it again",
        ) from error
    return header


def _check_whole(files: list[DicomFile], path: Path) -> None:
    volumes = [file for file in files if file.flavour == "VOLUME"]
    if not volumes:
        kinds = ", ".join(sorted({file.flavour.lower() or "another picture" for file in files}))
        raise SlideNotFoundError(
            f"only the {kinds} of a DICOM slide, not the slide itself",
            path=path,
            hint="copy all files of the slide into one folder",
        )
    _check_sizes(volumes)
    if all(file.is_resampled for file in volumes):
        rows, cols = max(file.shape for file in volumes)
        raise SlideNotFoundError(
            "the full-resolution image of this DICOM slide is missing (the finest here is a resampled one of "
            f"{cols} x {rows} px)",
            path=path,
            hint="copy all files of the slide into one folder",
        )
    parts: dict[str, list[DicomFile]] = {}
    for file in files:
        if "ConcatenationUID" in file.header:
            parts.setdefault(str(file.header.ConcatenationUID), []).append(file)
    for several in parts.values():
        total = several[0].header.get("InConcatenationTotalNumber")
        numbers = {int(file.header.get("InConcatenationNumber", 0)) for file in several}
        wanted = set(range(1, int(total or max(numbers)) + 1))
        if numbers != wanted or len(several) != len(numbers):
            raise DamagedSlideError(
                "a picture of this DICOM slide was split into parts, and not all are here",
                path=several[0].path,
                expected=f"parts 1 to {max(wanted)}",
                found=f"parts {', '.join(str(number) for number in sorted(numbers))}",
                hint="copy all files of the slide into one folder",
            )


def _check_sizes(volumes: list[DicomFile]) -> None:
    for file in volumes:
        try:
            sides = (*file.shape, int(file.header.Rows), int(file.header.Columns))
            fits = min(sides) > 0
        except (AttributeError, TypeError, ValueError):
            fits = False
        if not fits:
            raise DamagedSlideError(
                "the DICOM header does not state the size of picture and tiles",
                path=file.path,
                hint="the file is damaged: copy it again from where it came",
            )
