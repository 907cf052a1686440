"""Overlays as picture files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.errors import StoreError

if TYPE_CHECKING:
    from napari_nic.explain import Overlay

SUFFIX = ".png"


def save_overlay(overlay: Overlay, path: Path, *, cell_px: int) -> None:
    """Write an overlay as a PNG with transparency, each cell a square of `cell_px` pixels.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    from PIL import Image

    rgba = overlay.to_rgba().repeat(cell_px, axis=0).repeat(cell_px, axis=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgba, "RGBA").save(path, format="PNG")
    except OSError as error:
        raise StoreError(
            "the picture cannot be written", path=path, found=str(error), hint="choose another output"
        ) from error
