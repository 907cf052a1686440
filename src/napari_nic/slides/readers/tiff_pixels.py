"""From the samples of a TIFF page to RGB: what the directory says they mean, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageCms

from napari_nic.errors import ChannelsError, UnsupportedPixelsError
from napari_nic.slides.model import Rgb, RgbArray, composite
from napari_nic.slides.readers.tiff_codecs import (
    JPEG_CODES,
    KNOWN_CODES,
    PICTURE_CODES,
    Decoded,
    is_subsampled,
)

Bytes = npt.NDArray[np.uint8]

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_COLORS = {
    _PHOTOMETRIC.MINISWHITE: 1,
    _PHOTOMETRIC.MINISBLACK: 1,
    _PHOTOMETRIC.RGB: 3,
    _PHOTOMETRIC.PALETTE: 1,
    _PHOTOMETRIC.SEPARATED: 4,
    _PHOTOMETRIC.YCBCR: 3,
    _PHOTOMETRIC.CIELAB: 3,
    _PHOTOMETRIC.ICCLAB: 3,
}
_ASSOCIATED, _UNASSOCIATED = 1, 2
_LUMA = (0.299, 0.587, 0.114)
_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
_HINT = "convert it to RGB with 8 bits a sample in the program that made it"


@dataclass(frozen=True)
class PixelKind:
    """What the samples of a page mean.

    Attributes
    ----------
    photometric : tifffile.PHOTOMETRIC
        How colours are written.
    bits : int
        Bits of a sample that count; those above them are empty.
    colors : int
        Samples that hold colour; what follows them is alpha, or left out.
    alpha : int or None
        Place of the alpha channel.
    is_premultiplied : bool
        Whether colours were multiplied by alpha.
    palette : ndarray or None
        (colours, 3) uint8.
    luma, black_white : tuple of float
        Coefficients and reference values of YCbCr that is not in a JPEG stream.
    extra : int
        Number of samples that are left out since nothing says what they are.
    """

    photometric: Any
    bits: int
    colors: int
    alpha: int | None = None
    is_premultiplied: bool = False
    palette: Bytes | None = None
    luma: tuple[float, ...] = _LUMA
    black_white: tuple[float, ...] = _FULL_RANGE
    extra: int = 0

    def with_bits(self, bits: int) -> PixelKind:
        """The same with another number of bits that count."""
        return replace(self, bits=bits)

    def to_rgb(self, decoded: Decoded, background: Rgb) -> RgbArray:
        """Return (rows, cols, 3) uint8; transparent pixels lie on `background`.

        Raises
        ------
        ValueError
            If the samples are fewer than the kind needs.
        """
        samples = decoded.samples
        count = samples.shape[2]
        kind = self if count >= self.colors + (self.alpha is not None) else self._without_alpha(count)
        if kind.palette is not None:
            colors = _look_up(samples[..., 0], kind.palette)
        else:
            colors = kind._to_rgb(to_bytes(samples[..., : kind.colors], kind.bits), is_rgb=decoded.is_rgb)
        alpha = kind.alpha
        if alpha is None and kind.photometric == _PHOTOMETRIC.RGB and count == 4 and not kind.extra:
            alpha = 3  # a WebP, PNG or JPEG XL tile with the alpha that the directory is silent on
        if alpha is None:
            return np.ascontiguousarray(colors)
        weights = to_bytes(samples[..., alpha : alpha + 1], kind.bits)
        if kind.is_premultiplied:
            return _lay_premultiplied(colors, weights, background)
        return composite(np.concatenate([colors, weights], axis=2), background)

    def _without_alpha(self, count: int) -> PixelKind:
        """Tiles of WebP leave out an alpha that hides nothing, whatever the directory says."""
        if count < self.colors:
            raise ValueError(f"{count} samples a pixel instead of {self.colors}")
        return replace(self, alpha=None, is_premultiplied=False)

    def _to_rgb(self, pixels: Bytes, *, is_rgb: bool) -> Bytes:
        if is_rgb or self.photometric == _PHOTOMETRIC.RGB:
            return pixels
        convert: dict[Any, Callable[[Bytes], Bytes]] = {
            _PHOTOMETRIC.MINISBLACK: lambda grey: np.repeat(grey, 3, axis=2),
            _PHOTOMETRIC.MINISWHITE: lambda grey: np.repeat(255 - grey, 3, axis=2),
            _PHOTOMETRIC.SEPARATED: cmyk_to_rgb,
            _PHOTOMETRIC.YCBCR: lambda ycc: ycbcr_to_rgb(ycc, self.luma, self.black_white),
            _PHOTOMETRIC.CIELAB: lab_to_rgb,
            _PHOTOMETRIC.ICCLAB: lambda lab: lab_to_rgb(lab ^ np.array([0, 128, 128], np.uint8)),
        }
        return convert[self.photometric](pixels)


def pixel_kind(page: Any) -> PixelKind:
    """Return what the samples of a page mean.

    Raises
    ------
    UnsupportedPixelsError
        If they cannot be shown rightly; the text says why.
    """
    check_codec(page)
    photometric, samples = _photometric(page), int(page.samplesperpixel)
    colors = _COLORS.get(photometric)
    if colors is None:
        raise refusal(f"its colours are written as {_name(photometric)}, which has no plain picture")
    bits = _bits(page)
    if samples < colors:
        raise refusal(f"{_name(photometric)} colours with {samples} samples a pixel instead of {colors}")
    alpha, is_premultiplied, extra = _alpha(page, samples - colors)
    if extra > 1 or (extra and colors == 1 and photometric != _PHOTOMETRIC.PALETTE):
        raise channels_refusal(f"{samples} channels that the file does not call colours", [])
    kind = PixelKind(
        photometric, bits, colors, None if alpha is None else colors + alpha, is_premultiplied, extra=extra
    )
    if photometric == _PHOTOMETRIC.PALETTE:
        return replace(kind, palette=_palette(page, bits))
    if photometric == _PHOTOMETRIC.SEPARATED and page.tags.valueof(332, 1) != 1:
        raise refusal("its inks are others than cyan, magenta, yellow and black")
    if photometric == _PHOTOMETRIC.YCBCR:
        return _ycbcr_kind(page, kind)
    if photometric in (_PHOTOMETRIC.CIELAB, _PHOTOMETRIC.ICCLAB) and bits not in (8, 16):
        raise refusal(f"Lab colours of {bits} bits")
    return kind


def refusal(problem: str, hint: str = _HINT) -> UnsupportedPixelsError:
    """Return the error for pixels that cannot be shown rightly."""
    return UnsupportedPixelsError(f"the TIFF file cannot be shown in its right colours: {problem}", hint=hint)


def channels_refusal(problem: str, names: list[str]) -> ChannelsError:
    """Return the error for channels that are not red, green and blue."""
    listed = f": {', '.join(names)}" if any(names) else ""
    return ChannelsError(
        f"the file holds {problem}{listed}",
        expected="one picture in red, green and blue",
        hint="say which channels to show with --channels",
    )


def check_codec(page: Any) -> None:
    """Refuse what cannot be decoded to the samples that the directory describes."""
    compression = int(page.compression)
    if compression not in KNOWN_CODES:
        known = {6: "old-style JPEG (6)"}
        raise refusal(f"compression {known.get(compression, _name(page.compression))} is not supported")
    if compression in JPEG_CODES:
        planes = page.samplesperpixel if page.planarconfig == tifffile.PLANARCONFIG.CONTIG else 1
        if planes not in (1, 3):
            raise refusal(f"JPEG tiles of {planes} samples a pixel")
        if _photometric(page) not in (0, 1, 2, 6):
            raise refusal(f"{_name(_photometric(page))} colours in JPEG tiles")
    if page.predictor != 1 and is_subsampled(page):
        raise refusal("subsampled colours with a predictor")
    if getattr(page, "imagedepth", 1) > 1:
        raise refusal(f"a block of {page.imagedepth} planes")


def _photometric(page: Any) -> Any:
    """Return what colours are written as; a silent writer means what its samples allow."""
    if page.tags.get(262) is None and not page.is_ndpi:
        return _PHOTOMETRIC.RGB if page.samplesperpixel >= 3 else _PHOTOMETRIC.MINISBLACK
    return page.photometric


def _name(value: Any) -> str:
    return str(getattr(value, "name", value))


def _bits(page: Any) -> int:
    bits, dtype = page.bitspersample, page.dtype
    if isinstance(bits, tuple):
        raise refusal(f"samples of different depth ({', '.join(map(str, bits))} bits)")
    if dtype is None or dtype.kind not in "ub":
        kind = "an unknown kind" if dtype is None else str(dtype)
        raise refusal(f"samples are {kind}, and nothing says which value is black and which white")
    if bits > 16:
        raise refusal(f"samples of {bits} bits, and nothing says which value is white")
    return int(bits)


def _alpha(page: Any, extra: int) -> tuple[int | None, bool, int]:
    """Return (place of alpha among the extra samples, premultiplied, how many others there are)."""
    kinds = [int(kind) for kind in page.extrasamples][:extra]
    if page.tags.get(338) is None:
        kinds = []  # tifffile fills in what the file does not say
    for place, kind in enumerate(kinds):
        if kind in (_ASSOCIATED, _UNASSOCIATED):
            return place, kind == _ASSOCIATED, extra - 1
    return None, False, extra


def _palette(page: Any, bits: int) -> Bytes:
    table = page.colormap
    if table is None or np.ndim(table) != 2 or np.shape(table)[0] != 3:
        raise refusal("its pixels are numbers of colours, and the list of colours is missing")
    if page.samplesperpixel != 1 and page.planarconfig != tifffile.PLANARCONFIG.CONTIG:
        raise refusal("a list of colours with several planes")
    colors = np.asarray(table)
    # Some writers put 8-bit values in a table of 16-bit ones; libtiff takes such a table for what it is.
    narrow = colors >> 8 if colors.max(initial=0) > 255 else colors
    if narrow.shape[1] < 2**bits:
        raise refusal(f"a list of {narrow.shape[1]} colours for numbers of {bits} bits")
    return np.ascontiguousarray(narrow.T.astype(np.uint8))


def _ycbcr_kind(page: Any, kind: PixelKind) -> PixelKind:
    if page.compression in PICTURE_CODES:
        return kind
    if kind.bits != 8:
        raise refusal(f"YCbCr colours of {kind.bits} bits")
    across, down = tuple(page.subsampling or (1, 1))
    is_contiguous = page.planarconfig == tifffile.PLANARCONFIG.CONTIG
    if (across, down) != (1, 1) and (not is_contiguous or kind.extra or kind.alpha is not None):
        raise refusal("subsampled colours in several planes")
    if not {across, down} <= {1, 2, 4}:
        raise refusal(f"colours subsampled {across} x {down}")
    luma = _fractions(page.tags.valueof(529), 3) or _LUMA
    levels = _fractions(page.tags.valueof(532), 6) or _FULL_RANGE
    if luma[1] <= 0 or any(white <= black for black, white in zip(levels[::2], levels[1::2], strict=True)):
        raise refusal("its YCbCr coefficients or reference values cannot be")
    return replace(kind, luma=luma, black_white=levels)


def _fractions(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, tuple) or len(value) != 2 * count:
        return None
    pairs = list(zip(value[::2], value[1::2], strict=True))
    if any(below == 0 for _, below in pairs):
        raise refusal("its YCbCr coefficients or reference values cannot be")
    return tuple(above / below for above, below in pairs)


def to_bytes(samples: npt.NDArray[Any], bits: int) -> Bytes:
    """Bring unsigned samples of which `bits` bits count to 8 bits; larger values are white."""
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    if bits == 8:
        return samples if samples.dtype == np.uint8 else np.minimum(samples, 255).astype(np.uint8)
    if bits < 8:
        white = 2**bits - 1
        return (np.minimum(samples, white).astype(np.uint16) * 255 // white).astype(np.uint8)
    if bits == 16:
        return (samples >> 8).astype(np.uint8)
    return (np.minimum(samples, 2**bits - 1) >> (bits - 8)).astype(np.uint8)


def _look_up(indices: npt.NDArray[Any], palette: Bytes) -> Bytes:
    numbers = indices.astype(np.uint8) if indices.dtype == np.bool_ else indices
    return palette[np.minimum(numbers, len(palette) - 1)]


def _lay_premultiplied(colors: Bytes, alpha: Bytes, background: Rgb) -> RgbArray:
    rest = np.asarray(background, np.uint16) * (255 - alpha.astype(np.uint16))
    return np.minimum(colors + (rest + 127) // 255, 255).astype(np.uint8)


def cmyk_to_rgb(pixels: Bytes) -> Bytes:
    """Ink on white paper, without a profile: what each ink leaves of the light, times what black leaves."""
    inks = 255 - pixels.astype(np.uint16)
    return ((inks[..., :3] * inks[..., 3:] + 127) // 255).astype(np.uint8)


def ycbcr_to_rgb(pixels: Bytes, luma: tuple[float, ...], black_white: tuple[float, ...]) -> Bytes:
    """Convert YCbCr with the file's own coefficients and reference values (TIFF 6.0, section 21)."""
    black, white = np.array(black_white[::2], np.float32), np.array(black_white[1::2], np.float32)
    spread = np.array([255, 127, 127], np.float32)
    y, cb, cr = np.moveaxis((pixels - black) * spread / (white - black), -1, 0)
    red, green, blue = luma
    r = y + cr * (2 - 2 * red)
    b = y + cb * (2 - 2 * blue)
    g = (y - blue * b - red * r) / green
    return np.clip(np.rint(np.stack([r, g, b], axis=-1)), 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)


def lab_to_rgb(pixels: Bytes) -> Bytes:
    """Convert CIE L*a*b* (white D50; L over 0 to 255, a and b signed) to sRGB."""
    image = Image.frombytes("LAB", pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes(), "raw", "LAB")
    converted = ImageCms.applyTransform(image, _lab_transform())
    if converted is None:
        raise ValueError("Lab colours cannot be converted")
    return np.asarray(converted)
