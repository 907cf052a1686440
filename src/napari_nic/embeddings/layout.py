"""How a compressed slide lies on disk: names, shapes, codecs, and what file-system errors mean.

::

    {slide}.nic.zarr/            Zarr v3 group
      zarr.json                  attributes: napari_nic {schema, status, header}, ome {preview}
      embeddings/                (rows, cols, C) float16, 0 where nothing is encoded
      coverage/                  (rows, cols) bool, cells that are wanted (tissue)
      done/                      (block_rows, block_cols) bool, blocks whose codes are on disk
      failed/                    (rows, cols) bool, cells whose pixels could not be read; absent where none
      offsets/                   (rows, cols, 2) float32, (y, x) level-0 pixels from the corner of a cell to
                                 that of its patch; only where another program cut patches off the grid
      preview/0..n               (c, y, x) uint8, PCA-RGB picture

One shard file of `embeddings` holds ``SHARD`` x ``SHARD`` cells in inner chunks of ``BLOCK`` x ``BLOCK``, so
that a block is the unit of work, of reading and of resuming, while the number of files stays small.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore, MemoryStore

from napari_nic.descriptions import sealed, unsealed
from napari_nic.embeddings.header import StoreHeader
from napari_nic.errors import StoreError
from napari_nic.names import STORE_SUFFIX

if TYPE_CHECKING:
    from zarr.abc.codec import BytesBytesCodec
    from zarr.core.buffer import Buffer

BLOCK = 16
"""Side of a block in cells: the unit of work and the inner chunk."""

SHARD = 64
"""Side of a shard in cells: one file."""

BLOCKS_PER_SHARD = SHARD // BLOCK

_OFFSET_CHUNK = (256, 256)

SCHEMA_VERSION = 1
"""Raised when a store of this version cannot be read by the previous one."""

ATTRIBUTES_KEY = "napari_nic"
SUFFIX = STORE_SUFFIX
PARTIAL, COMPLETE = "partial", "complete"

CODEC = ZstdCodec(level=1, checksum=True)
"""Level 1 saves 8 % of the covered cells (float16 mantissas are noise; higher levels save nothing more) for
1 ms a shard of C = 128, and its checksum finds bit rot."""

FAST_CODEC = ZstdCodec(level=-1, checksum=True)
"""For imported codes, which are longer than ours, where most of their blocks is empty: five times as fast,
and nothing saved but that. Others are kept as they are, see :mod:`~napari_nic.embeddings.plain_shards`."""


class Description(NamedTuple):
    """What the root attributes say of a store.

    Attributes
    ----------
    header : StoreHeader
    status : str
        ``"partial"`` or ``"complete"``.
    store_id : str
        Tells a store from one that replaced it under the same name.
    """

    header: StoreHeader
    status: str
    store_id: str

    def to_dict(self) -> dict[str, Any]:
        """Our entry among the root attributes."""
        own = {"schema": SCHEMA_VERSION, "status": self.status, "id": self.store_id}
        return sealed(own | self.header.to_dict())


def block_shape(rows: int, cols: int) -> tuple[int, int]:
    """(block_rows, block_cols) of a grid."""
    return math.ceil(rows / BLOCK), math.ceil(cols / BLOCK)


def blocks_with_cells(cells: np.ndarray) -> np.ndarray:
    """Tell which blocks hold at least one marked cell.

    Parameters
    ----------
    cells : ndarray of bool, (rows, cols)

    Returns
    -------
    ndarray of bool, (block_rows, block_cols)
    """
    block_rows, block_cols = block_shape(*cells.shape)
    padded = np.zeros((block_rows * BLOCK, block_cols * BLOCK), bool)
    padded[: cells.shape[0], : cells.shape[1]] = cells
    return np.asarray(padded.reshape(block_rows, BLOCK, block_cols, BLOCK).any(axis=(1, 3)))


def cells_of_blocks(blocks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Spread a raster of blocks over the cells; the inverse of :func:`blocks_with_cells`."""
    return blocks.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: shape[0], : shape[1]]


def create_arrays(
    root: Path,
    header: StoreHeader,
    coverage: np.ndarray,
    done: np.ndarray,
    *,
    codec: BytesBytesCodec = CODEC,
) -> None:
    """Write an empty store into a folder of its own; see the module's text for the layout."""
    # It is made in memory and written from there file by file: zarr itself writes several files at once, and
    # when one fails the others may still appear after the folder was cleaned up.
    files: dict[str, Buffer] = {}
    description = Description(header, COMPLETE if done.all() else PARTIAL, uuid.uuid4().hex)
    group = zarr.create_group(MemoryStore(files), attributes={ATTRIBUTES_KEY: description.to_dict()})
    code_size = header.code_size
    group.create_array(
        "embeddings",
        shape=(*header.grid.shape, code_size),
        dtype="float16",
        chunks=(BLOCK, BLOCK, code_size),
        shards=(SHARD, SHARD, code_size),
        compressors=codec,
        fill_value=0,
        dimension_names=("y", "x", "channel"),
    )
    _create_flags(group, "coverage", coverage)
    _create_flags(group, "done", done)
    for key, content in files.items():
        target = root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.to_bytes())


