"""Crops, dihedral transforms and scaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import Standardiser
from napari_nic.slide_models.inputs import (
    N_DIHEDRAL,
    apply_dihedral,
    corner,
    crop_odds,
    draw_corner,
    frame,
    prediction_corners,
)


def test_cells_are_standardised_and_the_background_is_zero() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(3, 2, (20, 30, 4)).astype(np.float16)
    codes[..., 3] = 7
    mask = rng.random((20, 30)) > 0.5
    codes[~mask] = 99
    values = Standardiser.fit([(codes[:10], mask[:10]), (codes[10:], mask[10:])]).apply(codes, mask)
    assert not values[~mask].any()
    np.testing.assert_allclose(values[mask].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(values[mask].std(axis=0), [1, 1, 1, 0], atol=1e-3)


def test_scaling_refuses_other_codes() -> None:
    scaling = Standardiser(np.zeros(4, np.float32), np.ones(4, np.float32))
    with pytest.raises(InvalidParameterError, match="4"):
        scaling.apply(np.zeros((2, 2, 5), np.float16), np.ones((2, 2), bool))
    with pytest.raises(InvalidParameterError):
        Standardiser.fit([(np.zeros((2, 2, 5), np.float16), np.zeros((2, 2), bool))])


@given(st.integers(1, 12), st.integers(1, 12), st.integers(-15, 15), st.integers(-15, 15), st.integers(1, 9))
def test_a_window_is_what_padding_without_end_would_give(
    rows: int, cols: int, top: int, left: int, side: int
) -> None:
    values = np.arange(1, rows * cols + 1, dtype=np.float32).reshape(rows, cols, 1)
    endless = np.pad(values, ((30, 30), (30, 30), (0, 0)))
    window = frame(values, top, left, (side, side))
    np.testing.assert_array_equal(window, endless[30 + top :, 30 + left :][:side, :side])


def test_a_slide_that_fits_is_centred_and_a_larger_one_follows_the_cell() -> None:
    assert corner((10, 10), (0, 9), 16) == (-3, -3)
    assert corner((40, 10), (30, 9), 16) == (22, -3)


def test_crops_are_drawn_from_the_middle_of_tissue() -> None:
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    odds, rng = crop_odds(mask), np.random.default_rng(0)
    centres = np.array([draw_corner(odds, 16, rng) for _ in range(300)]) + 8
    assert mask[tuple(centres.T)].all()
    assert np.abs(centres.mean(axis=0) - 29.5).max() < 2
    with pytest.raises(InvalidParameterError):
        crop_odds(np.zeros((3, 3), bool))


def test_prediction_crops_are_spread_over_the_tissue() -> None:
    mask = np.zeros((100, 50), bool)
    mask[20:80] = True
    corners = prediction_corners(mask, 32, 10)
    assert len(corners) == 10
    tops = np.array(corners)[:, 0] + 16
    assert tops[0] == 20
    assert tops[-1] == 79
    assert np.ptp(np.diff(tops)) <= 2
    assert prediction_corners(mask, 128, 10) == [(-14, -39)]
    assert prediction_corners(np.zeros((4, 4), bool), 2, 10) == []


def test_there_are_eight_different_transforms() -> None:
    crop = np.arange(9).reshape(3, 3, 1)
    assert len({apply_dihedral(crop, transform).tobytes() for transform in range(N_DIHEDRAL)}) == N_DIHEDRAL
    np.testing.assert_array_equal(apply_dihedral(crop, 0), crop)
