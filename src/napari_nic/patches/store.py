"""The patch store: patches of slides and tiles in one Zarr v3 group, with what each of them is.

::

    NAME.patches.zarr/
      zarr.json        attributes: napari_nic_patches {schema, size, mpp, class_names, sources, skipped, ...}
      images/          (n, s, s, 3) uint8 RGB, sharded
      source, y, x     (n,) index into the sources; top left corner in the source's pixels
      label            (n,) index into the class names, -1 for none
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.names import PATCHES_SUFFIX
from napari_nic.patches.records import PatchOrigin, StoreRecord
from napari_nic.patches.splits import split_by_group
from napari_nic.patches.writing import (
    ATTRIBUTES_KEY,
    COLUMNS,
    NO_LABEL,
    SCHEMA_VERSION,
    zarr_attributes,
)

if TYPE_CHECKING:
    from napari_nic.patches.stored import StoredPatches

_UNDECODABLE = (ValueError, RuntimeError, KeyError, TypeError, OSError)
"""What zarr and its codecs raise on bytes that are not what they should be."""


class PatchStore:
    """Patches with their provenance; opened by :meth:`open`, made by ``extract_patches``.

    Opening reads the attributes and the columns, no picture. Safe to use from several threads.

    Attributes
    ----------
    path : Path
    record : StoreRecord
        Size, resolution, classes, sources, and what was skipped.
    source_index : ndarray of int64, (n,)
        Of each patch, index into `record.origins`.
    y, x : ndarray of float64, (n,)
        Top left corner in pixels of the source: level 0 of a slide, the file of a tile.
    labels : ndarray of int64, (n,)
        Index into `record.class_names`; -1 for a patch without label.
    """

    def __init__(self, path: Path, group: zarr.Group, record: StoreRecord) -> None:
        self.path = path
        self.record = record
        columns = {name: _column(group, name, path) for name in COLUMNS}
        self.source_index = columns["source"].astype(np.int64)
        self.y, self.x = columns["y"], columns["x"]
        self.labels = columns["label"].astype(np.int64)
        self._images = _array(group, "images", path)
        self._shard = (self._images.shards or self._images.chunks)[0]
        self._check()

    @classmethod
    def open(cls, path: Path | str) -> PatchStore:
        """Open a store for reading.

        Raises
        ------
        StoreError
            If `path` is no patch store, of another schema version, or damaged; the text says which part.
        """
        path = Path(path)
        if not path.exists():
            raise StoreError(
                "there is no such patch store", path=path, hint="make it with: napari-nic patches extract"
            )
        record = _read_record(path)
        return cls(path, zarr.open_group(LocalStore(path, read_only=True), mode="r", zarr_format=3), record)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return (
            f"PatchStore({str(self.path)!r}, {len(self)} patches of {self.size} px at {self.mpp:g} um/px, "
            f"{len(self.record.origins)} sources)"
        )

    @property
    def size(self) -> int:
        """Side of a patch in pixels."""
        return self.record.size

    @property
    def mpp(self) -> float:
        """Resolution of the patches, um/px."""
        return self.record.mpp

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if no patch has a label."""
        return self.record.class_names

    @property
    def origins(self) -> tuple[PatchOrigin, ...]:
        """Slides and tiles that the patches are from."""
        return self.record.origins

    @cached_property
    def groups(self) -> np.ndarray:
        """Slide or patient of each patch, (n,) str."""
        return np.array([origin.group for origin in self.origins])[self.source_index]

    @cached_property
    def cells(self) -> np.ndarray:
        """(row, col) of each patch in the grid of its source, (n, 2) int64."""
        steps = np.array([origin.step_px for origin in self.origins])[self.source_index]
        return np.rint(np.stack([self.y, self.x], axis=1) / steps).astype(np.int64)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Read patches in any order, also several times the same.

        Returns
        -------
        ndarray of uint8, (len(indices), s, s, 3), RGB

        Raises
        ------
        InvalidParameterError
            If an index is below 0 or not below the number of patches.
        StoreError
            If the pictures are damaged.
        """
        wanted = np.asarray(indices, np.int64)
        if len(wanted) == 0:
            return np.empty((0, *self._images.shape[1:]), np.uint8)
        if wanted.min() < 0 or wanted.max() >= len(self):
            raise InvalidParameterError(
                "no such patch", expected=f"0 to {len(self) - 1}", found=f"{wanted.min()} to {wanted.max()}"
            )
        # Each chunk is decoded once, however many of its patches are asked for.
        unique, places = np.unique(wanted, return_inverse=True)
        try:
            images = self._read_sorted(unique)
        except _UNDECODABLE as error:
            raise _damaged(self.path, f"images: {type(error).__name__}: {error}") from error
        return images if np.array_equal(places, np.arange(len(unique))) else images[places]

    def _read_sorted(self, wanted: np.ndarray) -> np.ndarray:
        """Read ascending, distinct patches: neighbouring chunks of a shard together, each once."""
        images = np.empty((len(wanted), *self._images.shape[1:]), np.uint8)
        chunks = wanted // self._images.chunks[0]
        shards = wanted // self._shard
        # zarr's own indexing by a list takes up to a hundred times as long on a sharded array.
        ends = np.flatnonzero((np.diff(chunks) > 1) | (np.diff(shards) > 0)) + 1
        for start, stop in zip([0, *ends], [*ends, len(wanted)], strict=True):
            run = wanted[start:stop]
            images[start:stop] = np.asarray(self._images[run[0] : run[-1] + 1])[run - run[0]]
        return images

    def source(
        self, indices: Sequence[int] | np.ndarray | None = None, *, memory_bytes: int | None = None
    ) -> StoredPatches:
        """Return a :class:`~napari_nic.patches.PatchSource` of these patches, or of all.

        Parameters
        ----------
        indices : sequence of int, optional
        memory_bytes : int, optional
            Patches that take no more than this are read once and kept; others are read when they are drawn.
            2 GiB by default.
        """
        from napari_nic.patches.stored import MEMORY_BYTES, StoredPatches

        chosen = np.arange(len(self)) if indices is None else np.asarray(indices, np.int64)
        return StoredPatches(
            self, chosen, memory_bytes=MEMORY_BYTES if memory_bytes is None else memory_bytes
        )

    def split(self, shares: Sequence[float], *, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Split by slide or patient; see :func:`~napari_nic.patches.split_by_group`."""
        return split_by_group(self.groups, shares, labels=self.labels, seed=seed)

    def _check(self) -> None:
        shape = (len(self), self.size, self.size, 3)
        if self._images.shape != shape:
            raise _damaged(self.path, f"array 'images' has shape {self._images.shape}, not {shape}")
        shards = -(-len(self) // self._shard)
        files = (self.path / "images" / "c" / str(shard) / "0" / "0" / "0" for shard in range(shards))
        lost = [file for file in files if not file.is_file()]
        if lost:
            raise _damaged(
                self.path, f"{len(lost)} of {shards} files of pictures are missing, first {lost[0]}"
            )
        lengths = {len(self.source_index), len(self.y), len(self.x), len(self.labels)}
        if len(lengths) > 1:
            raise _damaged(self.path, f"columns of different lengths: {sorted(lengths)}")
        for name, values, limit, least in (
            ("source", self.source_index, len(self.origins), 0),
            ("label", self.labels, len(self.class_names), NO_LABEL),
        ):
            if len(values) and not (least <= values.min() and values.max() < limit):
                raise _damaged(self.path, f"column {name!r} names what the attributes do not hold")


def _read_record(path: Path) -> StoreRecord:
    data = zarr_attributes(path).get(ATTRIBUTES_KEY)
    if not isinstance(data, dict):
        raise StoreError(
            "this is not a patch store",
            path=path,
            expected=f"a folder *{PATCHES_SUFFIX} (Zarr v3) with an attribute {ATTRIBUTES_KEY!r}",
            found="a file" if path.is_file() else "no such attribute",
        )
    if data.get("schema") != SCHEMA_VERSION:
        raise StoreError(
            "the patch store has another schema version",
            path=path,
            expected=f"{SCHEMA_VERSION}",
            found=f"{data.get('schema')}, written by {data.get('software', 'an unknown program')}",
            hint="install a version of napari-nic that fits, or extract the patches again",
        )
    try:
        return StoreRecord.from_dict({name: value for name, value in data.items() if name != "schema"})
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"the attributes: {type(error).__name__}: {error}") from error


def _array(group: zarr.Group, name: str, path: Path) -> zarr.Array[Any]:
    try:
        array = group[name]
    except _UNDECODABLE as error:
        raise _damaged(path, f"array {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(array, zarr.Array):
        raise _damaged(path, f"{name!r} is no array")
    return array


def _column(group: zarr.Group, name: str, path: Path) -> np.ndarray:
    array = _array(group, name, path)
    try:
        return np.asarray(array[:])
    except _UNDECODABLE as error:
        raise _damaged(path, f"column {name!r}: {type(error).__name__}: {error}") from error


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(
        "the patch store is damaged",
        path=path,
        found=found,
        hint="restore it from a copy, or extract the patches again with --overwrite",
    )
