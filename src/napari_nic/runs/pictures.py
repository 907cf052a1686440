"""The small pictures of a run, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_nic.disk import replacing

_QUALITY = 85


def save_mask(mask: np.ndarray, path: Path) -> None:
    """Write a mask (rows, cols) bool as a PNG of one bit an element.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        Image.fromarray(mask).save(temporary, format="PNG")


def save_jpeg(picture: np.ndarray, path: Path) -> None:
    """Write a picture (rows, cols, 3) uint8 RGB for looking at.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, format="JPEG", quality=_QUALITY)


def save_png(picture: np.ndarray, path: Path, *, cell_px: int) -> None:
    """Write a picture (rows, cols, 3 or 4) uint8, each element a square of `cell_px` pixels.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    large = picture.repeat(cell_px, axis=0).repeat(cell_px, axis=1)
    with replacing(path) as temporary:
        Image.fromarray(large).save(temporary, format="PNG")
