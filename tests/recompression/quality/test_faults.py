"""Planted faults are all found, and clean tiles of good quality give no alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_faults import CODECS, is_telling, synthetic_tiles, tiles_below, trials

from napari_nic.recompression.quality import FaultLimits, Faults, find_faults

FEW = {name: CODECS[name] for name in ("JPEG q90 4:2:0", "JPEG XL d1.0 e3")}
MOST_ALARMS = 0.01


def check(tiles: list[np.ndarray]) -> None:
    for row in trials(tiles, FEW, with_ssim=False):
        if row.fault:
            assert row.found == row.tiles, row
        else:
            assert row.found <= MOST_ALARMS * row.tiles, row


@pytest.fixture(scope="module")
def tiles() -> list[np.ndarray]:
    return synthetic_tiles(200)


def test_in_tissue_made_by_code(tiles: list[np.ndarray]) -> None:
    assert len(tiles) == 200
    check(tiles)


@pytest.mark.data
def test_in_real_tissue(data_dir: Path) -> None:
    found = tiles_below(data_dir / "patches" / "monuseg_1000px", 30)
    if not found:
        pytest.skip("no pictures of tissue there")
    check(found)


def kinds(found: Faults) -> list[str]:
    return [broken.kind for broken in found.beyond(FaultLimits())]


def test_equal_tiles_have_none(tiles: list[np.ndarray]) -> None:
    assert kinds(find_faults(tiles[0], tiles[0])) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (8, 200)])
def test_small_tiles_too(shape: tuple[int, int]) -> None:
    tile = np.full((*shape, 3), 200, np.uint8)
    assert kinds(find_faults(tile, tile)) == []
    assert "block edge" in kinds(find_faults(tile, tile - np.uint8(6)))


@pytest.mark.parametrize("edge", [np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, 100]])
def test_a_line_at_an_edge(tiles: list[np.ndarray], edge) -> None:
    """As networks draw them along the borders of tiles; SSIM leaves these borders out."""
    tile = tiles[1].clip(20, 230)
    other = tile.copy()
    other[edge] += 6
    assert "line" in kinds(find_faults(tile, other))


def test_grey_and_flat_tiles_have_neither_hue_nor_shift() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(256, axis=0)
    found = find_faults(grey, grey[..., ::-1].copy())
    assert (found.hue_deg, found.order) == (0, "RGB")
    flat = np.full((256, 256, 3), 240, np.uint8)
    assert find_faults(flat, flat - np.uint8(1)).shift_px == (0, 0)
    assert not is_telling(grey)
    assert not is_telling(flat)


def test_pale_glass_after_jpeg_is_no_fault() -> None:
    """Half a grey level would turn the hue of what has none; noise that is gone is no shift."""
    rng = np.random.default_rng(0)
    for seed in range(20):
        glass = rng.normal((245, 243, 243), 2 + seed % 4, (256, 256, 3)).clip(0, 255).astype(np.uint8)
        for decoded in FEW.values():
            assert kinds(find_faults(glass, decoded(glass))) == []


def test_the_shift_is_the_one_that_was_made(tiles: list[np.ndarray]) -> None:
    tile = tiles[2]
    found = find_faults(tile[10:-10, 10:-10], tile[9:-11, 10:-10])
    assert found.shift_px == pytest.approx((1, 0), abs=0.15)


def test_swapped_channels_are_named_in_their_order(tiles: list[np.ndarray]) -> None:
    tile = tiles[3]
    found = find_faults(tile, np.ascontiguousarray(tile[..., [2, 0, 1]]))
    assert found.order == "GBR"
    assert found.order_gain == 0
    np.testing.assert_array_equal(tile[..., [2, 0, 1]][..., ["RGB".index(k) for k in "GBR"]], tile)


def test_a_coarse_picture_is_no_fault_of_its_blocks(tiles: list[np.ndarray]) -> None:
    """Where all blocks are off, as in JPEG of low quality, none of them stands out."""
    import imagecodecs

    coarse = [imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(t, level=50)) for t in tiles[:40]]
    alarms = sum(bool(kinds(find_faults(t, c))) for t, c in zip(tiles, coarse, strict=False))
    assert alarms <= 1