def _create_flags(group: zarr.Group, name: str, values: np.ndarray) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        dtype="bool",
        chunks=values.shape,
        compressors=CODEC,
        fill_value=False,
        dimension_names=("y", "x"),
        # So that a file that got lost is told from one that holds no True.
        config={"write_empty_chunks": True},
    )
    array[:] = values


def add_offsets(root: Path, shape: tuple[int, int], cells: np.ndarray, offsets: np.ndarray) -> None:
    """Write where patches lie exactly, into the folder of a new store.

    Parameters
    ----------
    root : Path
    shape : (int, int)
        (rows, cols) of the grid.
    cells : ndarray of int, (N, 2)
    offsets : ndarray of float, (N, 2)
        (y, x), level-0 pixels.
    """
    array = open_group(root, writable=True).create_array(
        "offsets",
        shape=(*shape, 2),
        dtype="float32",
        chunks=(*_OFFSET_CHUNK, 2),
        compressors=CODEC,
        fill_value=0,
        dimension_names=("y", "x", "axis"),
    )
    chunks = cells // _OFFSET_CHUNK[0]
    for row, col in np.unique(chunks, axis=0):
        here = (chunks == (row, col)).all(axis=1)
        first = np.array((row, col)) * _OFFSET_CHUNK
        part = np.zeros((*np.minimum(_OFFSET_CHUNK, shape - first), 2), np.float32)
        part[tuple((cells[here] - first).T)] = offsets[here]
        array[first[0] : first[0] + part.shape[0], first[1] : first[1] + part.shape[1]] = part


def read_offsets(group: zarr.Group, shape: tuple[int, int], cells: np.ndarray, path: Path) -> np.ndarray:
    """Read where the patches of cells (N, 2) lie exactly, (N, 2) float64; zeros where all are on the grid."""
    if not len(cells) or not (path / "offsets").exists():
        return np.zeros((len(cells), 2))
    array = get_array(group, "offsets", (*shape, 2), path)
    found = np.zeros((len(cells), 2))
    bands = cells[:, 0] // _OFFSET_CHUNK[0]
    try:
        for band in np.unique(bands):
            here, first = bands == band, int(band) * _OFFSET_CHUNK[0]
            rows = np.asarray(array[first : first + _OFFSET_CHUNK[0]])
            found[here] = rows[cells[here, 0] - first, cells[here, 1]]
    except (ValueError, RuntimeError, OSError, ExceptionGroup) as error:
        raise damaged(path, f"array 'offsets': {error}") from error
    if not np.isfinite(found).all():
        raise damaged(path, "array 'offsets' holds no numbers")
    return found


