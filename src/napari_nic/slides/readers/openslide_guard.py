"""What is checked before OpenSlide sees a file: where memory runs out OpenSlide ends the whole process.

It also opens every file in the folder of a DICOM slide, and would wait for ever at a pipe.
"""

from __future__ import annotations

import configparser
import math
import re
from pathlib import Path

import pydicom

from napari_nic.disk import check_regular
from napari_nic.errors import DamagedSlideError, UnreadableSlideError, UnsupportedPixelsError
from napari_nic.slides.kinds import TIFF_MAGIC
from napari_nic.slides.readers.dicom_files import HEADER_ERRORS
from napari_nic.slides.readers.tiff_structure import MAX_BLOCK_PIXELS, check_structure

MAX_SIDE = 2**26
"""Of a level, in pixels; a slide of 8 x 8 cm at 0.05 um has 1.6 million."""

_DICOM_HEADER_BYTES = 2**26
_PLACED_KINDS = ("TILED_SPARSE", "3D")
_PLACE_OF_A_FRAME = b"\x48\x00\x1e\x02"  # the tag of ColumnPositionInTotalImagePixelMatrix
_PIXELS = b"\xe0\x7f\x10\x00"
_TILING_TAGS = (
    *("ImageType", "DimensionOrganizationType", "NumberOfFrames", "ConcatenationUID", "Rows", "Columns"),
    *("TotalPixelMatrixRows", "TotalPixelMatrixColumns"),
    *("NumberOfOpticalPaths", "TotalPixelMatrixFocalPlanes"),
)

_KIND = re.compile("[A-Za-z0-9 _.-]*")
"""Of the standard's letters for words, and those that careless writers put there."""

_MAX_MIRAX_IMAGES = 2**25
_MAX_VMS_PARTS = 4096


def check_size(height: int, width: int, tile: tuple[int, int]) -> None:
    """Refuse a level or a tile whose size cannot be meant.

    Raises
    ------
    UnsupportedPixelsError
        Which no other reader may take either.
    """
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise UnsupportedPixelsError(f"a picture of {width} x {height} px, which cannot be")
    if not (0 < tile[0] * tile[1] <= MAX_BLOCK_PIXELS):
        raise UnsupportedPixelsError(
            f"tiles of {tile[1]} x {tile[0]} px, decoded at once; the limit is {MAX_BLOCK_PIXELS} px"
        )


# -- TIFF ------------------------------------------------------------------------------------------------


def check_tiff(path: Path) -> None:
    """Check the directories of a file that is a TIFF, as :func:`check_structure` does."""
    with path.open("rb") as stream:
        is_tiff = stream.read(4) in TIFF_MAGIC
    if is_tiff:
        check_structure(path)


# -- DICOM -----------------------------------------------------------------------------------------------


def check_dicom_tiling(path: Path) -> None:
    """Refuse a DICOM file whose header does not give each of its frames a place in the picture.

    Where the table of places is missing, libdicom ends the process; tiles that it does not list would be
    shown as glass, and of a width or height that is wrong a part of the slide would be shown as the whole.

    Raises
    ------
    DamagedSlideError
    """
    with path.open("rb") as stream:
        start = stream.read(_DICOM_HEADER_BYTES)
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TILING_TAGS))
        frames = int(header.get("NumberOfFrames") or 1)
        wanted, places = _tiles_of(header), start.count(_PLACE_OF_A_FRAME)
    except (*HEADER_ERRORS, TypeError, ZeroDivisionError):
        return  # what cannot be read is told by those who read it
    kind = str(header.get("DimensionOrganizationType", ""))
    is_whole = _PIXELS in start  # a table that is longer than what was read has its beginning in it
    if kind in _PLACED_KINDS and places < (frames if is_whole else 1):
        _refuse_tiling(path, f"places of {frames} tiles", str(places))
    is_level = "VOLUME" in [str(value) for value in header.get("ImageType") or ()]
    if kind == "TILED_FULL" and is_level and "ConcatenationUID" not in header and frames != wanted:
        _refuse_tiling(path, f"{wanted} tiles, for its size", str(frames))


def check_dicom_kind(path: Path) -> None:
    """Refuse a DICOM file whose header does not say what picture it is in letters that are meant for that.

    OpenSlide reads up to the first zero: a reduced level whose kind is damaged would be the whole slide.

    Raises
    ------
    DamagedSlideError
    """
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ImageType"])
        kind = [str(value) for value in header.get("ImageType") or ()]
    except HEADER_ERRORS:
        return  # what cannot be read is told by those who read it
    if not all(_KIND.fullmatch(value) for value in kind):
        raise DamagedSlideError(
            "the DICOM header does not say what picture this is",
            path=path,
            expected="words such as VOLUME and RESAMPLED",
            found=", ".join(map(repr, kind)),
            hint="the file is damaged: copy it again from where it came",
        )


