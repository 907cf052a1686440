"""Zarr folders of other programs: checked before they are opened, and read slab by slab.

A folder that came from anywhere may lead elsewhere by links, name decoders that run programs, or promise
more numbers than it holds: each is refused before the library looks at it.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.errors

from napari_nic.descriptions import read_json
from napari_nic.embeddings.interchange.hdf5 import ALWAYS_BYTES, MOST_RATIO
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import ZARR_FILES, is_folder
from napari_nic.zarr_files import CheckedStore

_ERRORS = (
    *(zarr.errors.BaseZarrError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError),
    *(NotImplementedError, OverflowError, ZeroDivisionError, RuntimeError, MemoryError, ExceptionGroup),
)
"""What zarr and its decoders raise over folders that are not what they should be."""

_CODECS = {
    "bytes",
    "blosc",
    "zstd",
    "gzip",
    "zlib",
    "lz4",
    "bz2",
    "lzma",
    "crc32c",
    "shuffle",
    "transpose",
} | {
    *("sharding_indexed", "vlen-utf8", "vlen-bytes"),
}
"""Decoders of bytes and texts; others, of pickles among them, are not let near."""

_MOST_FILES = 10**6
_PICTURES = ("images", "labels", "points")
"""Parts of a SpatialData folder that are not looked at, and may be many files."""


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder of Zarr."""
    return is_folder(path) and any((path / name).is_file() for name in ZARR_FILES)


def files_below(root: Path, folder: Path | None = None) -> tuple[Path, ...]:
    """List all files of a Zarr folder but those of its pictures, or of a part of it, sorted.

    Raises
    ------
    StoreError
        If one is a link that leads out of `root`, or no file at all.
    """
    found: list[Path] = []
    real = root.resolve()
    for place, folders, files in os.walk(folder or root):
        if Path(place) == root:
            folders[:] = [name for name in folders if name not in _PICTURES]
        for name in (*folders, *files):
            _check_inside(Path(place, name), real)
        found += [Path(place, name) for name in files]
        if len(found) > _MOST_FILES:
            raise StoreError("a Zarr of more files than can be", path=root, found=f"over {_MOST_FILES:,}")
    return tuple(sorted(found))


