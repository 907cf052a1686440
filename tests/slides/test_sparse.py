"""Slides of which most was never scanned: tiles that the file leaves out cost nothing."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_nic.encoders import load_encoder
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions, iter_compress, prepare_store
from napari_nic.slides import coarse, open_slide, overview, read_overview
from napari_nic.slides.readers.tiff_picture import TiffPicture
from napari_nic.tissue import find_tissue

SIDE, TILE = 60, 64  # tiles, and px of each
THERE = {(0, 0), *((row, col) for row in range(20, 24) for col in range(30, 34))}


def write_sparse(path, image, *, there=THERE, compression="jpeg", orientation=1):
    """Write one level of 3840 x 3840 px at 0.5 um/px, of which few tiles are there (offset and size 0)."""
    cut = [
        image[row * TILE : (row + 1) * TILE, col * TILE : (col + 1) * TILE] if (row, col) in there else None
        for row in range(SIDE)
        for col in range(SIDE)
    ]
    tifffile.imwrite(
        path,
        iter(cut),
        shape=(SIDE * TILE, SIDE * TILE, 3),
        dtype=np.uint8,
        photometric="rgb",
        tile=(TILE, TILE),
        compression=compression,
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
        metadata=None,
        extratags=[(274, "H", 1, orientation, True)],
    )
    return path


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    tile = np.clip(rng.normal((190, 110, 160), 25, (TILE, TILE, 3)), 0, 255).astype(np.uint8)
    return np.tile(tile, (SIDE, SIDE, 1))


@pytest.fixture
def sparse(tmp_path, image):
    with open_slide(write_sparse(tmp_path / "sparse.tif", image)) as slide:
        yield slide


def counted(monkeypatch, owner, name):
    """Count the calls of a function that makes pixels."""
    calls = []
    work = getattr(owner, name)

    def counting(*args):
        calls.append(args)
        return work(*args)

    monkeypatch.setattr(owner, name, counting)
    return calls


@pytest.mark.parametrize("factor", [16, 11, 40, 7])
def test_the_overview_works_on_tiles_that_are_there_alone(sparse, monkeypatch, factor):
    averaged = counted(monkeypatch, overview, "shrink")
    view = read_overview(sparse, 0.5 * factor)
    pixels = sum(args[0].shape[0] * args[0].shape[1] for args in averaged)
    if factor in (16, 40):  # tiles, or a few of them, can be averaged by themselves
        assert pixels <= 0.1 * (SIDE * TILE) ** 2
    monkeypatch.undo()
    whole = sparse.read_region(0, sparse.levels[0].region)
    assert np.abs(view.image.astype(int) - overview.shrink(whole, factor)).max() <= 1


def test_tissue_is_where_tiles_are(sparse):
    mask = find_tissue(sparse).mask
    expected = np.zeros_like(mask)
    expected[20 * 4 : 24 * 4, 30 * 4 : 34 * 4] = True
    assert (mask != expected).sum() <= 100  # the lone tile in the corner, and a rim


def test_a_slide_without_any_tile_is_empty_and_not_damaged(tmp_path, image):
    with open_slide(write_sparse(tmp_path / "none.tif", image, there={(0, 0)})) as slide:
        assert find_tissue(slide).mask.sum() <= 25


def test_zoomed_out_nothing_is_averaged_where_nothing_is(sparse, monkeypatch):
    halved = counted(monkeypatch, coarse, "halve")
    last = sparse.halvings[0]
    shown = last.read(len(last.levels) - 1, last.levels[-1].region)
    pixels = sum(args[0].shape[0] * args[0].shape[1] for args in halved)
    assert pixels < 0.45 * (SIDE * TILE) ** 2 * 1.34
    assert (shown[-100:] == 255).all()
    assert (shown < 250).any()


def test_patches_of_missing_tiles_are_the_background_and_hold_no_memory(sparse, tmp_path):
    options = GridOptions(min_tissue=0)
    encoder = load_encoder("mean-rgb")
    store = prepare_store(sparse, encoder, path=tmp_path / "a.nic.zarr", options=options)
    list(iter_compress(sparse, encoder, store))
    codes = store.read()
    blank = encoder.encode(np.full((1, *(encoder.spec.input_size,) * 2, 3), 255, np.uint8))[0]
    seen = np.zeros(store.grid.shape, bool)
    for row, col in THERE:
        seen[row * TILE // store.grid.stride_px, col * TILE // store.grid.stride_px] = True
    assert np.array_equal(codes[~seen], np.broadcast_to(blank.astype(np.float16), codes[~seen].shape))
    assert not np.array_equal(codes[seen], np.broadcast_to(blank.astype(np.float16), codes[seen].shape))


def test_tiles_that_are_there_are_decoded_once_whatever_the_factor(tmp_path, image, monkeypatch):
    """Where no whole number of tiles and of the picture's pixels meet, edges of pieces are decoded twice."""
    every = {(row, col) for row in range(SIDE) for col in range(SIDE)}
    path = write_sparse(tmp_path / "whole.tif", image, there=every, compression=None)
    monkeypatch.setattr(overview, "STRIP_PIXELS", 600**2)
    with open_slide(path) as slide:
        read_overview(slide, 0.5 * 11)
        assert slide.reads.total <= 1.4 * SIDE**2


def test_a_turned_picture_knows_its_missing_tiles_too(tmp_path, image):
    path = write_sparse(tmp_path / "turned.tif", image, orientation=6)
    with open_slide(path) as slide:
        assert slide.read_stored_tile(0, 5, 5) is None
        assert slide.read_stored_tile(0, 30, SIDE - 1 - 20) is not None


def test_a_region_between_the_tiles_is_the_background(sparse):
    pixels = sparse.read_region(0, RegionPx(-10, 100, 300, 5000))
    assert (pixels == 255).all()
    mixed = sparse.read_region(0, RegionPx(20 * TILE - 5, 30 * TILE - 5, 20, 20))
    assert (mixed[:5] == 255).all()
    assert (mixed[:, :5] == 255).all()
    assert (mixed[5:, 5:] < 255).any()


def test_what_is_left_out_is_asked_for_and_not_read(sparse, monkeypatch):
    decoded = counted(monkeypatch, TiffPicture, "decode")
    read_overview(sparse, 8.0)
    assert len(decoded) == SIDE**2
    assert sparse.read_stored_tile(0, 40, 40) is None
    assert (sparse.read_tile(0, 40, 40) == 255).all()
