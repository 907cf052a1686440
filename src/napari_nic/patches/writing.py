"""Write a patch store: pictures shard by shard as they come, columns and attributes at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore

from napari_nic.disk import replacing_folder
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.names import PATCHES_SUFFIX
from napari_nic.patches.records import PatchOrigin, StoreRecord

ATTRIBUTES_KEY = "napari_nic_patches"
SCHEMA_VERSION = 1
"""Raised when a store of this version cannot be read by the previous one."""

NO_LABEL = -1

COLUMNS = {"source": np.dtype(np.int32), "y": np.dtype(float), "x": np.dtype(float), "label": np.dtype("i2")}
"""Columns beside the array `images`. `y`, `x` are corners in the frame of the source, not rounded: on a level
that is no whole multiple of level 0, patches start between its pixels."""

CODEC = ZstdCodec(level=3, checksum=True)
"""Tissue at 1 um/px becomes 0.5 to 0.6 of its size, the best of zstd 1, zstd 3 and Blosc's shuffles."""

CHUNK_PATCHES, CHUNK_BYTES = 64, 2**20
SHARD_PATCHES, SHARD_BYTES = 2048, 64 * 2**20
"""Whichever bound is met first: large patches make smaller shards, since one is held in memory while it
fills, and smaller chunks, since one is decoded for every patch drawn at random."""


def shard_layout(size: int) -> tuple[int, int]:
    """Return (patches a chunk, patches a shard) for patches of side `size`."""
    patch_bytes = 3 * size * size
    chunk = min(CHUNK_PATCHES, max(1, CHUNK_BYTES // patch_bytes))
    shard = min(SHARD_PATCHES, SHARD_BYTES // patch_bytes)
    return chunk, max(1, shard // chunk) * chunk


@dataclass(frozen=True, eq=False)
class PatchPiece:
    """Patches of one source, on their way into a store.

    Attributes
    ----------
    images : ndarray of uint8, (n, s, s, 3), RGB
    corners : ndarray of float, (n, 2)
        (y, x) of the top left corners in the frame of the source.
    classes : tuple of str or None, n long
        None: no label.
    left_out : mapping of str to int
        Reason -> number of patches that are missing here because of it.
    """

    images: np.ndarray
    corners: np.ndarray
    classes: tuple[str | None, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


class PatchWriter:
    """Collects patches; made by :func:`writing_patches`.

    Parameters
    ----------
    folder : Path
        Made here, as a Zarr v3 group.
    size : int
        Side of a patch.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._group = zarr.create_group(LocalStore(folder))
        chunk, self._shard = shard_layout(size)
        self._images = self._group.create_array(
            "images",
            shape=(0, size, size, 3),
            dtype="uint8",
            chunks=(chunk, size, size, 3),
            shards=(self._shard, size, size, 3),
            compressors=CODEC,
            fill_value=0,
            dimension_names=("patch", "y", "x", "channel"),
            # So that a shard file that got lost is told from one of black patches.
            config={"write_empty_chunks": True},
        )
        self._buffer = np.empty((self._shard, size, size, 3), np.uint8)
        self._filled = 0
        self._origins: list[PatchOrigin] = []
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._classes: dict[str, int] = {}

    def __len__(self) -> int:
        return self._images.shape[0] + self._filled

    def add(self, piece: PatchPiece) -> None:
        """Take patches of the source that is added next by :meth:`close_source`."""
        count = len(piece.images)
        self._columns["source"].append(np.full(count, len(self._origins)))
        self._columns["y"].append(piece.corners[:, 0])
        self._columns["x"].append(piece.corners[:, 1])
        self._columns["label"].append(np.array([self._label(name) for name in piece.classes], int))
        self._put(piece.images)

    def close_source(self, origin: PatchOrigin) -> None:
        """Say where the patches since the last call are from."""
        self._origins.append(origin)

    def finish(self, record: StoreRecord) -> None:
        """Write what is left in memory, the columns and the attributes.

        Parameters
        ----------
        record : StoreRecord
            Origins and class names are filled in.

        Raises
        ------
        InvalidParameterError
            If no patch was added.
        """
        if not len(self):
            raise InvalidParameterError("there is no patch to store")
        self._flush()
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        names = sorted(self._classes)
        # Labels were numbered as they came; names sorted do not depend on the order of the files. The last
        # element is what the label -1 picks.
        ranks = np.array([names.index(name) for name in self._classes] + [NO_LABEL])
        columns["label"] = ranks[columns["label"].astype(int)]
        for name, dtype in COLUMNS.items():
            values = columns[name].astype(dtype)
            array = self._group.create_array(
                name, shape=values.shape, dtype=dtype, chunks=(max(1, len(values)),), compressors=CODEC
            )
            array[:] = values
        record = replace(record, class_names=tuple(names), origins=tuple(self._origins))
        self._group.attrs[ATTRIBUTES_KEY] = {"schema": SCHEMA_VERSION} | record.to_dict()

    def _label(self, name: str | None) -> int:
        return NO_LABEL if name is None else self._classes.setdefault(name, len(self._classes))

    def _put(self, images: np.ndarray) -> None:
        while len(images):
            room = self._shard - self._filled
            part, images = images[:room], images[room:]
            self._buffer[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            if self._filled == self._shard:
                self._flush()

    def _flush(self) -> None:
        """Write the buffer as one shard file."""
        if not self._filled:
            return
        start = self._images.shape[0]
        self._images.resize((start + self._filled, *self._images.shape[1:]))
        self._images[start:] = self._buffer[: self._filled]
        self._filled = 0


@contextmanager
def writing_patches(path: Path, size: int, *, overwrite: bool = False) -> Iterator[PatchWriter]:
    """Yield a writer into a folder of a temporary name, which becomes `path` if all goes well.

    Raises
    ------
    StoreError
        If something is in the way, the disk is full or the folder may not be written.
    """
    _check_free(path, overwrite=overwrite)
    with replacing_folder(path) as temporary:
        yield PatchWriter(temporary, size)


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not path.name.endswith(PATCHES_SUFFIX):
        raise StoreError(
            "a patch store is named by its ending", path=path, expected=f"a name like x{PATCHES_SUFFIX}"
        )
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise StoreError("a patch store of this name exists", path=path, hint="overwrite it (--overwrite)")
    # The ending alone is no proof: what is removed must be readable as ours, and hold nothing of others.
    if path.is_symlink() or not _holds_ours_only(path):
        raise StoreError(
            "something that is not a patch store is in the way",
            path=path,
            hint="it is not overwritten; choose another output",
        )


def _holds_ours_only(path: Path) -> bool:
    if ATTRIBUTES_KEY not in zarr_attributes(path):
        return False
    return {entry.name for entry in path.iterdir()} <= {"zarr.json", "images", *COLUMNS, *_OF_SYSTEMS}


_OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")


def zarr_attributes(path: Path) -> Mapping[str, Any]:
    """Return the attributes of the Zarr v3 group at `path`; empty if there is none."""
    try:
        return dict(zarr.open_group(LocalStore(path, read_only=True), mode="r", zarr_format=3).attrs)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
