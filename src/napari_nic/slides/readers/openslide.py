"""What OpenSlide reads: MIRAX, Ventana BIF, DICOM, Hamamatsu VMS, Sakura, Zeiss, and TIFF dialects too.

OpenSlide's own functions are safe to call from several threads, and release the interpreter's lock.
"""

from __future__ import annotations

import glob
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import openslide
from PIL import Image, ImageCms

from napari_nic.errors import (
    DamagedSlideError,
    InvalidParameterError,
    OutOfBoundsError,
    SlideNotFoundError,
    UnreadableSlideError,
)
from napari_nic.geometry import RegionPx
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, PixelSizeClaim, Rgb, RgbArray, SourceInfo, composite
from napari_nic.slides.pixel_size import parse_float
from napari_nic.slides.readers.jpeg_markers import read_jpeg
from napari_nic.slides.readers.openslide_guard import (
    check_dicom_tiling,
    check_mirax,
    check_neighbours,
    check_size,
    check_tiff,
    check_vms,
)
from napari_nic.slides.readers.tiff_codecs import ycbcr_to_rgb

T = TypeVar("T")

_DEFAULT_TILE = 512  # where OpenSlide names none; it then decodes whatever lies below
_TILE_MIN, _TILE_MAX = 64, 4096  # what is outside is a strip or a whole picture, not a tile
_DICM = b"DICM", 128
_VMS = b"[Virtual Microscope Specimen]"
_SERIES_UID = re.compile(rb"\x20\x00\x0e\x00UI(..)([0-9.]+)", re.DOTALL)
_INSTANCE_UID = re.compile(rb"\x08\x00\x18\x00UI..([0-9.]+)", re.DOTALL)
_IMAGE_TYPE = re.compile(rb"\x08\x00\x08\x00CS..([A-Z0-9_\\\\ ]+)", re.DOTALL)
_HEADER_BYTES = 2**16  # the series' identifier stands among the first elements of a DICOM file
_PIXELS_WITHIN = 2**22  # of a DICOM file: its header may hold a colour profile and the place of each frame
_PHOTOMETRIC = re.compile(rb"\x28\x00\x04\x00CS..((?:RGB|YBR_)[A-Z0-9_]*)", re.DOTALL)
_FIRST_FRAME = re.compile(rb"\xe0\x7f\x10\x00O[BW].*?\xff\xd8\xff", re.DOTALL)
_IMAGE_NAMES = {"VOLUME": "", "LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}
"""Kinds of image in a DICOM slide, and what OpenSlide calls them."""

_MAX_ASSOCIATED_PIXELS = 2**27
_MOST_NAMED = 4
_COPY_AGAIN = "the file is damaged: copy it again from where it came"


class OpenSlideSource:
    """A slide that OpenSlide holds open. See :class:`~napari_nic.slides.model.SlideSource`.

    A handle on which one read failed answers every later one with the same error. So a handle of that kind
    is thrown away, and a read that failed is tried once more on one that no other thread uses.
    """

    def __init__(self, path: Path, handle: openslide.OpenSlide) -> None:
        self.path = path
        self._slide: openslide.OpenSlide | None = handle
        self._renewing = threading.Lock()
        self._downsamples = handle.level_downsamples
        properties = _properties(handle)
        shapes = [(height, width) for width, height in handle.level_dimensions]
        for level, shape in enumerate(shapes):
            check_size(*shape, _stated_tile(properties, level))
        wrong = _contradictions(path)
        self._is_ycbcr = {_IMAGE_NAMES[kind] for kind, colors in wrong.items() if colors == "ycbcr"}
        associated, notices = _associated(properties)
        self.info = SourceInfo(
            vendor=properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown"),
            levels=build_levels(shapes, [_tile(properties, level) for level in range(len(shapes))]),
            pixel_sizes=_claims(properties),
            background=_background(properties),
            icc_profile=_profile(handle),
            properties=properties,
            bounds=_bounds(properties),
            associated=associated,
            fingerprint_files=tuple(_files_of(path)),
            notices=(
                *notices,
                *([_CONTRADICTION] if "" in self._is_ycbcr else []),
                *_unused(path, len(shapes)),
            ),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Read one tile. What OpenSlide leaves transparent lies on the background."""
        frame = self.info.levels[level].tile_region(row, col)
        # OpenSlide wants level-0 pixels, and divides them by its own idea of the level's downsample.
        factor = self._downsamples[level]
        corner = round(frame.x * factor), round(frame.y * factor)
        size = frame.width, frame.height
        image = self._read(
            lambda slide: slide.read_region(corner, level, size), f"tile ({row}, {col}) of level {level}"
        )
        return self._rgb(image, "")

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        if name not in self.info.associated:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        return self._rgb(self._read(lambda slide: slide.associated_images[name], f"the {name} image"), name)

    def _rgb(self, image: Image.Image, name: str) -> RgbArray:
        pixels = np.array(image)
        if name in self._is_ycbcr:
            pixels[..., :3] = ycbcr_to_rgb(pixels[..., :3])
        return composite(pixels, self.info.background)

    def _read(self, call: Callable[[openslide.OpenSlide], T], what: str) -> T:
        handle = self._slide
        if handle is None:
            raise InvalidParameterError("the slide is closed", hint="open it again with open_slide")
        try:
            return call(handle)
        except openslide.OpenSlideError:
            pass
        with self._renewing:
            try:
                own = openslide.OpenSlide(self.path)
                pixels = call(own)
            except openslide.OpenSlideError as error:
                self._renew()
                raise DamagedSlideError(
                    f"{what} cannot be decoded", path=self.path, found=str(error), hint=_COPY_AGAIN
                ) from error
            self._slide = own  # the old one is freed when the last thread has let it go
            return pixels

    def _renew(self) -> None:
        """Take a fresh handle, so that one bad tile does not spoil the others."""
        try:
            self._slide = openslide.OpenSlide(self.path)
        except openslide.OpenSlideError:
            return  # the file itself is gone or cut off: every read says so

    def close(self) -> None:
        """Close the file."""
        handle, self._slide = self._slide, None
        if handle is not None:
            handle.close()


def open_openslide(path: Path) -> OpenSlideSource:
    """Open with OpenSlide; see :data:`~napari_nic.slides.model.OpenSource`."""
    file = _dicom_in(path) if path.is_dir() else path
    _check_before(file)
    try:
        if openslide.OpenSlide.detect_format(file) is None:
            raise UnreadableSlideError("OpenSlide does not know this kind of file")
        handle = openslide.OpenSlide(file)
    except openslide.OpenSlideError as error:
        raise _refusal(file, error) from error
    try:
        _check_dicom(file, _properties(handle))
        return OpenSlideSource(file, handle)
    except BaseException as error:
        handle.close()
        if isinstance(error, openslide.OpenSlideError | UnicodeDecodeError):
            raise _refusal(file, error) from error
        raise


def _properties(handle: openslide.OpenSlide) -> dict[str, str]:
    """Return the metadata; what OpenSlide lists and then cannot give, or is no text, is left out."""
    properties = {}
    for key in handle.properties:
        try:
            properties[key] = str(handle.properties[key])
        except (KeyError, UnicodeDecodeError):
            continue
    return properties


def _refusal(file: Path, error: Exception) -> UnreadableSlideError | SlideNotFoundError:
    if _series_uid(file) is not None and not any("VOLUME" in _image_type(other) for other in _files_of(file)):
        return _lacks_volume(file, "only a label, overview or thumbnail is here")
    return UnreadableSlideError(f"OpenSlide knows the file but cannot open it: {error}")


def _lacks_volume(file: Path, found: str) -> SlideNotFoundError:
    return SlideNotFoundError(
        f"the full-resolution image of this DICOM slide is missing: {found}",
        path=file,
        hint="copy all files of the series into one folder, and open that",
    )


def _check_dicom(file: Path, properties: Mapping[str, str]) -> None:
    """Refuse a series without its finest level, and what wsidicom tells apart and OpenSlide does not."""
    if properties.get(openslide.PROPERTY_NAME_VENDOR) != "dicom":
        return
    if properties.get("dicom.ImageType[3]") == "RESAMPLED":
        size = (
            f"{properties.get('openslide.level[0].width')} x {properties.get('openslide.level[0].height')} px"
        )
        raise _lacks_volume(file, f"the finest image that is here is a resampled one of {size}")
    for key, what in (
        ("NumberOfOpticalPaths", "optical paths"),
        ("TotalPixelMatrixFocalPlanes", "focal planes"),
    ):
        number = properties.get(f"dicom.{key}", "1").strip()
        if number not in ("", "0", "1"):
            raise UnreadableSlideError(
                f"a DICOM slide of {number} {what}, of which OpenSlide shows one by chance"
            )


def _contradictions(file: Path) -> dict[str, str]:
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
    if _series_uid(file) is None:
        return {}
    for part in _files_of(file):
        kind = next((kind for kind in _IMAGE_NAMES if kind in _image_type(part)), "VOLUME")
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


_CONTRADICTION = (
    "the DICOM header says RGB, but the JPEG frames say YCbCr: they are shown as what the frames say"
)


def _unused(file: Path, levels: int) -> list[str]:
    """Tell of files of a DICOM slide that OpenSlide passes over: it loses a damaged level in silence."""
    uid = _series_uid(file)
    if uid is None:
        return []
    files = [other for other in sorted(file.parent.iterdir()) if other.suffix.lower() == ".dcm"]
    files = [other for other in files if not other.name.startswith("._")]  # macOS's notes on a file
    lost = [other.name for other in files if _series_uid(other) is None]
    volumes = [other for other in files if _series_uid(other) == uid and "VOLUME" in _image_type(other)]
    levels_here = len({_instance_uid(other) or other.name for other in volumes})  # a copy is no other level
    notices = []
    if lost:
        notices.append(f"files beside it are no DICOM that can be read: {', '.join(lost[:_MOST_NAMED])}")
    if levels_here > levels:
        notices.append(f"of {levels_here} files of its levels {levels} can be used: some are damaged")
    return notices


def _associated(properties: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the associated images, and a notice on each that is too large to be one."""
    sizes = {}
    for key, value in properties.items():
        found = re.fullmatch(r"openslide\.associated\.(.+)\.width", key)
        if found is not None:
            height = properties.get(f"openslide.associated.{found.group(1)}.height", "0")
            sizes[found.group(1)] = int(value) * int(height)
    absurd = sorted(name for name, area in sizes.items() if not 0 < area <= _MAX_ASSOCIATED_PIXELS)
    return (
        tuple(sorted(set(sizes) - set(absurd))),
        tuple(f"the {name} image states {sizes[name]} pixels and is left out" for name in absurd),
    )


def _profile(handle: openslide.OpenSlide) -> bytes | None:
    """Return the colour profile; empty where it is damaged, which is told where profiles are applied."""
    try:
        profile = handle.color_profile
    except (OSError, ImageCms.PyCMSError):
        return b""
    return None if profile is None else profile.tobytes()


def _check_before(file: Path) -> None:
    """Check what would end the process, or never end, in OpenSlide."""
    check_tiff(file)
    _check_companions(file)
    if _series_uid(file) is not None:
        check_neighbours(file.parent)
        for part in _files_of(file):
            check_dicom_tiling(part)


def _dicom_in(folder: Path) -> Path:
    """Return a file of the one DICOM slide in a folder."""
    check_neighbours(folder)
    series: dict[bytes, Path] = {}
    for file in sorted(folder.iterdir()):
        uid = _series_uid(file)
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


def _series_uid(file: Path) -> bytes | None:
    """Return the identifier that the files of one DICOM slide share; None if it is no DICOM file."""
    header = _dicom_header(file)
    found = _SERIES_UID.search(header)
    return None if found is None else found.group(2)


def _instance_uid(file: Path) -> bytes | None:
    """Return the identifier of one picture of a slide: copies of its file share it."""
    found = _INSTANCE_UID.search(_dicom_header(file))
    return None if found is None else found.group(1)


def _image_type(file: Path) -> str:
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
        yield from sorted(other for other in file.parent.glob(f"{glob.escape(file.stem)}*") if other != file)


def _stated_tile(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    """(rows, cols) that OpenSlide names for a level, however absurd; (1, 1) where it names none."""
    height, width = (
        int(properties.get(f"openslide.level[{level}].tile-{side}", 1)) for side in ("height", "width")
    )
    return height, width


def _tile(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    sizes = [int(properties.get(f"openslide.level[{level}].tile-{side}", 0)) for side in ("height", "width")]
    if all(_TILE_MIN <= size <= _TILE_MAX for size in sizes):
        return sizes[0], sizes[1]
    return _DEFAULT_TILE, _DEFAULT_TILE


def _claims(properties: Mapping[str, str]) -> tuple[PixelSizeClaim, ...]:
    y = parse_float(properties.get(openslide.PROPERTY_NAME_MPP_Y))
    x = parse_float(properties.get(openslide.PROPERTY_NAME_MPP_X))
    if y is None and x is None:
        return ()
    y, x = (math.nan if side is None else side for side in (y, x))
    return (PixelSizeClaim(y, x, openslide.PROPERTY_NAME_MPP_X),)


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
