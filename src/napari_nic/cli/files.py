"""Pictures and arrays as files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.disk import replacing
from napari_nic.errors import StoreError
from napari_nic.names import check_apart, exists

if TYPE_CHECKING:
    import numpy as np
    from PIL.PngImagePlugin import PngInfo

    from napari_nic.explain import Overlay

PICTURE, ARRAY = ".png", ".npy"

_MARK = {"Software": "napari-nic"}
"""Text in our pictures, by which they are known when they are made anew."""

_HEAD_BYTES = 512


def check_free(path: Path, *, overwrite: bool) -> None:
    """Make sure that nothing is lost by writing to a name that the user gave.

    Raises
    ------
    StoreError
        If something is there that is no picture of ours, and `overwrite` is False.
    """
    if not overwrite and (exists(path) or path.is_symlink()) and not _is_our_picture(path):
        raise StoreError("the output exists", path=path, hint="choose another name (--out), or --overwrite")


def check_all_free(targets: Mapping[str, Path | None], *, overwrite: bool) -> None:
    """Make sure of the files that several options name: nothing is there, and no two are one.

    Parameters
    ----------
    targets : mapping
        Option -> file, or None where it was not given.
    overwrite : bool

    Raises
    ------
    StoreError
        If something is there, or two options name one file.
    """
    given = {option: path for option, path in targets.items() if path is not None}
    check_apart(given)
    for option, path in given.items():
        if not overwrite and (exists(path) or path.is_symlink()):
            raise StoreError(
                "the output exists", path=path, hint=f"choose another name ({option}), or --overwrite"
            )


def _is_our_picture(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    mark = "\0".join(next(iter(_MARK.items()))).encode()
    return head.startswith(b"\x89PNG\r\n\x1a\n") and b"tEXt" + mark in head


def _marked() -> PngInfo:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, text in _MARK.items():
        info.add_text(name, text)
    return info


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
        Image.fromarray(rgba, "RGBA").save(temporary, format="PNG", pnginfo=_marked())


def save_picture(rgb: np.ndarray, path: Path) -> None:
    """Write a picture (h, w, 3) uint8 RGB as PNG.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(rgb).save(temporary, format="PNG", pnginfo=_marked())


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
