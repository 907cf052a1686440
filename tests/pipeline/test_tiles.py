import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_nic.errors import DamagedSlideError
from napari_nic.pipeline.tiles import TilePool


class Decoder:
    """Counts how often each tile is decoded."""

    def __init__(self, broken=()):
        self.calls = Counter()
        self.broken = set(broken)
        self._lock = threading.Lock()

    def __call__(self, row, col):
        with self._lock:
            self.calls[row, col] += 1
        if (row, col) in self.broken:
            raise DamagedSlideError("bad tile")
        return np.full((10, 10, 3), row * 16 + col, np.uint8)


def test_many_threads_decode_each_tile_once_and_nothing_stays():
    decoder = Decoder()
    positions = [(r, c) for r in range(12) for c in range(12)] * 3
    pool = TilePool(decoder, Counter(positions))
    np.random.default_rng(0).shuffle(positions)
    with ThreadPoolExecutor(8) as executor:
        tiles = list(executor.map(lambda p: (p, pool.get(tuple(p))), positions))
    assert all((tile == p[0] * 16 + p[1]).all() for p, tile in tiles)
    assert set(decoder.calls.values()) == {1}
    assert pool.bytes_held == 0


def test_a_tile_is_kept_until_its_last_use():
    decoder = Decoder()
    pool = TilePool(decoder, Counter({(0, 0): 2}))
    pool.get((0, 0))
    assert pool.bytes_held == 300
    pool.get((0, 0))
    assert pool.bytes_held == 0
    assert decoder.calls[0, 0] == 1


def test_past_its_budget_the_pool_decodes_again_instead_of_growing():
    decoder = Decoder()
    pool = TilePool(decoder, Counter({(0, c): 2 for c in range(10)}), budget=900)
    for column in range(10):
        pool.get((0, column))
        assert pool.bytes_held <= 900
    pool.get((0, 0))
    pool.get((0, 9))
    assert decoder.calls[0, 0] == 2
    assert decoder.calls[0, 9] == 1


def test_a_tile_that_cannot_be_decoded_raises_for_everyone_who_asks():
    pool = TilePool(Decoder(broken=[(1, 1)]), Counter({(1, 1): 4}))
    with ThreadPoolExecutor(4) as executor:
        futures = [executor.submit(pool.get, (1, 1)) for _ in range(4)]
    for future in futures:
        with pytest.raises(DamagedSlideError):
            future.result()
    assert pool.bytes_held == 0


def test_a_tile_of_one_colour_that_is_not_written_out_takes_no_room():
    color = np.array([255, 255, 255], np.uint8)
    pool = TilePool(lambda _row, _col: np.broadcast_to(color, (10, 10, 3)), Counter({(0, 0): 2, (0, 1): 2}))
    pool.get((0, 0))
    pool.get((0, 1))
    assert pool.bytes_held == 0
    pool.get((0, 0))
    assert pool.bytes_held == 0
