"""A cache of decoded tiles: bounded in bytes, least recently used out first, one decode per tile."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

from napari_nic.slides.model import RgbArray

TILE_CACHE_BYTES = 64 * 2**20
"""More than one row of 240 px tiles of a 60,000 px slide (43 MiB), so that walking rows decodes once."""

_NOTE_BYTES = 256  # what it takes to remember that there is no tile


class TileCache:
    """Decoded tiles by key.

    Threads that ask for the same tile at once wait for the first of them instead of decoding it again.

    Parameters
    ----------
    max_bytes : int
        Tiles beyond this are let go, the least recently used first.
    """

    def __init__(self, max_bytes: int = TILE_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Hashable, RgbArray | None] = OrderedDict()
        self._pending: dict[Hashable, Future[RgbArray | None]] = {}
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        with self._lock:
            return self._bytes

    def get(self, key: Hashable, make: Callable[[], RgbArray | None]) -> RgbArray | None:
        """Return the tile under `key`, calling `make` if it is not held. Treat it as read-only.

        None, for a tile that a file leaves out, is kept too.
        """
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
            pending = self._pending.get(key)
            if pending is None:
                mine = self._pending[key] = Future()
        if pending is not None:
            return pending.result()
        try:
            tile = make()
        except BaseException as error:
            # Whoever waits gets the same error; the next one to ask tries again.
            with self._lock:
                del self._pending[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._pending[key]
            self._keep(key, tile)
        mine.set_result(tile)
        return tile

    def clear(self) -> None:
        """Let every tile go."""
        with self._lock:
            self._tiles.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, tile: RgbArray | None) -> None:
        if tile is not None:
            tile.flags.writeable = False
        if _size(tile) > self.max_bytes:
            return
        self._tiles[key] = tile
        self._bytes += _size(tile)
        while self._bytes > self.max_bytes:
            _, old = self._tiles.popitem(last=False)
            self._bytes -= _size(old)


def _size(tile: RgbArray | None) -> int:
    return _NOTE_BYTES if tile is None else tile.nbytes
