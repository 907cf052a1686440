"""iSyntax of Philips, read by pyisyntax; written after its documentation, and never tried on a slide."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from napari_nic.errors import (
    DamagedSlideError,
    MissingDependencyError,
    OutOfBoundsError,
    UnreadableSlideError,
)
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, PixelSizeClaim, RgbArray, SourceInfo, composite

MAGIC = b"<DataObject"
_HEAD_BYTES = 4096
_MARK = b"DPUfsImport"
_HINT = "the file is damaged: copy it again from where it came"
_UNTESTED = "reading iSyntax is untested: no sample was at hand; compare it with its scanner's viewer"
_PICTURE_ERRORS = (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError)


class IsyntaxSource:
    """An open iSyntax slide. See :class:`~napari_nic.slides.model.SlideSource`.

    Parameters
    ----------
    path : Path
    handle : isyntax.ISyntax
        Used by one thread at a time.
    close : callable
        Closes the handle and its file.
    errors : tuple of exception types
        What the library raises.
    """

    def __init__(
        self, path: Path, handle: Any, close: Callable[[], object], errors: tuple[type[Exception], ...]
    ) -> None:
        self.path = path
        self._handle, self._close, self._errors = handle, close, errors
        self._lock = threading.Lock()
        shapes = [(height, width) for width, height in handle.level_dimensions]
        tile = handle.tile_height, handle.tile_width
        self._pictures = {
            name: bytes(data)
            for name, read in (
                ("label", handle.read_label_image_jpeg),
                ("macro", handle.read_macro_image_jpeg),
            )
            if (data := read()) is not None
        }
        profile = handle.read_icc_profile()
        self.info = SourceInfo(
            vendor="philips",
            levels=build_levels(shapes, [tile] * len(shapes)),
            pixel_sizes=(PixelSizeClaim(handle.mpp_y, handle.mpp_x, "iSyntax pixel spacing"),),
            background=WHITE,
            icc_profile=None if profile is None else bytes(profile),
            associated=tuple(self._pictures),
            fingerprint_files=(path,),
            notices=(_UNTESTED,),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Read one tile. What the library leaves transparent lies on white."""
        frame = self.info.levels[level].tile_region(row, col)
        with self._lock:
            try:
                pixels = self._handle.read_region(frame.x, frame.y, frame.width, frame.height, level)
            except self._errors as error:
                raise self._damaged(
                    f"tile ({row}, {col}) of level {level} cannot be decoded", error
                ) from error
        return composite(np.asarray(pixels), self.info.background)

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label or macro image."""
        if name not in self._pictures:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        try:
            with Image.open(io.BytesIO(self._pictures[name]), formats=["JPEG"]) as image:
                return np.array(image.convert("RGB"))
        except _PICTURE_ERRORS as error:
            raise self._damaged(f"the {name} image cannot be decoded", error) from error

    def _damaged(self, problem: str, error: Exception) -> DamagedSlideError:
        found = str(error) or type(error).__name__
        return DamagedSlideError(problem, path=self.path, found=found, hint=_HINT)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()


def open_isyntax(path: Path) -> IsyntaxSource:
    """Open an iSyntax file; see :data:`~napari_nic.slides.model.OpenSource`."""
    if path.is_dir() or not is_isyntax(path):
        raise UnreadableSlideError("not an iSyntax file")
    try:
        from isyntax import ISyntax
        from isyntax.lowlevel.libisyntax import LibISyntaxError, NullPointerError
    except ImportError:
        raise MissingDependencyError(
            "a Philips iSyntax, which needs pyisyntax to be read", hint='pip install "napari-nic[isyntax]"'
        ) from None
    errors = (LibISyntaxError, NullPointerError, OSError, ValueError)
    with ExitStack() as opened:
        stream = opened.enter_context(path.open("rb"))
        try:
            handle = opened.enter_context(ISyntax(stream, path.stat().st_size))
            source = IsyntaxSource(path, handle, opened.close, errors)
        except errors as error:
            raise DamagedSlideError(
                "the iSyntax file cannot be opened",
                path=path,
                found=str(error) or type(error).__name__,
                hint=_HINT,
            ) from error
        source._close = opened.pop_all().close  # it stays open: nothing went wrong
        return source


def is_isyntax(path: Path) -> bool:
    """Whether a file starts like an iSyntax one."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return head.lstrip(b"\xef\xbb\xbf \r\n").startswith(MAGIC) and _MARK in head