def _tiles_of(header: pydicom.Dataset) -> int:
    """Return how many frames a picture has that is tiled without gaps."""
    rows = -(-int(header.TotalPixelMatrixRows) // int(header.Rows))
    cols = -(-int(header.TotalPixelMatrixColumns) // int(header.Columns))
    layers = (int(header.get(name) or 1) for name in ("NumberOfOpticalPaths", "TotalPixelMatrixFocalPlanes"))
    return rows * cols * math.prod(layers)


def _refuse_tiling(path: Path, expected: str, found: str) -> None:
    raise DamagedSlideError(
        "the DICOM header does not say where its tiles lie",
        path=path,
        expected=expected,
        found=found,
        hint="the file is damaged: copy it again from where it came",
    )


# -- lists of files ----------------------------------------------------------------------------------------


def check_neighbours(folder: Path) -> None:
    """Refuse a folder that holds a pipe or a device: OpenSlide opens all that lies beside a DICOM file."""
    for entry in folder.iterdir():
        check_regular(entry, UnreadableSlideError)


def check_mirax(ini: Path, slide: Path) -> None:
    """Check the index of a MIRAX slide: that it is whole, and its numbers can be meant.

    Raises
    ------
    DamagedSlideError
        If it is cut off or says what cannot be.
    UnsupportedPixelsError
        If it is of fluorescence, of which OpenSlide would show three filters as red, green and blue.
    """
    check_regular(ini, UnreadableSlideError)
    parser = read_ini(ini, slide)
    if parser.get("GENERAL", "SLIDE_TYPE", fallback="").strip().upper().endswith("FLUORESCENCE"):
        raise UnsupportedPixelsError(
            "a MIRAX slide of fluorescence: its filters are separate channels, no RGB picture",
            path=slide,
            hint="convert it to OME-TIFF, for instance with bioformats2raw, and choose with --channels",
        )
    try:
        columns, rows = (int(parser["GENERAL"][f"IMAGENUMBER_{axis}"]) for axis in "XY")
        files = int(parser["DATAFILE"]["FILE_COUNT"])
        names = [parser["HIERARCHICAL"]["INDEXFILE"]]
        names += [parser["DATAFILE"][f"FILE_{number}"] for number in range(min(files, _MAX_VMS_PARTS))]
    except (KeyError, ValueError) as error:
        raise _damaged_index(slide, ini, f"{error} is missing or no number") from error
    if not (columns > 0 and rows > 0 and columns * rows <= _MAX_MIRAX_IMAGES and files <= _MAX_VMS_PARTS):
        raise _damaged_index(slide, ini, f"{columns} x {rows} pictures in {files} files")
    for name in names:
        companion = ini.parent / name
        check_regular(companion, UnreadableSlideError)
        if not companion.is_file() or companion.stat().st_size == 0:
            raise DamagedSlideError(
                f"the slide is not complete: {companion.parent.name}/{name} is missing or empty",
                path=slide,
                hint="copy the whole folder of the slide again",
            )


def _damaged_index(slide: Path, ini: Path, found: str) -> DamagedSlideError:
    return DamagedSlideError(
        f"the slide's index {ini.parent.name}/{ini.name} is damaged: {found}",
        path=slide,
        hint="copy the whole folder of the slide again",
    )


def read_ini(ini: Path, slide: Path) -> configparser.ConfigParser:
    """Read a list of keys as slides hold them.

    Raises
    ------
    DamagedSlideError
        If it is none.
    """
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=()
    )
    try:
        parser.read_string(ini.read_bytes()[: 2**26].decode("utf-8-sig", "replace"))
    except configparser.Error as error:
        raise _damaged_index(slide, ini, str(error).splitlines()[0]) from error
    return parser


def check_vms(path: Path) -> None:
    """Check the numbers and companions of a Hamamatsu VMS list.

    Raises
    ------
    DamagedSlideError
        If a number cannot be meant.
    """
    parser = read_ini(path, path)
    for section in parser.sections():
        for key in ("NoJpegColumns", "NoJpegRows", "NoLayers"):
            text = parser[section].get(key, "1").strip()
            if not (text.isdecimal() and 0 < int(text[:9]) <= _MAX_VMS_PARTS):
                raise DamagedSlideError(
                    f"the list of its files says {key}={text[:20]}",
                    path=path,
                    hint="copy the whole slide again",
                )
