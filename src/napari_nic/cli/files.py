"""Pictures and arrays as files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.disk import replacing

if TYPE_CHECKING:
    import numpy as np

    from napari_nic.explain import Overlay

PICTURE, ARRAY = ".png", ".npy"


def save_overlay(overlay: Overlay, path: Path, *, cell_px: int) -> None:
    """Write an overlay as a PNG with transparency, each cell a square of `cell_px` pixels.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    from PIL import Image

    rgba = overlay.to_rgba().repeat(cell_px, axis=0).repeat(cell_px, axis=1)
    with replacing(path) as temporary:
        Image.fromarray(rgba, "RGBA").save(temporary, format="PNG")


def save_picture(rgb: np.ndarray, path: Path) -> None:
    """Write a picture (h, w, 3) uint8 RGB as PNG.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(rgb).save(temporary, format="PNG")


def save_array(array: np.ndarray, path: Path) -> None:
    """Write an array as ``.npy``.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
