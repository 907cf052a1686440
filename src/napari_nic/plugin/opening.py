"""Slides and stores as the window opens them: with what the user said of them before."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_nic.errors import ChannelsError, NicError
from napari_nic.names import STORE_SUFFIX, ZARR_FILES, has_suffix
from napari_nic.plugin.layers import LayerData, overlay_layer, slide_layer
from napari_nic.plugin.settings import Settings
from napari_nic.slides import Slide, choice_options, is_part, open_slide, slide_suffixes, told_suffixes

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide

COLOR_SETTING = "color"
"""Setting: ``"srgb"`` applies a slide's colour profile, ``"raw"`` leaves its pixels alone."""


def is_slide(path: Path) -> bool:
    """Whether a path is called like a slide, or is a folder that holds one; nothing is opened."""
    name = path.name.lower()
    if name.endswith(STORE_SUFFIX):
        return False
    if path.is_dir():
        return _is_slide_folder(path)
    return name.endswith(slide_suffixes() + told_suffixes())


def _is_slide_folder(path: Path) -> bool:
    if any((path / name).is_file() for name in ZARR_FILES):
        return True
    return next(path.glob("*.dcm"), None) is not None


def slides_in(folder: Path, *, depth: int = 2) -> list[Path]:
    """List the slides of a folder and of the folders in it, by name, as people count: 2 before 10.

    Parameters
    ----------
    folder : Path
    depth : int
        1 leaves out the folders in it. Deeper ones are never looked at: archives have millions of files.
    """
    found = []
    for entry in _entries(folder):
        if is_slide(entry):
            if entry.is_dir() or not is_part(entry):
                found.append(entry.absolute())
        elif depth > 1 and entry.is_dir() and not has_suffix(entry, STORE_SUFFIX, ".zarr"):
            found += slides_in(entry, depth=depth - 1)
    return sorted(found, key=_by_number)


def holds_slides(folder: Path) -> bool:
    """Whether a folder, or one in it, holds a slide; looks at names only, and no further than it must."""
    entries = _entries(folder)
    return any(is_slide(entry) for entry in entries) or any(
        is_slide(inner) for entry in entries if entry.is_dir() for inner in _entries(entry)
    )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []  # not allowed to look into it, or no folder any more


def _by_number(path: Path) -> tuple[str, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return str(path.parent), [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def open_remembered(path: Path, settings: Settings) -> Slide:
    """Open a slide with what the user said before: its um/px, its channels, and about colour profiles."""
    return _open_choice(path, settings, settings.choice(path))


def _open_choice(path: Path, settings: Settings, choice: Mapping[str, Any]) -> Slide:
    color: Literal["srgb", "raw"] = "raw" if settings.get(COLOR_SETTING) == "raw" else "srgb"
    try:
        slide = open_slide(path, color=color, **choice_options(choice))
    except ChannelsError:
        if not choice:
            raise
        slide = open_slide(path, color=color)  # the file at this path is another one now
    return settings.apply_to(slide)


def read_store(path: Path) -> list[LayerData]:
    """Open a compressed slide: its slide, when that lies beside it, and its PCA picture.

    Raises
    ------
    NicError
        If it is no store, or nothing is encoded yet.
    """
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.plugin.overlay_jobs import store_pca

    store = CompressedSlide.open(path)
    slide = slide_beside(store)
    picture = overlay_layer(
        store_pca(store), slide, title=f"PCA ({store.header.slide_name})", pixel=store.grid.pixel_size
    )
    return [picture] if slide is None else [slide_layer(slide), picture]


def slide_beside(store: CompressedSlide) -> Slide | None:
    """Open the slide that a store was made of, if it lies in the same folder; None otherwise."""
    settings = Settings()
    for path in sorted(store.path.parent.glob(f"{glob.escape(store.header.slide_name)}*")):
        if path == store.path or not is_slide(path):
            continue
        try:
            slide = _open_choice(path, settings, store.header.choice)
        except NicError:
            continue  # some other file of that name; the store can be shown without its slide
        if slide.fingerprint == store.header.slide_fingerprint:
            # The store knows the colours it was made of, and the pixel size that its grid was laid with.
            slide = slide.with_color("srgb" if store.header.color.get("applied") else "raw")
            known = slide.pixel_size is not None
            return slide if known else slide.with_pixel_size(store.grid.pixel_size)
        slide.close()
    return None
