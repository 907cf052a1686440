"""What tiffslide reads: an independent second opinion on TIFF dialects, tried when the other readers fail.

A ``TiffSlide`` must not be used by two threads at once (its file position is shared), so every thread that
reads borrows a handle of its own from a small pool.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tiffslide
from tifffile import TiffFileError

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import PixelSizeClaim, RgbArray, SourceInfo, composite
from napari_nic.slides.pixel_size import parse_float

_DEFAULT_TILE = 512  # where tiffslide names none

_READ_ERRORS = (OSError, ValueError, RuntimeError, KeyError, IndexError, TiffFileError)
"""What zarr, tifffile and the decoders below tiffslide raise for damaged files."""


class TiffSlideSource:
    """A slide that tiffslide holds open. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, path: Path, handle: tiffslide.TiffSlide) -> None:
        self.path = path
        self._idle: queue.LifoQueue[tiffslide.TiffSlide] = queue.LifoQueue()
        self._idle.put(handle)
        self._downsamples = handle.level_downsamples
        properties = {name: str(value) for name, value in handle.properties.items() if value is not None}
        shapes = [(height, width) for width, height in handle.level_dimensions]
        self.info = SourceInfo(
            vendor=properties.get(tiffslide.PROPERTY_NAME_VENDOR, "generic-tiff"),
            levels=build_levels(shapes, [_tile(properties, level) for level in range(len(shapes))]),
            pixel_sizes=_claims(properties),
            icc_profile=_profile(handle),
            properties=properties,
            associated=tuple(handle.associated_images),
            fingerprint_files=(path,),
        )

    @contextmanager
    def _handle(self) -> Iterator[tiffslide.TiffSlide]:
        """Lend a handle to the calling thread; one is opened when all are lent."""
        try:
            handle = self._idle.get_nowait()
        except queue.Empty:
            handle = tiffslide.TiffSlide(self.path)
        try:
            yield handle
        finally:
            self._idle.put(handle)

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Read one tile, cropped at the level's edge."""
        frame = self.info.levels[level].tile_region(row, col)
        factor = self._downsamples[level]
        corner = round(frame.x * factor), round(frame.y * factor)
        try:
            with self._handle() as handle:
                image = handle.read_region(corner, level, (frame.width, frame.height), as_array=True)
        except _READ_ERRORS as error:
            raise self._damaged(f"tile ({row}, {col}) of level {level}", error) from error
        return self._rgb(np.asarray(image))

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        if name not in self.info.associated:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        try:
            with self._handle() as handle:
                image = np.asarray(handle.associated_images[name])
        except _READ_ERRORS as error:
            raise self._damaged(f"the {name} image", error) from error
        return self._rgb(image)

    def _rgb(self, image: np.ndarray) -> RgbArray:
        """Bring grey, RGB and RGBA pictures to RGB."""
        if image.ndim == 2:
            image = image[..., None].repeat(3, axis=2)
        if image.shape[2] == 3:
            return np.ascontiguousarray(image)
        return composite(image, self.info.background)

    def _damaged(self, what: str, error: Exception) -> DamagedSlideError:
        return DamagedSlideError(
            f"{what} cannot be decoded",
            path=self.path,
            found=str(error),
            hint="the file is damaged: copy it again from where it came",
        )

    def close(self) -> None:
        """Close all handles."""
        while not self._idle.empty():
            self._idle.get_nowait().close()


def open_tiffslide(path: Path) -> TiffSlideSource:
    """Open with tiffslide; see :data:`~napari_nic.slides.model.OpenSource`."""
    if path.is_dir():
        raise UnreadableSlideError("tiffslide reads files only")
    try:
        with ExitStack() as opened:
            source = TiffSlideSource(path, opened.enter_context(tiffslide.TiffSlide(path)))
            opened.pop_all()  # it stays open: nothing went wrong
            return source
    except _READ_ERRORS as error:
        raise UnreadableSlideError(f"tiffslide cannot open it: {error}") from error


def _tile(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    sizes = [properties.get(f"tiffslide.level[{level}].tile-{side}") for side in ("height", "width")]
    height, width = (int(size) if size else _DEFAULT_TILE for size in sizes)
    return height, width


def _claims(properties: Mapping[str, str]) -> tuple[PixelSizeClaim, ...]:
    y = parse_float(properties.get(tiffslide.PROPERTY_NAME_MPP_Y))
    x = parse_float(properties.get(tiffslide.PROPERTY_NAME_MPP_X))
    return () if y is None or x is None else (PixelSizeClaim(y, x, tiffslide.PROPERTY_NAME_MPP_X),)


def _profile(handle: Any) -> bytes | None:
    profile = handle.color_profile
    return None if profile is None else bytes(profile.tobytes())
