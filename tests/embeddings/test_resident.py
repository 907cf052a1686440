"""Codes in memory: the encoded cells, in their order, read once."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken


def test_they_are_the_encoded_cells_row_by_row(full_store, codes, coverage):
    resident = ResidentCodes.load(full_store)
    np.testing.assert_array_equal(resident.cells, np.argwhere(coverage))
    assert resident.codes.dtype == np.float32
    np.testing.assert_array_equal(resident.codes, codes[coverage].astype(np.float32))
    np.testing.assert_array_equal(resident.encoded, coverage)
    assert len(resident) == coverage.sum()


def test_laid_out_again_they_are_what_was_stored(full_store, codes):
    resident = ResidentCodes.load(full_store)
    np.testing.assert_array_equal(resident.raster(resident.codes), codes)
    numbers = resident.raster(np.arange(len(resident), dtype=np.float32), fill=-1)
    np.testing.assert_array_equal(numbers, resident.index)


def test_a_rectangle_gives_the_numbers_of_its_codes(full_store, codes, coverage):
    resident = ResidentCodes.load(full_store)
    area = np.s_[30:70, 20:66]
    np.testing.assert_array_equal(resident.codes[resident.within(*area)], codes[area][coverage[area]])


def test_only_what_is_encoded_so_far_is_there(store, codes, coverage, toy):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    resident = ResidentCodes.load(store)
    assert len(resident) == coverage[32:48, 32:48].sum()
    assert resident.cells.min() >= 32


def test_they_are_read_once_for_all_who_hold_them(full_store):
    first = ResidentCodes.load(full_store)
    assert ResidentCodes.load(full_store) is first
    assert ResidentCodes.load(CompressedSlide.open(full_store.path)) is not first
    del first
    gc.collect()
    assert len(ResidentCodes.load(full_store)) == full_store.encoded().sum()


def test_a_store_that_grew_is_read_again(store, codes, toy):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    first = ResidentCodes.load(store)
    store.write_block(3, 2, toy.part(codes, 3, 2))
    assert len(ResidentCodes.load(store)) > len(first)


def test_an_empty_store_has_none(store):
    resident = ResidentCodes.load(store)
    assert resident.codes.shape == (0, 5)
    assert not resident.encoded.any()


def test_nobody_can_change_them(full_store):
    resident = ResidentCodes.load(full_store)
    with pytest.raises(ValueError, match="read-only"):
        resident.codes[0, 0] = 1


def test_what_does_not_belong_together_is_refused(toy):
    with pytest.raises(InvalidParameterError, match="do not belong together"):
        ResidentCodes(toy.header(), np.zeros((3, 5), np.float32), np.zeros((2, 2), np.int32))


def test_loading_can_be_cancelled(full_store):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        ResidentCodes.load(full_store, token=token)
