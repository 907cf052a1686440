"""The small picture of a whole slide: bounded in memory, cancelled between tiles, honest about damage."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_nic.errors import CancelledError, DamagedSlideError
from napari_nic.jobs import CancellationToken
from napari_nic.slides import open_slide, overview, read_overview
from napari_nic.slides.slide import Slide
from napari_nic.tissue import find_tissue


class StopsAt(CancellationToken):
    """Cancels itself at the n-th checkpoint."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def checkpoint(self):
        self.number -= 1
        if self.number == 0:
            self.cancel()
        super().checkpoint()


@pytest.fixture
def one_level(tmp_path, make_tissue, make_tiff):
    """1000 x 1400 px, 8 x 11 tiles of 128 px."""
    path = make_tiff(tmp_path / "one.tif", make_tissue(1000, 1400), factors=(1,), tile=128, compression=None)
    with open_slide(path) as slide:
        yield slide


def break_tiles(monkeypatch, broken):
    read_tile = Slide.read_stored_tile

    def read(self, level, row, col):
        if broken(row, col):
            raise DamagedSlideError("the tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    monkeypatch.setattr(Slide, "read_stored_tile", read)


@pytest.mark.parametrize("strip_pixels", [2**23, 2**14, 100])
def test_strips_and_pieces_change_no_pixel(one_level, monkeypatch, strip_pixels):
    whole = read_overview(one_level, 4.0)
    monkeypatch.setattr(overview, "STRIP_PIXELS", strip_pixels)
    assert np.array_equal(read_overview(one_level, 4.0).image, whole.image)


def test_a_picture_is_never_larger_than_the_bound(one_level, monkeypatch):
    monkeypatch.setattr(overview, "MAX_PIXELS", 5000)
    view = read_overview(one_level, 2.0)
    assert 3000 < view.image.shape[0] * view.image.shape[1] <= 5000
    assert view.placement.step_um == (view.factor * 0.5,) * 2
    height, width = view.image.shape[:2]
    assert (height, width) == (-(-1000 // view.factor), -(-1400 // view.factor))


def test_a_tile_larger_than_a_strip_is_decoded_once(tmp_path, make_tissue, monkeypatch):
    """Some writers put the whole picture into one strip."""
    image = make_tissue(600, 700)
    options = {"photometric": "rgb", "resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "strip.tif", image, rowsperstrip=600, metadata=None, **options)
    monkeypatch.setattr(overview, "STRIP_PIXELS", 10_000)
    with open_slide(tmp_path / "strip.tif") as slide:
        read_overview(slide, 8.0)
        rows, cols = slide.levels[0].tile_grid
        assert sum(slide.reads.tiles.values()) <= 2 * rows * cols


@pytest.mark.parametrize("stop_at", [1, 2, 40])
def test_cancelling_is_heard_at_the_next_tile(one_level, stop_at):
    with pytest.raises(CancelledError):
        read_overview(one_level, 4.0, token=StopsAt(stop_at))
    assert sum(one_level.reads.tiles.values()) <= stop_at + 2  # one more in each thread


def test_damaged_tiles_are_named_and_the_rest_is_read(one_level, monkeypatch):
    whole = read_overview(one_level, 4.0).image
    break_tiles(monkeypatch, lambda row, col: (row, col) in ((0, 0), (3, 5)))
    view = read_overview(one_level, 4.0)
    assert [(tile.region.y, tile.region.x) for tile in view.damaged] == [(0, 0), (48, 80)]
    assert "decoded" in str(view.damaged[0].error)
    kept = np.ones(whole.shape[:2], bool)
    for tile in view.damaged:
        kept[tile.region.slices] = False
        assert (view.image[tile.region.slices] == one_level.background).all()
    assert np.array_equal(view.image[kept], whole[kept])


def test_a_slide_that_cannot_be_read_at_all_is_an_error(one_level, monkeypatch):
    break_tiles(monkeypatch, lambda _row, _col: True)
    with pytest.raises(DamagedSlideError):
        read_overview(one_level, 4.0)


def test_what_cannot_be_read_is_taken_for_tissue_and_never_for_glass(one_level, monkeypatch):
    """So whatever encodes it meets the same tiles, and says so."""
    before = find_tissue(one_level)
    assert not before.mask[:6, :6].any()
    break_tiles(monkeypatch, lambda row, col: (row, col) == (0, 0))
    found = find_tissue(one_level)
    assert found.mask[:8, :8].all()
    assert "1 unreadable tiles" in found.method
    assert np.array_equal(found.mask[8:], before.mask[8:])
