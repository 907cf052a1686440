"""The store itself, copied to another place."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from napari_nic.disk import exclusive, replacing_folder
from napari_nic.embeddings.creating import check_replaceable
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.registry import Exporter
from napari_nic.embeddings.layout import SUFFIX
from napari_nic.embeddings.lease import LEASE_FILE
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import safe_name


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Copy a store; a copy appears under its name when it is whole."""
    if path.exists() and path.resolve() == store.path.resolve():
        raise StoreError("a store cannot be copied onto itself", path=path, hint="choose another output")
    if store.writable:
        store.flush()
    check_replaceable(path, overwrite=True)  # whether it may at all was asked before

    def copy(source: str, target: str) -> str:
        """Copy a file, without its mode: of a read-only store a copy is made to go on with."""
        token.checkpoint()
        return shutil.copyfile(source, target)

    with replacing_folder(path) as temporary, exclusive(store.path):
        shutil.copytree(
            store.path,
            temporary,
            ignore=shutil.ignore_patterns("*.partial", ".lock", LEASE_FILE),
            copy_function=copy,
        )
        for folder in (temporary, *(entry for entry in temporary.rglob("*") if entry.is_dir())):
            folder.chmod(folder.stat().st_mode | stat.S_IRWXU)


def default_name(header: StoreHeader) -> Path:
    """``{slide}.nic.zarr``."""
    return Path(f"{safe_name(header.slide_name)}{SUFFIX}")


EXPORTER = Exporter("napari-nic store (Zarr)", SUFFIX, default_name, write)
