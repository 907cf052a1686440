"""Large pictures that can only be decoded whole: PNG and JPEG."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from napari_nic.errors import DamagedSlideError, NicError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.contrast import camera_bits, tell_bits
from napari_nic.slides.memory import free_memory
from napari_nic.slides.model import WHITE, Level, PixelSizeClaim, RgbArray, SourceInfo, to_rgb
from napari_nic.slides.readers.codestreams import read_jpeg_header
from napari_nic.slides.readers.jpeg_short import is_short
from napari_nic.slides.readers.picture_files import (
    UM_PER_CM,
    UM_PER_INCH,
    PngFacts,
    check_jpeg,
    check_png,
    read_jpeg,
    read_png,
)
from napari_nic.slides.readers.png_deep import colors_of, decode_deep

TILE = 512
MAX_PIXELS = 2**30
"""Pictures larger than this (3.2 GB decoded) are refused. Pillow's own guard stands at 0.18 gigapixels, which
is small for a slide; a PNG that is a bomb of compressed nothing is bounded by this one instead."""

BYTES_PER_PIXEL = 9
"""While a picture is decoded: Pillow's four bytes, the array's three, and alpha on its way."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_DAMAGED = (OSError, ValueError, SyntaxError, RuntimeError, KeyError, IndexError, OverflowError, EOFError)
_COPY_AGAIN = "the file is damaged: copy it again from where it came"
_TILES_HINT = "convert it to a tiled TIFF, for instance with: vips tiffsave IN OUT.tif --tile --pyramid"
_PLAIN_GAMMA = 0.45455
_GAMMA_NEAR = 0.02
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 274, 282, 283, 296
_TURNS: dict[int, tuple[Image.Transpose, ...]] = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_LYING = (5, 6, 7, 8)
_UPRIGHT: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: lambda samples: samples[:, ::-1],
    3: lambda samples: samples[::-1, ::-1],
    4: lambda samples: samples[::-1],
    5: lambda samples: samples.swapaxes(0, 1),
    6: lambda samples: samples[::-1].swapaxes(0, 1),
    7: lambda samples: samples[::-1, ::-1].swapaxes(0, 1),
    8: lambda samples: samples[:, ::-1].swapaxes(0, 1),
}


@dataclass(frozen=True)
class _Picture:
    """What a header says, and how to decode the rest."""

    height: int
    width: int
    kind: str
    decode: Callable[[], npt.NDArray[Any]]
    pixel_sizes: tuple[PixelSizeClaim, ...]
    icc_profile: bytes | None
    notices: tuple[str, ...] = ()


