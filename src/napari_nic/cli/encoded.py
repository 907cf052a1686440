"""Open a compressed slide whose codes a command needs, and tell how much of it is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli.console import Console
from napari_nic.cli.inputs import store_of
from napari_nic.errors import NicError, StoreError
from napari_nic.names import exists
from napari_nic.telling import telling

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide

EVERY_CELL = "--no-tissue compresses every cell, --min-tissue 0.05 those with little tissue"


def open_encoded(path: Path, console: Console) -> CompressedSlide:
    """Open a store that holds codes; a note says if it does not hold all of them.

    Raises
    ------
    StoreError
        If there is no code in it, or it cannot be opened.
    """
    from napari_nic.embeddings import CompressedSlide, check_covered

    store = CompressedSlide.open(store_of(path))
    encoded, covered = int(store.encoded().sum()), int(store.coverage.sum())
    check_covered(store.path, store.coverage, EVERY_CELL)
    if not encoded:
        raise StoreError("no cell of this slide is encoded yet", path=store.path, hint="compress it first")
    if encoded < covered:
        failed = int(store.failed.sum())
        lost = f", {failed:,} cannot be read" if failed else ""
        console.warning(f"note: {store.path} is not complete: {encoded:,} of {covered:,} cells encoded{lost}")
    return store


def check_not_slide(store: CompressedSlide, target: Path) -> None:
    """Make sure that a picture is not written over the slide that a store was made from.

    Raises
    ------
    StoreError
        If it would be.
    """
    from napari_nic.embeddings import open_slide_of

    if not (exists(target) and target.is_file()):
        return
    try:
        with telling(None), open_slide_of(store.header, target) as slide:
            is_slide = slide.fingerprint == store.header.slide_fingerprint
    except NicError:
        return  # not even a picture that we know
    if is_slide:
        raise StoreError("the output is the slide itself", path=target, hint="choose another name (--out)")
