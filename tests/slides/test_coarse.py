"""Levels that the file lacks: made once, from afar first, and never held whole."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.geometry import RegionPx
from napari_nic.slides import coarse
from napari_nic.slides.coarse import BLOCK, OVERVIEW_SIDE, CoarserLevels, halving_counts
from napari_nic.slides.model import Level


class Base:
    """A level of noise that counts how often each of its pixels is read."""

    def __init__(self, height: int, width: int) -> None:
        rng = np.random.default_rng(1)
        self.pixels = rng.integers(0, 255, (height, width, 3), np.uint8)
        self.level = Level(height, width, 1.0, 1.0, (256, 256))
        self.read_counts = np.zeros((height, width), int)

    def read(self, region: RegionPx) -> np.ndarray:
        place = np.s_[region.y : region.bottom, region.x : region.right]
        self.read_counts[place] += 1
        return self.pixels[place]

    def halvings(self) -> CoarserLevels:
        return CoarserLevels(self.level, halving_counts([self.level])[0], self.read, (255, 255, 255))


@pytest.mark.parametrize("shape", [(5000, 7300), (1024, 9000), (4096, 4096)])
def test_an_overview_reads_each_pixel_once_and_is_then_at_hand(shape, monkeypatch):
    monkeypatch.setattr(coarse, "LEVEL_CACHE_BYTES", 6 * 3 * BLOCK**2)
    base = Base(*shape)
    halvings, other = base.halvings(), base.halvings()
    reports = list(halvings.iter_fill())
    assert [report.done for report in reports] == list(range(1, reports[-1].total + 1))
    assert (base.read_counts == 1).all()
    last = len(halvings.levels) - 1
    seen = halvings.levels[last]
    assert max(seen.shape) <= OVERVIEW_SIDE
    overview = halvings.read(last, seen.region)
    assert (base.read_counts == 1).all(), "the overview was kept"
    np.testing.assert_array_equal(overview, other.read(last, seen.region))


def test_an_overview_can_be_left_half_made():
    base = Base(4096, 4096)
    halvings = base.halvings()
    making = halvings.iter_fill()
    next(making)
    making.close()
    assert 0 < (base.read_counts > 0).mean() < 0.1
    assert halvings.read(1, RegionPx(0, 0, 10, 10)).shape == (10, 10, 3)


def test_where_nothing_is_missing_nothing_is_made():
    base = Base(300, 400)
    assert list(base.halvings().iter_fill()) == []
    assert not base.read_counts.any()