def read_description(group: zarr.Group, path: Path) -> Description:
    """Read our entry among the root attributes.

    Raises
    ------
    StoreError
        If the group is no compressed slide, of a later schema, or lacks an entry.
    """
    data = group.attrs.get(ATTRIBUTES_KEY)
    if not isinstance(data, dict):
        raise StoreError(
            "this Zarr group is not a compressed slide",
            path=path,
            expected=f"an attribute {ATTRIBUTES_KEY!r}",
            found=f"attributes {sorted(group.attrs)}",
        )
    schema = data.get("schema")
    if schema != SCHEMA_VERSION:
        raise StoreError(
            "the store has another schema version",
            path=path,
            expected=f"{SCHEMA_VERSION}",
            found=f"{schema}, written by {data.get('software', 'an unknown program')}",
            hint="install a version of napari-nic that fits, or compress the slide again",
        )
    data = unsealed(data, path, StoreError)  # another grid, for instance, would put every overlay elsewhere
    try:
        return Description(StoreHeader.from_dict(data), str(data["status"]), str(data["id"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise damaged(path, f"the header: {type(error).__name__}: {error}") from error


def replace_header(root: Path, header: StoreHeader) -> None:
    """Write another header into the folder of a new store."""
    group = open_group(root, writable=True)
    group.attrs[ATTRIBUTES_KEY] = read_description(group, root)._replace(header=header).to_dict()


def remove_half_files(path: Path) -> None:
    """Remove what zarr had not renamed yet when a run was killed; for the one process that writes now."""
    arrays = ("embeddings", "coverage", "done", "failed", "offsets", "preview")
    found = [path.glob("*.partial"), *((path / name).rglob("*.partial") for name in arrays)]
    for file in itertools.chain.from_iterable(found):
        if _HALF_FILE.search(file.name):
            file.unlink(missing_ok=True)


_HALF_FILE = re.compile(r"\.[0-9a-f]{32}\.partial$")


def is_marked(path: Path) -> bool | None:
    """Whether the ``zarr.json`` of a folder bears our attribute; None if it cannot be read at all."""
    try:
        data = json.loads((path / "zarr.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    attributes = data.get("attributes") if isinstance(data, dict) else None
    return isinstance(attributes, dict) and ATTRIBUTES_KEY in attributes


def open_group(path: Path, *, writable: bool = False) -> zarr.Group:
    """Open the root group.

    Raises
    ------
    StoreError
        If there is none.
    """
    if not path.exists():
        raise StoreError("there is no such store", path=path, hint="compress the slide first")
    if not (path / "zarr.json").is_file():
        raise StoreError(
            "this is not a compressed slide",
            path=path,
            expected=f"a folder *{SUFFIX} (Zarr v3)",
            found="a file" if path.is_file() else "a folder without zarr.json",
        )
    try:
        return zarr.open_group(
            LocalStore(path, read_only=not writable), mode="r+" if writable else "r", zarr_format=3
        )
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise damaged(path, f"zarr.json: {type(error).__name__}: {error}") from error


def get_array(group: zarr.Group, name: str, shape: tuple[int, ...], path: Path) -> zarr.Array[Any]:
    """Get one of our arrays and check that it has the shape that the header promises."""
    try:
        array = group[name]
    except (KeyError, ValueError, TypeError, OSError, RecursionError) as error:
        raise damaged(path, f"array {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(array, zarr.Array) or array.shape != shape:
        raise damaged(path, f"array {name!r} has shape {getattr(array, 'shape', None)}, not {shape}")
    found = (str(array.dtype), array.chunks, array.shards, array.fill_value)
    if found != _layout_of(name, shape):
        raise damaged(path, f"array {name!r} is laid out as {found}, not as {_layout_of(name, shape)}")
    return array


def _layout_of(name: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], tuple[int, ...] | None, int]:
    """Type, chunks, shards and fill value of one of our arrays, as it was created."""
    if name == "embeddings":
        return "float16", (BLOCK, BLOCK, shape[2]), (SHARD, SHARD, shape[2]), 0
    if name == "offsets":
        return "float32", (*_OFFSET_CHUNK, 2), None, 0
    return "bool", shape, None, 0


def read_flags(group: zarr.Group, name: str, shape: tuple[int, int], path: Path) -> np.ndarray:
    """Read `coverage` or `done`; both always have exactly one chunk file."""
    array = get_array(group, name, shape, path)
    if not (path / name / "c" / "0" / "0").is_file():
        raise damaged(path, f"array {name!r} has no data")
    try:
        return np.asarray(array[:], bool)
    except (ValueError, RuntimeError, OSError, ExceptionGroup) as error:
        raise damaged(path, f"array {name!r}: {error}") from error


def read_failed(group: zarr.Group, shape: tuple[int, int], path: Path) -> np.ndarray:
    """Read `failed`, which only a store has whose slide has damaged tiles."""
    # Made anew it lies there without data for a moment, or for good if the run was killed just then. No block
    # that failed is called done by that time.
    if not (path / "failed" / "c" / "0" / "0").is_file():
        return np.zeros(shape, bool)
    return read_flags(group, "failed", shape, path)


def write_failed(group: zarr.Group, failed: np.ndarray, path: Path) -> None:
    """Write `failed`; nothing where there never was one and none is needed."""
    if (path / "failed" / "zarr.json").is_file():
        writable_array(group, "failed", failed.shape, path)[:] = failed
    elif failed.any():
        _create_flags(group, "failed", failed)


def writable_array(group: zarr.Group, name: str, shape: tuple[int, ...], path: Path) -> zarr.Array[Any]:
    """Get one of our arrays so that zeros are written too: a lost file is then told from an empty one."""
    return get_array(group, name, shape, path).with_config({"write_empty_chunks": True})


def damaged(path: Path, found: str) -> StoreError:
    """Build the error for a store that cannot be trusted."""
    return StoreError(
        "the store is damaged",
        path=path,
        found=found,
        hint="restore it from a copy, or compress the slide again with --overwrite",
    )
