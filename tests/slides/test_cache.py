"""The tile cache and the gate, under threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_nic.errors import DamagedSlideError, InvalidParameterError
from napari_nic.slides.cache import TileCache
from napari_nic.slides.counter import ReadCounter
from napari_nic.slides.gate import Gate

TILE = np.zeros((10, 10, 3), np.uint8)


def test_least_recently_used_go_first():
    cache = TileCache(max_bytes=2 * TILE.nbytes)
    made = []

    def get(key):
        return cache.get(key, lambda: made.append(key) or TILE.copy())

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    assert cache.nbytes == 2 * TILE.nbytes


def test_a_tile_larger_than_the_cache_is_not_kept():
    cache = TileCache(max_bytes=TILE.nbytes - 1)
    cache.get("a", TILE.copy)
    assert cache.nbytes == 0


def test_tiles_in_the_cache_cannot_be_changed():
    tile = TileCache().get("a", TILE.copy)
    with pytest.raises(ValueError, match="read-only"):
        tile[0] = 1


def test_clearing():
    cache = TileCache()
    cache.get("a", TILE.copy)
    cache.clear()
    assert cache.nbytes == 0


def test_threads_share_one_making():
    cache = TileCache()
    entered, go_on = threading.Event(), threading.Event()
    made = []

    def make():
        made.append(1)
        entered.set()
        go_on.wait(10)
        return TILE.copy()

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a", make)
        entered.wait(10)
        others = [pool.submit(cache.get, "a", make) for _ in range(3)]
        go_on.set()
        results = [future.result(10) for future in (first, *others)]
    assert len(made) == 1
    assert all(result is results[0] for result in results)


def test_an_error_reaches_all_and_is_not_kept():
    cache = TileCache()

    def fail():
        raise DamagedSlideError("broken")

    with pytest.raises(DamagedSlideError):
        cache.get("a", fail)
    assert cache.get("a", TILE.copy) is not None


def test_closing_waits_for_readers():
    gate = Gate()
    inside, leave = threading.Event(), threading.Event()
    order = []

    def read():
        with gate.reading():
            inside.set()
            leave.wait(10)
            order.append("read")

    def close():
        assert gate.close()
        order.append("closed")

    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(read)
        inside.wait(10)
        closing = pool.submit(close)
        leave.set()
        reading.result(10)
        closing.result(10)
    assert order == ["read", "closed"]
    assert not gate.is_open
    assert not gate.close()
    with pytest.raises(InvalidParameterError, match="closed"), gate.reading():
        pass


def test_counting():
    counter = ReadCounter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(counter.add, [0, 1] * 500))
    assert dict(counter.tiles) == {0: 500, 1: 500}
    assert counter.total == 1000
