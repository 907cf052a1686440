"""What OpenSlide reads: MIRAX, Ventana BIF, DICOM, Hamamatsu VMS, Sakura, Zeiss, and TIFF dialects too.

OpenSlide's own functions are safe to call from several threads, and release the interpreter's lock.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
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
from napari_nic.slides.readers.openslide_files import (
    IMAGE_NAMES,
    check_before,
    color_contradictions,
    dicom_in,
    files_of,
    image_type,
    series_uid,
    unused_files,
)
from napari_nic.slides.readers.openslide_guard import (
    check_size,
)
from napari_nic.slides.readers.tiff_codecs import ycbcr_to_rgb

T = TypeVar("T")

_DEFAULT_TILE = 512  # where OpenSlide names none; it then decodes whatever lies below
_TILE_MIN, _TILE_MAX = 64, 4096  # what is outside is a strip or a whole picture, not a tile

_MAX_ASSOCIATED_PIXELS = 2**27
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
        wrong = color_contradictions(path)
        self._is_ycbcr = {IMAGE_NAMES[kind] for kind, colors in wrong.items() if colors == "ycbcr"}
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
            fingerprint_files=tuple(files_of(path)),
            notices=(
                *notices,
                *([_CONTRADICTION] if "" in self._is_ycbcr else []),
                *unused_files(path, len(shapes)),
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
    file = dicom_in(path) if path.is_dir() else path
    check_before(file)
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
    if series_uid(file) is not None and not any("VOLUME" in image_type(other) for other in files_of(file)):
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


_CONTRADICTION = (
    "the DICOM header says RGB, but the JPEG frames say YCbCr: they are shown as what the frames say"
)


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
