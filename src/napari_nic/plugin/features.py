"""Other programs' features that are dropped on the window: which files are such, told quickly."""

from __future__ import annotations

from pathlib import Path

from napari_nic.embeddings import IMPORTERS
from napari_nic.embeddings.interchange import is_feature_path
from napari_nic.names import ARRAY_SUFFIXES, HDF5_SUFFIXES, has_suffix

LOOKED_AT = 2**20
"""Bytes at both ends of an HDF5 file in which the names of its tables are looked for: the library itself is
asked in a process of its own, which takes too long to say whether a file is meant for us."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HDF5_TABLES = (b"features", b"feats", b"obsm")
_NIC_ARRAYS = (ARRAY_SUFFIXES[0], "features.npy")
_OUTLINES = "shapes.parquet"
_ANY_FILE = frozenset({"npy", "clam-pt", "unplaced"})
"""Formats that take any file of a suffix, which may be meant for other readers of napari."""


def looks_like_features(path: Path) -> bool:
    """Whether a file or folder is one of features that can be imported; nothing of others' is claimed."""
    try:
        return is_feature_path(path) and _is_recognised(path)
    except OSError:
        return False


def _is_recognised(path: Path) -> bool:
    if has_suffix(path, *HDF5_SUFFIXES, ".h5ad"):
        return _names_features(path)
    if has_suffix(path, ARRAY_SUFFIXES[-1]):  # any other array is a picture to napari
        return path.name.lower().endswith(_NIC_ARRAYS)
    if path.name.lower().endswith(_OUTLINES):
        return False
    names = (name for name in IMPORTERS if name not in _ANY_FILE)
    return any(IMPORTERS.get(name).recognises(path) for name in names) or _has_table(path)


def _has_table(path: Path) -> bool:
    """Whether CLAM's table lies beside a tensor."""
    return path.parent.name == "pt_files" and path.suffix == ".pt"


def _names_features(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(LOOKED_AT)
        if not head.startswith(_HDF5_MAGIC):
            return False
        file.seek(max(0, path.stat().st_size - LOOKED_AT))
        tail = file.read(LOOKED_AT)
    return any(name in part for name in _HDF5_TABLES for part in (head, tail))
