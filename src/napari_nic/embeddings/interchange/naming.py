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
from napari_nic.names import FEATURE_SUFFIXES, SLIDE_SUFFIXES, readable, without_suffix

_KEPT_ORIGIN = ("placed",)
"""What an export says of the files that an imported store was made from: how their patches lay, no names."""


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
        tissue=without_old_names(header.tissue, header, name),
        origin={key: value for key, value in header.origin.items() if key in _KEPT_ORIGIN},
    )


def shown_name(store: CompressedSlide) -> str:
    """Name of a store's slide as it is written into files of others: Unicode."""
    return readable(store.slide_name)


def _older_names(header: StoreHeader) -> set[str]:
    files = header.origin.get("files")
    names = {header.slide_name, *(files if isinstance(files, Mapping) else ())}
    names |= {part for name in names for part in name.split("/")}
    names |= {without_suffix(name, (*FEATURE_SUFFIXES, *SLIDE_SUFFIXES)) for name in names}
    return {name for name in names if name}


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
