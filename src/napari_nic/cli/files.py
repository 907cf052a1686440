"""Pictures and arrays as files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.errors import StoreError

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
    with _writing(path):
        Image.fromarray(rgba, "RGBA").save(path, format="PNG")


def save_picture(rgb: np.ndarray, path: Path) -> None:
    """Write a picture (h, w, 3) uint8 RGB as PNG.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    from PIL import Image

    with _writing(path):
        Image.fromarray(rgb).save(path, format="PNG")


def save_array(array: np.ndarray, path: Path) -> None:
    """Write an array as ``.npy``.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    import numpy as np

    with _writing(path):
        np.save(path, array, allow_pickle=False)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Make the folder; turn the file system's refusals into an error that says what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StoreError(
            "the file cannot be written", path=path, found=str(error), hint="choose another output"
        ) from error
