"""Shard files whose blocks are kept as they are, each with its checksum: written and read at memory's speed.

The format is Zarr's own, ``sharding_indexed`` with ``bytes`` and ``crc32c`` inside, which zarr reads. It
would copy each of them several times on the way, and write none before all of its blocks are known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

from napari_nic.embeddings.layout import BLOCK, BLOCKS_PER_SHARD

if TYPE_CHECKING:
    import zarr

CODEC = Crc32cCodec()
"""Of arrays whose shards are such."""

_CHECKSUM = np.dtype("<u4")
_ABSENT = 2**64 - 1
_IN_SHARD = (BLOCKS_PER_SHARD, BLOCKS_PER_SHARD)
_INDEX_BYTES = 16 * BLOCKS_PER_SHARD**2 + _CHECKSUM.itemsize


def is_plain(array: zarr.Array[Any]) -> bool:
    """Whether the shards of an array are of this kind."""
    codecs: tuple[Any, ...] = getattr(array.metadata, "codecs", ())
    if len(codecs) != 1 or not isinstance(codecs[0], ShardingCodec) or sys.byteorder != "little":
        return False
    shard, as_is = codecs[0], (BytesCodec(endian="little"), CODEC)
    inside, of_index = tuple(shard.codecs), tuple(shard.index_codecs)
    place = getattr(shard.index_location, "value", shard.index_location)  # newer Zarr: a string
    return inside == of_index == as_is and place == "end"


class NewShard:
    """A shard file that is written block by block, in any order.

    Parameters
    ----------
    file : Path
    present : ndarray of bool, (block rows, block columns)
        Blocks that will be written; the others read as 0.
    code_size : int
        C.

    Attributes
    ----------
    file : Path
    """

    def __init__(self, file: Path, present: np.ndarray, code_size: int) -> None:
        self.file, self._left = file, int(present.sum())
        length = _block_bytes(code_size)
        self._index = np.full((*_IN_SHARD, 2), _ABSENT, "<u8")
        self._index[present, 0] = np.arange(self._left) * length
        self._index[present, 1] = length
        self._end = self._left * length

    def write(self, block: tuple[int, int], codes: np.ndarray) -> bool:
        """Write a block, (BLOCK * BLOCK, C) float16; return whether it was the last one of the file."""
        content = codes.reshape(-1).view(np.uint8)
        start, length = self._index[block].tolist()
        if start == _ABSENT or length != content.nbytes + _CHECKSUM.itemsize:
            raise ValueError(f"block {block} has no place in this shard")
        self._put(start, content, _checksum(content))
        self._left -= 1
        if not self._left:
            self._put(self._end, self._index, _checksum(self._index))
        return not self._left

    def _put(self, start: int, *pieces: np.ndarray) -> None:
        with self.file.open("r+b" if self.file.exists() else "xb", buffering=0) as stream:
            stream.seek(start)
            for piece in pieces:
                rest = piece.reshape(-1).view(np.uint8).data
                while rest:
                    rest = rest[stream.write(rest) :]


def read_shard(file: Path, rows: slice, cols: slice, codes: np.ndarray) -> None:
    """Read cells of a shard file.

    Parameters
    ----------
    file : Path
    rows, cols : slice
        Bounded, counted from the corner of the shard.
    codes : ndarray of float16, (len(rows), len(cols), C)
        Is filled.

    Raises
    ------
    ValueError
        If the file is not what it should be.
    """
    room = np.empty(_block_bytes(codes.shape[2]), np.uint8)
    with file.open("rb", buffering=0) as stream:
        index = _read_index(stream)
        for block_row, inside, there in _pieces(rows):
            for block_col, across, over in _pieces(cols):
                start, length = index[block_row, block_col].tolist()
                block = _read_block(stream, start, length, room)
                codes[there, over] = 0 if block is None else block[inside, across]


def _block_bytes(code_size: int) -> int:
    return BLOCK * BLOCK * code_size * np.dtype(np.float16).itemsize + _CHECKSUM.itemsize


def _pieces(span: slice) -> Iterator[tuple[int, slice, slice]]:
    """Yield blocks along an axis: number, which of its cells are wanted, and where they go."""
    for block in range(span.start // BLOCK, -(-span.stop // BLOCK)):
        start, stop = max(span.start, block * BLOCK), min(span.stop, (block + 1) * BLOCK)
        corner = block * BLOCK
        yield block, slice(start - corner, stop - corner), slice(start - span.start, stop - span.start)


def _read_index(stream: Any) -> np.ndarray:
    size = os.fstat(stream.fileno()).st_size
    if size < _INDEX_BYTES:
        raise ValueError(f"{size} bytes are too few for an index")
    found = np.empty(_INDEX_BYTES, np.uint8)
    return _checked(stream, size - _INDEX_BYTES, found).view("<u8").reshape(*_IN_SHARD, 2)


def _read_block(stream: Any, start: int, length: int, room: np.ndarray) -> np.ndarray | None:
    """Read a block (BLOCK, BLOCK, C); None of one that holds no codes."""
    if start == length == _ABSENT:
        return None
    if length != room.nbytes or start >= 2**63:
        raise ValueError(f"a block of {length} bytes at {start}, where {room.nbytes} were expected")
    return _checked(stream, start, room).view(np.float16).reshape(BLOCK, BLOCK, -1)


def _checked(stream: Any, start: int, room: np.ndarray) -> np.ndarray:
    """Read as many bytes as there is room for; return them without the checksum at their end."""
    stream.seek(start)
    rest = room.data
    while rest:
        count = stream.readinto(rest)
        if not count:
            raise ValueError("the file is cut off")
        rest = rest[count:]
    content, stated = room[: -_CHECKSUM.itemsize], room[-_CHECKSUM.itemsize :]
    if not np.array_equal(_checksum(content).view(np.uint8), stated):
        raise ValueError("the checksum is wrong")
    return content


def _checksum(content: np.ndarray) -> np.ndarray:
    return np.array([google_crc32c.value(content)], _CHECKSUM)
