"""What is checked before OpenSlide sees a file: where memory runs out OpenSlide ends the whole process.

It also opens every file in the folder of a DICOM slide, and would wait for ever at a pipe.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from napari_nic.disk import check_regular
from napari_nic.errors import DamagedSlideError, UnreadableSlideError, UnsupportedPixelsError
from napari_nic.slides.kinds import TIFF_MAGIC
from napari_nic.slides.readers.tiff_structure import MAX_BLOCK_PIXELS, check_structure

MAX_SIDE = 2**26
"""Of a level, in pixels; a slide of 8 x 8 cm at 0.05 um has 1.6 million."""

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