class PlainSource:
    """A picture that is decoded whole when its first pixel is asked for, and then held in memory.

    Its one level is offered in tiles of 512 px; coarser levels come from
    :class:`~napari_nic.slides.coarse.CoarserLevels`.
    """

    def __init__(self, path: Path, picture: _Picture) -> None:
        self.path = path
        self._picture = picture
        self._pixels: RgbArray | None = None
        self._lock = threading.Lock()
        self.info = SourceInfo(
            vendor=picture.kind,
            levels=(Level(picture.height, picture.width, tile=(TILE, TILE)),),
            pixel_sizes=picture.pixel_sizes,
            background=WHITE,
            icc_profile=picture.icc_profile,
            fingerprint_files=(path,),
            notices=picture.notices,
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Cut a tile out of the decoded picture."""
        return self._decoded()[self.info.levels[level].tile_region(row, col).slices].copy()

    def _decoded(self) -> RgbArray:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
            return self._pixels

    def _decode(self) -> RgbArray:
        level = self.info.levels[0]
        _check_memory(self.path, level.height, level.width)
        try:
            pixels = to_rgb(self._picture.decode(), self.info.background)
        except NicError:
            raise
        except _DAMAGED as error:
            raise DamagedSlideError(
                "the picture cannot be decoded",
                path=self.path,
                found=str(error),
                hint=_COPY_AGAIN,
            ) from error
        except MemoryError as error:
            raise _too_large(self.path, level.height, level.width) from error
        if pixels.shape[:2] != level.shape:
            raise DamagedSlideError(
                "the picture is not of the size that its header states",
                path=self.path,
                expected=f"{level.shape}",
                found=f"{pixels.shape[:2]}",
            )
        return pixels

    def read_associated(self, name: str) -> RgbArray:
        """A plain picture has no associated images."""
        raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)

    def close(self) -> None:
        """Let the decoded picture go."""
        with self._lock:
            self._pixels = None


def open_plain(path: Path) -> PlainSource:
    """Open a plain picture; see :data:`~napari_nic.slides.model.OpenSource`."""
    if path.is_dir():
        raise UnreadableSlideError("a folder, not a picture")
    try:
        picture = _read_picture(path)
    except NicError:
        raise
    except (*_DAMAGED, UnidentifiedImageError) as error:
        raise UnreadableSlideError(f"the picture's header cannot be read: {error}") from error
    if picture.height * picture.width > MAX_PIXELS:
        raise UnreadableSlideError(
            f"{picture.height} x {picture.width} px must be decoded whole; the limit is {MAX_PIXELS} px",
            hint=_TILES_HINT,
        )
    _check_memory(path, picture.height, picture.width)
    return PlainSource(path, picture)


def _check_memory(path: Path, height: int, width: int) -> None:
    free = free_memory()
    if free is not None and height * width * BYTES_PER_PIXEL > free:
        raise _too_large(path, height, width)


def _too_large(path: Path, height: int, width: int) -> UnreadableSlideError:
    needed = height * width * BYTES_PER_PIXEL / 1e9
    return UnreadableSlideError(
        f"{height} x {width} px must be decoded whole, for which {needed:.1f} GB of memory are not free",
        path=path,
        hint=_TILES_HINT,
    )


def _read_picture(path: Path) -> _Picture:
    with path.open("rb") as stream:
        head = stream.read(len(_PNG))
    if head == _PNG:
        return _read_png_picture(path)
    if head.startswith(_JPEG):
        return _read_jpeg_picture(path)
    raise UnreadableSlideError(f"neither PNG nor JPEG: it starts with {head[:4]!r}")


# Pillow's guard against decompression bombs sits in ``Image.open``, and is one setting for the whole process.
# It is not touched: the formats' own classes are called, and MAX_PIXELS and the free memory guard instead.


def _read_png_picture(path: Path) -> _Picture:
    facts = read_png(path)
    with PngImageFile(path) as image:
        turn, profile = _orientation(image), image.info.get("icc_profile")

    bits, depth_notices = _png_depth(path, facts)

    def decode() -> npt.NDArray[Any]:
        check_png(path)
        if bits < 16:
            return _deep_samples(path, facts, bits, turn)
        with PngImageFile(path) as image:
            return _samples(_turned(image, turn), facts)

    claims = () if facts.um is None else (PixelSizeClaim(*facts.um, "png resolution"),)
    notices = (*_png_notices(facts), *depth_notices)
    return _turned_facts(_Picture(facts.height, facts.width, "png", decode, claims, profile, notices), turn)


def _png_depth(path: Path, facts: PngFacts) -> tuple[int, list[str]]:
    """Return how many bits of 16-bit samples count, for which they all must be looked at.

    Samples of fewer bits belong at the upper end, as PNG wants them; cameras leave them at the lower one.
    """
    if facts.bits != 16 or facts.significant == 16 or facts.height * facts.width > MAX_PIXELS:
        return 16, []
    check_png(path)
    _check_memory(path, facts.height, facts.width)
    highest = int(colors_of(decode_deep(path, facts)).max(initial=0))
    if facts.significant is not None:
        if not 0 < highest < 2**facts.significant:
            return 16, []
        notice = (
            f"samples of {facts.significant} bits, which lie at the lower end of 16: shown as what they are"
        )
        return facts.significant, [notice]
    bits = camera_bits(highest)
    return bits, [tell_bits(highest, bits)] if bits < 16 else []


def _deep_samples(path: Path, facts: PngFacts, bits: int, turn: int) -> npt.NDArray[Any]:
    """Return 16-bit samples of which few bits count, upright and brought to the full range."""
    samples = decode_deep(path, facts).astype(np.uint16)
    colors_of(samples)[...] <<= 16 - bits
    return _UPRIGHT[turn](samples) if turn in _UPRIGHT else samples


def _samples(image: Image.Image, facts: PngFacts) -> npt.NDArray[Any]:
    """Return a PNG's samples: 16-bit grey as it is, the rest as RGB or RGBA of 8 bits."""
    transparent = image.info.get("transparency")
    if facts.bits == 16 and facts.color == 0:
        image.load()
        grey = np.asarray(image).astype(np.uint16)
        if not isinstance(transparent, int):
            return grey
        alpha = np.where(grey == transparent, 0, 65535).astype(np.uint16)
        return np.stack([grey, alpha], axis=-1)
    if facts.bits == 16 and transparent is not None:
        # Pillow keeps the high byte of samples, but both bytes of the one transparent colour.
        image.info["transparency"] = tuple(int(value) >> 8 for value in transparent)
    has_alpha = "A" in image.getbands() or transparent is not None
    return np.asarray(image.convert("RGBA" if has_alpha else "RGB"))


def _png_notices(facts: PngFacts) -> list[str]:
    notices = []
    if facts.frames > 1:
        notices.append(f"an animation of {facts.frames} pictures, of which the first is shown")
    if facts.gamma is not None and abs(facts.gamma - _PLAIN_GAMMA) > _GAMMA_NEAR:
        notices.append(f"the file states a gamma of {facts.gamma:g}, which is not applied")
    if facts.aspect is not None and facts.aspect[0] != facts.aspect[1]:
        notices.append(f"its pixels are not square by its header ({facts.aspect[0]} : {facts.aspect[1]})")
    return notices


def _read_jpeg_picture(path: Path) -> _Picture:
    facts = read_jpeg(path)
    with JpegImageFile(path) as image:
        turn, profile = _orientation(image), image.info.get("icc_profile")
        exif = _exif_um(image)
    is_cmyk = facts.samples == 4

    def decode() -> npt.NDArray[Any]:
        data = path.read_bytes()
        check_jpeg(data, path)
        with JpegImageFile(io.BytesIO(data)) as image:
            image.load()
            # Printing colours are stored as what they take from white, so that the filling is another one.
            if not is_cmyk and is_short(data, read_jpeg_header(data).scan, np.asarray(image), _small_jpeg):
                raise DamagedSlideError(
                    "the picture ends before its last pixels", path=path, hint=_COPY_AGAIN
                )
            picture = _cmyk_to_rgb(image, profile) if is_cmyk else image.convert("RGB")
            return np.asarray(_turned(picture, turn))

    claims = [
        PixelSizeClaim(*um, source) for um, source in ((facts.um, "jfif density"), (exif, "exif")) if um
    ]
    notices = (_cmyk_notice(profile),) if is_cmyk else ()
    return _turned_facts(
        _Picture(
            *(facts.height, facts.width, "jpeg", decode, tuple(claims)),
            icc_profile=None if is_cmyk else profile,
            notices=notices,
        ),
        turn,
    )


def _small_jpeg(data: bytes) -> npt.NDArray[Any]:
    """Decode a JPEG at about an eighth of its size: the whole once more may be more than memory holds."""
    with JpegImageFile(io.BytesIO(data)) as image:
        image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
        return np.asarray(image)


def _cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile where there is a usable one, else as if inks were ideal."""
    if profile is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (OSError, ImageCms.PyCMSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _cmyk_notice(profile: bytes | None) -> str:
    how = "its profile" if profile is not None else "the plain formula, since it holds no profile"
    return f"printing colours (CMYK), converted to RGB by {how}"


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is none."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1  # damaged notes of a camera are no reason to refuse its picture
    return value if value in _TURNS else 1


def _exif_um(image: Image.Image) -> tuple[float, float] | None:
    """Um per pixel (y, x) by EXIF, of which Pillow looks at one axis only."""
    try:
        exif = image.getexif()
        unit = {2: UM_PER_INCH, 3: UM_PER_CM}.get(exif.get(_RESOLUTION_UNIT, 2))
        y, x = (float(exif.get(tag, 0)) for tag in (_Y_RESOLUTION, _X_RESOLUTION))
    except (*_DAMAGED, TypeError, ZeroDivisionError):
        return None
    return (unit / y, unit / x) if unit and y > 0 and x > 0 else None


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    info = image.info
    for step in _TURNS.get(orientation, ()):
        image = image.transpose(step)
        image.info = info  # which holds the transparent colour
    return image


def _turned_facts(picture: _Picture, orientation: int) -> _Picture:
    """Swap the axes of a picture that lies on its side, as every viewer shows it upright."""
    if orientation not in _LYING:
        return picture
    claims = tuple(PixelSizeClaim(claim.x, claim.y, claim.source) for claim in picture.pixel_sizes)
    return _Picture(
        *(picture.width, picture.height, picture.kind, picture.decode, claims, picture.icc_profile),
        notices=picture.notices,
    )
