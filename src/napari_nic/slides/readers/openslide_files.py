"""The files of a slide that OpenSlide reads: which belong together, and what DICOM headers say of them."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from napari_nic.errors import (
    SlideNotFoundError,
    UnreadableSlideError,
)
from napari_nic.slides.readers.jpeg_markers import read_jpeg
from napari_nic.slides.readers.openslide_guard import (
    check_dicom_kind,
    check_dicom_tiling,
    check_mirax,
    check_neighbours,
    check_tiff,
    check_vms,
)

_DICM = b"DICM", 128
_VMS = b"[Virtual Microscope Specimen]"
_SERIES_UID = re.compile(rb"\x20\x00\x0e\x00UI(..)([0-9.]+)", re.DOTALL)
_INSTANCE_UID = re.compile(rb"\x08\x00\x18\x00UI..([0-9.]+)", re.DOTALL)
_IMAGE_TYPE = re.compile(rb"\x08\x00\x08\x00CS..([A-Z0-9_\\\\ ]+)", re.DOTALL)
_HEADER_BYTES = 2**16  # the series' identifier stands among the first elements of a DICOM file
_PIXELS_WITHIN = 2**22  # of a DICOM file: its header may hold a colour profile and the place of each frame
_PHOTOMETRIC = re.compile(rb"\x28\x00\x04\x00CS..((?:RGB|YBR_)[A-Z0-9_]*)", re.DOTALL)
_FIRST_FRAME = re.compile(rb"\xe0\x7f\x10\x00O[BW].*?\xff\xd8\xff", re.DOTALL)
IMAGE_NAMES = {"VOLUME": "", "LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}
"""Kinds of image in a DICOM slide, and what OpenSlide calls them."""

_MOST_NAMED = 4


def color_contradictions(file: Path) -> dict[str, str]:
    """Find DICOM files whose JPEG frames say other colours than their header, which OpenSlide believes.

    Returns
    -------
    dict
        Kind of image (VOLUME, LABEL...) to what its frames are: "rgb" or "ycbcr".

    Raises
    ------
    UnreadableSlideError
        If levels of the slide differ in that: OpenSlide shows them all alike.
    """
    wrong: dict[str, set[str]] = {}
    if series_uid(file) is None:
        return {}
    for part in files_of(file):
        kind = next((kind for kind in IMAGE_NAMES if kind in image_type(part)), "VOLUME")
        wrong.setdefault(kind, set()).add(_contradiction(part))
    if any(len(said) > 1 for said in wrong.values()) or "rgb" in wrong.get("VOLUME", ()):
        raise UnreadableSlideError("the DICOM header and the frames contradict each other about colours")
    return {kind: next(iter(said)) for kind, said in wrong.items() if said != {""}}


def _contradiction(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(_PIXELS_WITHIN)
    header = _PHOTOMETRIC.search(data)
    frame = _FIRST_FRAME.search(data)
    if header is None or frame is None:
        return ""
    said = "rgb" if header.group(1).startswith(b"RGB") else "ycbcr"
    colors = read_jpeg(data[frame.end() - 3 :]).colors
    return colors if colors is not None and colors != said else ""


def unused_files(file: Path, levels: int) -> list[str]:
    """Tell of files of a DICOM slide that OpenSlide passes over: it loses a damaged level in silence."""
    uid = series_uid(file)
    if uid is None:
        return []
    files = [other for other in sorted(file.parent.iterdir()) if other.suffix.lower() == ".dcm"]
    files = [other for other in files if not other.name.startswith("._")]  # macOS's notes on a file
    lost = [other.name for other in files if series_uid(other) is None]
    volumes = [other for other in files if series_uid(other) == uid and "VOLUME" in image_type(other)]
    levels_here = len({_instance_uid(other) or other.name for other in volumes})  # a copy is no other level
    notices = []
    if lost:
        notices.append(f"files beside it are no DICOM that can be read: {', '.join(lost[:_MOST_NAMED])}")
    if levels_here > levels:
        notices.append(f"of {levels_here} files of its levels {levels} can be used: some are damaged")
    return notices


def check_before(file: Path) -> None:
    """Check what would end the process, or never end, in OpenSlide."""
    check_tiff(file)
    _check_companions(file)
    if series_uid(file) is not None:
        check_neighbours(file.parent)
        for part in files_of(file):
            check_dicom_kind(part)
            check_dicom_tiling(part)


def dicom_in(folder: Path) -> Path:
    """Return a file of the one DICOM slide in a folder."""
    check_neighbours(folder)
    series: dict[bytes, Path] = {}
    for file in sorted(folder.iterdir()):
        uid = series_uid(file)
        if uid is not None:
            series.setdefault(uid, file)
    if not series:
        raise UnreadableSlideError("the folder holds no DICOM slide")
    if len(series) > 1:
        names = ", ".join(file.name for file in series.values())
        raise UnreadableSlideError(
            f"the folder holds {len(series)} DICOM slides", hint=f"open one file of the wanted one: {names}"
        )
    return next(iter(series.values()))


def series_uid(file: Path) -> bytes | None:
    """Return the identifier that the files of one DICOM slide share; None if it is no DICOM file."""
    header = _dicom_header(file)
    found = _SERIES_UID.search(header)
    return None if found is None else found.group(2)


def _instance_uid(file: Path) -> bytes | None:
    """Return the identifier of one picture of a slide: copies of its file share it."""
    found = _INSTANCE_UID.search(_dicom_header(file))
    return None if found is None else found.group(1)


def image_type(file: Path) -> str:
    """Return a DICOM file's kind, as in ``ORIGINAL\\PRIMARY\\VOLUME\\NONE``."""
    found = _IMAGE_TYPE.search(_dicom_header(file))
    return "" if found is None else found.group(1).decode("ascii")


