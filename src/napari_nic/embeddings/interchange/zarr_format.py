"""The store itself, copied to another place."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from napari_nic.disk import exclusive, replacing_folder
from napari_nic.embeddings.creating import check_replaceable
from napari_nic.embeddings.dihedral import FOLDER
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.naming import renamed, without_old_names
from napari_nic.embeddings.layout import ATTRIBUTES_KEY, SUFFIX, open_group, read_description
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
        _rename(temporary, store)


def _rename(copy: Path, store: CompressedSlide) -> None:
    """Give the copy, and the turned stores in it, the name by which the slide goes now."""
    name = store.slide_name
    for root in (copy, *(copy / FOLDER).glob("*")):
        group = open_group(root, writable=True)
        description = read_description(group, root)
        old, new = description.header, renamed(description.header, name)
        if (new, new.origin) == (old, old.origin):
            continue
        attributes = {ATTRIBUTES_KEY: description._replace(header=new).to_dict()}
        if "ome" in group.attrs:  # the picture has a name too
            attributes["ome"] = without_old_names(group.attrs["ome"], old, name)
        group.attrs.update(attributes)


def default_name(header: StoreHeader) -> Path:
    """``{slide}.nic.zarr``."""
    return Path(f"{safe_name(header.slide_name)}{SUFFIX}")


EXPORTER = Exporter("napari-nic store (Zarr)", SUFFIX, default_name, write)
