"""A folder of a Zarr whose chunks are looked at before a codec sees them.

Blosc's decoder believes a chunk's header: what a file that was cut off lacks it reads from behind the end of
the memory, and the process dies of it. So a chunk that is shorter than its header says is refused here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.storage import LocalStore

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

_ATTEMPTS = 5
"""A file that was fetched may have to give way to others before it is read."""

_HEADER = 16
"""Bytes of a Blosc header: four of flags, then the decoded, block and packed sizes, four bytes each."""


class CheckedStore(LocalStore):
    """A folder, read only.

    Parameters
    ----------
    root : Path
    fetch : callable, optional
        Called with the path of each file before it is read, which may have to come from elsewhere; says
        whether it is there.
    """

    def __init__(self, root: Path, fetch: Callable[[Path], bool] | None = None) -> None:
        super().__init__(root, read_only=True)
        self._fetch = fetch
        self._largest: dict[str, int] = {}
        self._index_first: set[str] = set()

    def watch(self, array: zarr.Array[Any]) -> None:
        """Check the chunks of an array from now on, if Blosc packs them."""
        if not any("blosc" in type(codec).__name__.lower() for codec in array.compressors):
            return
        size = array.dtype.itemsize
        for side in array.chunks:
            size *= side
        self._largest[array.path] = size
        codecs = getattr(array.metadata, "codecs", ())
        if any(str(getattr(codec, "index_location", "end")).endswith("start") for codec in codecs):
            self._index_first.add(array.path)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return the bytes under `key`.

        Raises
        ------
        ValueError
            If they are a chunk that is shorter than its header says.
        """
        buffer = await self._get(key, prototype, byte_range)
        path = next((path for path in self._largest if key.startswith(f"{path}/")), None)
        if buffer is not None and path is not None and self._is_chunk(path, key, byte_range):
            _check(buffer.to_bytes()[:_HEADER], len(buffer), self._largest[path])
        return buffer

    async def _get(
        self, key: str, prototype: BufferPrototype | None, byte_range: ByteRequest | None
    ) -> Buffer | None:
        if self._fetch is None:
            return await super().get(key, prototype, byte_range)
        for _ in range(_ATTEMPTS):
            is_there = self._fetch(Path(self.root) / key)
            buffer = await super().get(key, prototype, byte_range)
            if buffer is not None or not is_there:
                return buffer
        # What is missing would be taken for background.
        raise ValueError("a chunk that was fetched, and gone before it was read")

    def _is_chunk(self, path: str, key: str, byte_range: ByteRequest | None) -> bool:
        """Whether bytes are a packed chunk: neither metadata nor the index of a shard."""
        if key.rpartition("/")[2] in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"):
            return False
        if isinstance(byte_range, SuffixByteRequest):
            return False
        at_start = isinstance(byte_range, RangeByteRequest) and byte_range.start == 0
        return not (at_start and path in self._index_first)


def _check(head: bytes, size: int, largest: int) -> None:
    if len(head) < _HEADER:
        raise ValueError(f"a chunk of {size} bytes, too few for its header")
    decoded, packed = (int.from_bytes(head[at : at + 4], "little") for at in (4, 12))
    if packed > size:
        raise ValueError(f"a chunk of {size} bytes, of which its header promises {packed}")
    if decoded > largest:
        raise ValueError(f"a chunk that holds {decoded} bytes, where {largest} are expected")
