"""What an export may say of its slide: the name by which it goes now, and no older one.

A store that was renamed may hold the old name, a patient's perhaps, in many places of its header: exports are
given to others, so none of them is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.names import FEATURE_SUFFIXES, SLIDE_SUFFIXES, ZARR_FILES, without_suffix

_KEPT_ORIGIN = ("placed",)
"""What an export says of the files that an imported store was made from: how their patches lay, no names."""

IMPORTED = "imported from "
"""How the method by which tissue was found begins, of imported codes; the name of their file follows."""


def named_header(store: CompressedSlide) -> StoreHeader:
    """Return a store's header as others may see it.

    Returns
    -------
    StoreHeader
        With the name by which the slide goes now. Older names, and those of the files that an imported store
        was made from, are in none of its entries.
    """
    return renamed(store.header, store.slide_name)


def renamed(header: StoreHeader, name: str) -> StoreHeader:
    """Give a header another name of its slide, see :func:`named_header`."""
    pixel = header.grid.pixel_size
    source = without_old_names(pixel.source, header, name)
    return replace(
        header,
        slide_name=name,
        reader=without_old_names(header.reader, header, name),
        color=without_old_names(header.color, header, name),
        grid=replace(header.grid, pixel_size=replace(pixel, source=source)),
        tissue=without_old_names(_without_source(header), header, name),
        origin={key: value for key, value in header.origin.items() if key in _KEPT_ORIGIN},
    )


def _older_names(header: StoreHeader) -> set[str]:
    # Of a file by its path the last part alone is called after a slide; inside a Zarr folder nothing is, and
    # words such as "0", "c" or "shapes" are no names of it.
    files = header.origin.get("files")
    named = files if isinstance(files, Mapping) and not _is_inside_zarr(files) else ()
    names = {header.slide_name, *(part for name in named for part in (name, name.rpartition("/")[2]))}
    names |= {without_suffix(name, (*FEATURE_SUFFIXES, *SLIDE_SUFFIXES)) for name in names}
    return {name for name in names if name}


def _without_source(header: StoreHeader) -> dict[str, Any]:
    """Return how tissue was found; of imported codes without the files' names, which may be of a patient."""
    if not header.origin.get("files"):
        return dict(header.tissue)
    kept = {key: value for key, value in header.tissue.items() if key != "outlines"}
    return kept | ({"method": "imported"} if str(kept.get("method", "")).startswith(IMPORTED) else {})


def _is_inside_zarr(files: Mapping[str, Any]) -> bool:
    return any(name in ZARR_FILES for name in files)


def without_old_names(value: Any, header: StoreHeader, name: str) -> Any:
    """Replace the older names of a slide in all texts of a JSON value, where they are words of their own."""
    return _renamed(value, _older_names(header) - {name}, name)


def _renamed(value: Any, olds: set[str], new: str) -> Any:
    if isinstance(value, str):
        for old in sorted(olds, key=len, reverse=True):
            value = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, value)
        return value
    if isinstance(value, Mapping):
        return {_renamed(key, olds, new): _renamed(entry, olds, new) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_renamed(entry, olds, new) for entry in value)
    return value
