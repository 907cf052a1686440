"""Open a store to go on with it, where there may be nothing left to do."""

from __future__ import annotations

import os
from pathlib import Path

from napari_nic.embeddings.layout import COMPLETE
from napari_nic.embeddings.store import CompressedSlide


def open_to_go_on(path: Path) -> CompressedSlide:
    """Open a store for writing; for reading if it is complete and may not be written.

    Archives and shared disks are often read-only, and to find out that all is there needs no writing.

    Raises
    ------
    StoreError
        As of :meth:`CompressedSlide.open`; so if it is not complete and may not be written.
    """
    if path.exists() and not os.access(path, os.W_OK):
        store = CompressedSlide.open(path)
        if store.is_complete and store.status == COMPLETE:
            return store
    return CompressedSlide.open(path, mode="r+")