def _check_inside(path: Path, root: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        if not Path(os.path.realpath(path)).is_relative_to(root):  # which takes links in a circle, too
            raise StoreError("a link that leads out of the folder", path=path, hint="copy it into the folder")
        raise StoreError("a link within the folder", path=path, hint="copy what it leads to there")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StoreError("no regular file, within a folder of Zarr", path=path)


@dataclass(frozen=True, eq=False)
class ZarrFolder:
    """A Zarr folder that is open for reading; made by :func:`open_folder`.

    Attributes
    ----------
    path : Path
    group : zarr.Group
    """

    path: Path
    group: zarr.Group

    def attributes(self, name: str = "") -> dict[str, Any]:
        """Attributes of a group or array; none where there is none."""
        node = self.node(name)
        return {} if node is None else dict(node.attrs)

    def node(self, name: str) -> Any:
        """Return a group or array by its path, or None."""
        folder = self.path / name
        if not name or not is_zarr(folder):
            return None if name else self.group
        _check_metadata(folder)
        store = self.group.store
        with _told(folder):  # a part may be of another version of Zarr than the whole
            if _is_array(folder):
                return zarr.open_array(store, path=name, mode="r")
            return zarr.open_group(store, path=name, mode="r", use_consolidated=False)

    def members(self, name: str) -> tuple[str, ...]:
        """Names of the parts of a group, sorted; none where there is none."""
        folder = self.path / name
        if not is_folder(folder):
            return ()
        return tuple(sorted(entry.name for entry in folder.iterdir() if is_zarr(entry)))

    def array(self, name: str, *, is_whole: bool = True) -> ZarrRows:
        """Return an array of numbers, whose rows are read slab by slab.

        Parameters
        ----------
        name : str
        is_whole : bool
            Refuse one of whose chunks a file is missing: zarr would read zeros there.
        """
        array = self.node(name)
        if not isinstance(array, zarr.Array) or array.dtype.kind not in "fiu" or array.ndim < 1:
            raise StoreError("no table of numbers in the Zarr", path=self.path / name)
        _check_size(array, self.path / name)
        self.group.store.watch(array)  # type: ignore[attr-defined]  # a CheckedStore
        if is_whole:
            _check_chunks(array, self.path / name)
        return ZarrRows(array, self.path / name)

    def value(self, name: str) -> Any:
        """Read an array whole, one without axes as a number or text; None where there is none."""
        node = self.node(name)
        if not isinstance(node, zarr.Array):
            return None
        _check_size(node, self.path / name)
        with _told(self.path):
            read = np.asarray(node[...])
        return read.item() if read.ndim == 0 else read


@contextmanager
def open_folder(path: Path) -> Iterator[ZarrFolder]:
    """Open a Zarr folder of another program.

    Raises
    ------
    StoreError
        If it is none, leads elsewhere, or its metadata cannot be used.
    """
    files_below(path)
    _check_metadata(path)
    with _told(path):
        group = zarr.open_group(CheckedStore(path), mode="r", use_consolidated=False)
    yield ZarrFolder(path, group)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except _ERRORS as error:
        text = str(error).partition("\n")[0] or type(error).__name__
        raise StoreError(
            "the Zarr cannot be read", path=path, found=text[:200], hint="copy it again whole, with all files"
        ) from error


def _check_metadata(folder: Path) -> None:
    """Refuse metadata that name a decoder which is not known to decode bytes alone."""
    for name in ("zarr.json", ".zarray"):
        if (folder / name).is_file():
            described = read_json(folder / name, StoreError, what="the description in a Zarr folder")
            unknown = sorted(set(_codecs(described)) - _CODECS)
            if unknown:
                raise StoreError(
                    "packed in a way that is not read here", path=folder / name, found=", ".join(unknown)
                )


def _is_array(folder: Path) -> bool:
    if not (folder / "zarr.json").is_file():
        return (folder / ".zarray").is_file()
    described = read_json(folder / "zarr.json", StoreError, what="the description in a Zarr folder")
    return isinstance(described, dict) and described.get("node_type") == "array"


def _codecs(described: Any) -> Iterator[str]:
    """Names of all decoders that an array's description asks for."""
    if not isinstance(described, dict):
        return
    entries = described.get("codecs") or []
    if isinstance(entries, list):
        for entry in entries:
            inner = entry.get("configuration") if isinstance(entry, dict) else None
            yield str(entry.get("name") if isinstance(entry, dict) else entry).removeprefix("numcodecs.")
            yield from _codecs(inner)
            yield from _codecs({"codecs": inner.get("index_codecs")} if isinstance(inner, dict) else None)
    filters = described.get("filters") or []
    for entry in (described.get("compressor"), *(filters if isinstance(filters, list) else [filters])):
        if entry is not None:
            yield str(entry.get("id") if isinstance(entry, dict) else entry)


def _check_size(array: zarr.Array[Any], folder: Path) -> None:
    item = max(array.dtype.itemsize, 1) if array.dtype.kind != "O" else 8
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    wanted = max(math.prod(array.shape), math.prod(array.chunks)) * item
    if wanted > max(ALWAYS_BYTES, MOST_RATIO * stored):
        raise StoreError(
            "an array cannot be what it says",
            path=folder,
            expected=f"at most {MOST_RATIO} times the {stored:,} bytes on disk",
            found=f"{wanted:,} bytes",
        )


def _check_chunks(array: zarr.Array[Any], folder: Path) -> None:
    """Refuse an array of which a chunk is missing: it would be read as zeros."""
    stored = array.shards or array.chunks
    counts = [-(-side // step) for side, step in zip(array.shape, stored, strict=True)]
    for at in np.ndindex(*counts):
        key = array.metadata.encode_chunk_key(tuple(at))
        if not (folder / key).is_file():
            raise StoreError(
                "a part of the table is missing",
                path=folder,
                expected=f"the file {key}",
                found="none",
                hint="the copy is not complete, or the writer was interrupted: get it again",
            )


@dataclass(frozen=True, eq=False)
class ZarrRows:
    """Rows of an array of a Zarr; axes of length 1 behind the second are left out.

    Attributes
    ----------
    array : zarr.Array
    path : Path
    """

    array: Any
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,) or (N, C), or more."""
        shape = tuple(int(side) for side in self.array.shape)
        return shape[:2] if all(side == 1 for side in shape[2:]) else shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers, in this machine's order of bytes."""
        return np.dtype(self.array.dtype).newbyteorder("=")

    @property
    def chunks(self) -> tuple[int, ...]:
        """Sides of what is unpacked at once."""
        return tuple(int(side) for side in self.array.chunks)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        with _told(self.path):
            part = np.asarray(self.array[start:stop])
        return part.reshape(len(part), *self.shape[1:]).astype(self.dtype, copy=False)

    def read(self, token: CancellationToken) -> np.ndarray:
        """Read all rows, a chunk's at a time."""
        found = np.empty(self.shape, self.dtype)
        step = max(1, self.chunks[0])
        for start in checked(range(0, len(found), step), token):
            found[start : start + step] = self[start : start + step]
        return found