def _dicom_header(file: Path) -> bytes:
    if not file.is_file():
        return b""
    try:
        with file.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
    except PermissionError:
        if file.suffix.lower() == ".dcm":
            raise
        return b""  # some other file beside the slide
    magic, at = _DICM
    return header if header[at : at + len(magic)] == magic else b""


def _check_companions(file: Path) -> None:
    """Name the missing file: a MIRAX file alone is a small JPEG, a VMS file a list of others."""
    is_mirax = file.suffix.lower() == ".mrxs"
    if is_mirax:
        needed = [file.with_suffix("") / "Slidedat.ini"]
        hint = "copy the folder of the same name beside the .mrxs file"
    else:
        needed = [file.parent / name for name in _listed_in_vms(file)]
        hint = "copy all files of the slide into one folder"
    for companion in needed:
        if not companion.is_file():
            raise SlideNotFoundError(
                f"a file that belongs to this slide is missing: {companion}", path=file, hint=hint
            )
    if is_mirax:
        check_mirax(needed[0], file)
    elif needed:
        check_vms(file)


def _listed_in_vms(file: Path) -> list[str]:
    """Return the image files that a Hamamatsu VMS names."""
    with file.open("rb") as stream:
        if stream.read(len(_VMS)) != _VMS:
            return []
        text = stream.read(_HEADER_BYTES).decode("latin-1")
    return [
        name.strip() for name in re.findall(r"^(?:ImageFile|MapFile)[^=\n]*=([^\n]+)$", text, re.MULTILINE)
    ]


def files_of(file: Path) -> Iterator[Path]:
    """Yield the file and those that belong to it."""
    uid = series_uid(file)
    if uid is not None:
        yield from (other for other in sorted(file.parent.iterdir()) if series_uid(other) == uid)
        return
    yield file
    folder = file.with_suffix("")
    if file.suffix.lower() == ".mrxs":
        yield from sorted(other for other in folder.iterdir() if other.is_file())
    elif file.suffix.lower() in (".vms", ".vmu"):
        yield from sorted(other for other in file.parent.glob(f"{glob.escape(file.stem)}*") if other != file)
