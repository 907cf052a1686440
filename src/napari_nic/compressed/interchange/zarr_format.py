"""The store itself, copied to another place."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from napari_nic.compressed.header import StoreHeader
from napari_nic.compressed.interchange.registry import Exporter
from napari_nic.compressed.layout import SUFFIX
from napari_nic.compressed.store import CompressedSlide
from napari_nic.disk import exclusive
from napari_nic.errors import StoreError


def write(store: CompressedSlide, path: Path) -> None:
    """Copy a store; a copy appears under its name when it is whole."""
    if path.exists() and path.resolve() == store.path.resolve():
        raise StoreError("a store cannot be copied onto itself", path=path, hint="choose another output")
    if store.writable:
        store.flush()
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with exclusive(store.path):
            shutil.copytree(store.path, temporary, ignore=shutil.ignore_patterns("*.partial", ".lock"))
        if path.exists():
            CompressedSlide.open(path)  # raises on what is no store of ours: that is never replaced
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def default_name(header: StoreHeader) -> Path:
    """``{slide}.nic.zarr``."""
    return Path(f"{header.slide_name}{SUFFIX}")


EXPORTER = Exporter("napari-nic store (Zarr)", SUFFIX, default_name, write)
