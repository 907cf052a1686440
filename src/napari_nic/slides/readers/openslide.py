"""What OpenSlide reads: MIRAX, Ventana BIF, DICOM, Hamamatsu VMS, Sakura, Zeiss, and TIFF dialects too.

OpenSlide's own functions are safe to call from several threads, and release the interpreter's lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openslide

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, SlideNotFoundError, UnreadableSlideError
from napari_nic.geometry import RegionPx
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, PixelSizeClaim, Rgb, RgbArray, SourceInfo, composite
from napari_nic.slides.pixel_size import parse_float

_DEFAULT_TILE = 512  # where OpenSlide names none; it then decodes whatever lies below
_TILE_MIN, _TILE_MAX = 64, 4096  # what is outside is a strip or a whole picture, not a tile
_DICM = b"DICM", 128
_VMS = b"[Virtual Microscope Specimen]"
_SERIES_UID = re.compile(rb"\x20\x00\x0e\x00UI(..)([0-9.]+)", re.DOTALL)
_HEADER_BYTES = 2**16  # the series' identifier stands among the first elements of a DICOM file


class OpenSlideSource:
    """A slide that OpenSlide holds open. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, path: Path, handle: openslide.OpenSlide) -> None:
        self.path = path
        self._slide = handle
        self._downsamples = handle.level_downsamples
        properties = handle.properties
        shapes = [(height, width) for width, height in handle.level_dimensions]
        tiles = [_tile(properties, level) for level in range(len(shapes))]
        profile = handle.color_profile
        self.info = SourceInfo(
            vendor=properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            levels=build_levels(shapes, tiles),
            pixel_sizes=_claims(properties),
            background=_background(properties),
            icc_profile=None if profile is None else profile.tobytes(),
            properties=dict(properties),
            bounds=_bounds(properties),
            associated=tuple(handle.associated_images),
            fingerprint_files=tuple(_files_of(path)),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Read one tile. What OpenSlide leaves transparent lies on the background."""
        frame = self.info.levels[level].tile_region(row, col)
        # OpenSlide wants level-0 pixels, and divides them by its own idea of the level's downsample.
        factor = self._downsamples[level]
        corner = round(frame.x * factor), round(frame.y * factor)
        try:
            image = self._slide.read_region(corner, level, (frame.width, frame.height))
        except openslide.OpenSlideError as error:
            raise self._damaged(f"tile ({row}, {col}) of level {level}", error) from error
        return composite(np.array(image), self.info.background)

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        try:
            image = self._slide.associated_images[name]
        except KeyError:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path) from None
        except openslide.OpenSlideError as error:
            raise self._damaged(f"the {name} image", error) from error
        return composite(np.array(image), self.info.background)

    def _damaged(self, what: str, error: openslide.OpenSlideError) -> DamagedSlideError:
        return DamagedSlideError(
            f"{what} cannot be decoded",
            path=self.path,
            found=str(error),
            hint="the file is damaged: copy it again from where it came",
        )

    def close(self) -> None:
        """Close the file."""
        self._slide.close()


def open_openslide(path: Path) -> OpenSlideSource:
    """Open with OpenSlide; see :data:`~napari_nic.slides.model.OpenSource`."""
    file = _dicom_in(path) if path.is_dir() else path
    _check_companions(file)
    if openslide.OpenSlide.detect_format(file) is None:
        raise UnreadableSlideError("OpenSlide does not know this kind of file")
    try:
        return OpenSlideSource(file, openslide.OpenSlide(file))
    except openslide.OpenSlideError as error:
        raise UnreadableSlideError(f"OpenSlide knows the file but cannot open it: {error}") from error


def _dicom_in(folder: Path) -> Path:
    """Return a file of the one DICOM slide in a folder."""
    series: dict[bytes, Path] = {}
    for file in sorted(folder.iterdir()):
        uid = _series_uid(file)
        if uid is not None:
            series.setdefault(uid, file)
    if not series:
        raise UnreadableSlideError("the folder holds no DICOM slide")
    if len(series) > 1:
        names = ", ".join(file.name for file in series.values())
        raise UnreadableSlideError(f"the folder holds {len(series)} DICOM slides: open one file ({names})")
    return next(iter(series.values()))


def _series_uid(file: Path) -> bytes | None:
    """Return the identifier that the files of one DICOM slide share; None if it is no DICOM file."""
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
    magic, at = _DICM
    found = _SERIES_UID.search(header) if header[at : at + len(magic)] == magic else None
    return None if found is None else found.group(2)


def _check_companions(file: Path) -> None:
    """Name the missing file: a MIRAX file alone is a small JPEG, a VMS file a list of others."""
    if file.suffix.lower() == ".mrxs":
        folder = file.with_suffix("")
        needed = [folder / "Slidedat.ini"]
        hint = "copy the folder of the same name beside the .mrxs file"
    else:
        needed = [file.parent / name for name in _listed_in_vms(file)]
        hint = "copy all files of the slide into one folder"
    for companion in needed:
        if not companion.is_file():
            raise SlideNotFoundError(
                "a file that belongs to this slide is missing", path=file, expected=f"{companion}", hint=hint
            )


def _listed_in_vms(file: Path) -> list[str]:
    """Return the image files that a Hamamatsu VMS names."""
    with file.open("rb") as stream:
        if stream.read(len(_VMS)) != _VMS:
            return []
        text = stream.read(_HEADER_BYTES).decode("latin-1")
    return [
        name.strip() for name in re.findall(r"^(?:ImageFile|MapFile)[^=\n]*=([^\n]+)$", text, re.MULTILINE)
    ]


def _files_of(file: Path) -> Iterator[Path]:
    """Yield the file and those that belong to it."""
    uid = _series_uid(file)
    if uid is not None:
        yield from (other for other in sorted(file.parent.iterdir()) if _series_uid(other) == uid)
        return
    yield file
    folder = file.with_suffix("")
    if file.suffix.lower() == ".mrxs":
        yield from sorted(other for other in folder.iterdir() if other.is_file())
    elif file.suffix.lower() in (".vms", ".vmu"):
        yield from sorted(other for other in file.parent.glob(f"{file.stem}*") if other != file)


def _tile(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    sizes = [int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in ("height", "width")]
    if all(_TILE_MIN <= size <= _TILE_MAX for size in sizes):
        return sizes[0], sizes[1]
    return _DEFAULT_TILE, _DEFAULT_TILE


def _claims(properties: Mapping[str, str]) -> tuple[PixelSizeClaim, ...]:
    y = parse_float(properties.get(openslide.PROPERTY_NAME_MPP_Y))
    x = parse_float(properties.get(openslide.PROPERTY_NAME_MPP_X))
    return () if y is None or x is None else (PixelSizeClaim(y, x, openslide.PROPERTY_NAME_MPP_X),)


def _background(properties: Mapping[str, str]) -> Rgb:
    """Colour that the file names as RRGGBB, else white."""
    text = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "")
    if not re.fullmatch("[0-9a-fA-F]{6}", text):
        return WHITE
    red, green, blue = bytes.fromhex(text)
    return red, green, blue


def _bounds(properties: Mapping[str, Any]) -> RegionPx | None:
    names = (
        openslide.PROPERTY_NAME_BOUNDS_Y,
        openslide.PROPERTY_NAME_BOUNDS_X,
        openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
        openslide.PROPERTY_NAME_BOUNDS_WIDTH,
    )
    return (
        RegionPx(*(int(properties[name]) for name in names)) if all(n in properties for n in names) else None
    )
