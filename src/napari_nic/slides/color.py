"""Embedded ICC profile -> sRGB, fast enough to stand beside JPEG decoding.

LittleCMS converts 20-60 million pixels a second and thread, less than JPEG decoding delivers. So the first
pixels go through it, and once :data:`TABLE_AFTER_PIXELS` have gone, a table of all 2**24 colours is made
with the very same transform. Both ways give identical bytes, so that it does not matter which one a tile
met; the table does 100-290 million pixels a second and costs 64 MiB per profile in use.
"""

from __future__ import annotations

import io
import threading
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from napari_nic.errors import InvalidParameterError
from napari_nic.slides.model import ColorInfo, RgbArray

TABLE_AFTER_PIXELS = 8_000_000
"""Making the table costs about as much as converting 16 million pixels: worth it from the second view on."""

SAME_WITHIN = 1
"""A profile that moves no colour by more than this many grey levels is sRGB itself and is not applied."""


class ColorTransform:
    """Convert RGB pixels from one ICC profile to sRGB; safe from several threads.

    Parameters
    ----------
    profile : bytes
        An ICC profile of an RGB device.

    Raises
    ------
    ValueError
        If the profile is damaged or not one of an RGB device.
    """

    def __init__(self, profile: bytes) -> None:
        self.description, self._transform = _build(profile)
        self.is_identity = self._moves_nothing()
        self._lock = threading.Lock()
        self._converted = 0
        self._table: npt.NDArray[np.uint32] | None = None

    def apply(self, pixels: RgbArray) -> RgbArray:
        """Return (rows, cols, 3) pixels as sRGB."""
        if self.is_identity or pixels.size == 0:
            return pixels
        table = self._table
        if table is None:
            table = self._count(pixels.shape[0] * pixels.shape[1])
        return self._convert(pixels) if table is None else _look_up(pixels, table)

    def _count(self, pixels: int) -> npt.NDArray[np.uint32] | None:
        """Count converted pixels; the call that passes the limit makes the table while others go on."""
        with self._lock:
            was_below = self._converted < TABLE_AFTER_PIXELS
            self._converted += pixels
            is_mine = was_below and self._converted >= TABLE_AFTER_PIXELS
        if is_mine:
            self._table = self._tabulate()
        return self._table

    def _convert(self, pixels: RgbArray) -> RgbArray:
        image = ImageCms.applyTransform(Image.fromarray(pixels), self._transform)
        return np.array(image)

    def _tabulate(self) -> npt.NDArray[np.uint32]:
        """Convert every colour; entry r + g * 256 + b * 65536 holds r, g, b in its low three bytes."""
        table = np.empty((256, 256, 256), np.uint32)
        plane = np.empty((256, 256, 3), np.uint8)
        plane[..., 0] = np.arange(256)
        plane[..., 1] = np.arange(256)[:, None]
        for blue in range(256):
            plane[..., 2] = blue
            table[blue] = _pack(self._convert(plane))
        return table.ravel()

    def _moves_nothing(self) -> bool:
        """Try a lattice of 17 x 17 x 17 colours."""
        steps = np.linspace(0, 255, 17).astype(np.uint8)
        lattice = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(17, -1, 3)
        moved = np.abs(self._convert(lattice).astype(np.int16) - lattice)
        return bool(moved.max() <= SAME_WITHIN)


def _build(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform]:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            raise ValueError(f"the profile is of {source.profile.xcolor_space.strip()}, not of an RGB device")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent(ImageCms.getDefaultIntent(source)),
        )
        return ImageCms.getProfileDescription(source).strip() or "unnamed", transform
    except (OSError, ImageCms.PyCMSError) as error:
        raise ValueError(f"the ICC profile cannot be used: {error}") from error


def _pack(pixels: RgbArray) -> npt.NDArray[np.uint32]:
    """View (rows, cols, 3) pixels as numbers r + g * 256 + b * 65536 (the fourth byte is cleared)."""
    rgba = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    packed: npt.NDArray[np.uint32] = rgba.view("<u4")[..., 0]
    packed &= 0xFFFFFF
    return packed


def _look_up(pixels: RgbArray, table: npt.NDArray[np.uint32]) -> RgbArray:
    index = _pack(pixels)
    found = np.empty_like(index)
    np.take(table, index, out=found, mode="clip")  # "clip" writes to `out` without a buffer
    rgba = found.view(np.uint8).reshape(*index.shape, 4)
    return np.ascontiguousarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))


@lru_cache(maxsize=4)
def _shared(profile: bytes) -> ColorTransform:
    return ColorTransform(profile)


def is_srgb(color: str) -> bool:
    """Whether a caller's word for colours asks for sRGB: ``"srgb"``, or ``"raw"`` for those of the file.

    Raises
    ------
    InvalidParameterError
        If it is another word, which must not quietly mean one of them.
    """
    if color not in ("srgb", "raw"):
        raise InvalidParameterError("no such colours", expected="srgb or raw", found=str(color))
    return color == "srgb"


def plan_color(profile: bytes | None, *, to_srgb: bool) -> tuple[ColorInfo, ColorTransform | None]:
    """Return what will be done with a slide's colours, and the transform to do it with.

    A damaged profile is not applied and named in the :class:`ColorInfo`, since the slide can still be read.

    Parameters
    ----------
    profile : bytes or None
        The embedded ICC profile.
    to_srgb : bool
        Whether sRGB is wanted; False leaves the pixels as the file holds them.
    """
    if profile is None:
        return ColorInfo(), None
    try:
        transform = _shared(profile)
    except ValueError as error:
        return ColorInfo(f"unusable ({error})", applied=False), None
    if not to_srgb:
        return ColorInfo(transform.description, applied=False), None
    return ColorInfo(transform.description, applied=True), transform
