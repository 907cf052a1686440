"""Overlays: checks, values under the pointer, painting, limits that are never empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_nic.errors import InvalidParameterError, OutOfBoundsError, UnknownNameError
from napari_nic.explain import Overlay, channel_overlay, color_table, robust_limits, symmetric_limits
from napari_nic.geometry import Placement

PLACE = Placement((0.0, 0.0), (64.0, 64.0))
MASK = np.array([[True, True, False], [True, False, True]])


def values_overlay(data: np.ndarray, limits: tuple[float, float] | None = (0.0, 1.0)) -> Overlay:
    return Overlay("x", "channel", data, MASK, PLACE, limits=limits)


def test_value_under_the_pointer() -> None:
    overlay = values_overlay(np.arange(6, dtype=np.float32).reshape(2, 3), (0.0, 5.0))
    assert overlay.value_at(0, 1) == 1
    assert overlay.value_at(1, 2) == 5
    assert overlay.value_at(0, 2) is None
    assert overlay.value_at(-1, 0) is None
    assert overlay.value_at(2, 0) is None


def test_painting_maps_limits_to_the_ends_of_the_table() -> None:
    data = np.array([[-7, 0, 0], [1, 0, 9]], np.float32)
    rgba = values_overlay(data).to_rgba()
    table = color_table("viridis")
    np.testing.assert_array_equal(rgba[0, 0, :3], table[0])
    np.testing.assert_array_equal(rgba[1, 0, :3], table[-1])
    np.testing.assert_array_equal(rgba[1, 2, :3], table[-1])
    assert not rgba[~MASK].any()
    assert (rgba[MASK][:, 3] == 255).all()


def test_painting_a_picture_hides_what_is_outside() -> None:
    picture = np.full((2, 3, 3), 200, np.uint8)
    rgba = Overlay("x", "pca", picture, MASK, PLACE).to_rgba()
    assert (rgba[MASK] == (200, 200, 200, 255)).all()
    assert not rgba[~MASK].any()


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (np.zeros((3, 2), np.float32), (0.0, 1.0)),
        (np.zeros((2, 3), np.float32), None),
        (np.zeros((2, 3), np.float32), (1.0, 1.0)),
        (np.zeros((2, 3, 3), np.float32), None),
        (np.zeros((2, 3, 5), np.uint8), None),
    ],
)
def test_what_does_not_fit_is_refused(data: np.ndarray, limits: tuple[float, float] | None) -> None:
    with pytest.raises(InvalidParameterError):
        values_overlay(data, limits)


@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-1e4, 1e4, width=32)))
def test_limits_always_rise(values: np.ndarray) -> None:
    low, high = robust_limits(values)
    assert low < high
    minus, plus = symmetric_limits(values)
    assert minus == -plus < 0


def test_limits_ignore_a_few_odd_cells() -> None:
    values = np.append(np.linspace(0, 1, 1000), 1e6)
    assert robust_limits(values)[1] < 1.01
    assert symmetric_limits(values)[1] < 1.01


def test_signed_colors_are_pale_in_the_middle_and_differ_at_the_ends() -> None:
    table = color_table("coolwarm").astype(int)
    assert table[0, 2] - table[0, 0] > 100
    assert table[-1, 0] - table[-1, 2] > 100
    assert np.ptp(table[128]) < 10
    with pytest.raises(UnknownNameError):
        color_table("rainbow")


def test_a_channel_as_values() -> None:
    codes = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float16)
    overlay = channel_overlay(codes, MASK, PLACE, 2)
    np.testing.assert_array_equal(overlay.data, codes[..., 2])
    assert overlay.limits == robust_limits(codes[MASK][:, 2].astype(np.float32))
    assert channel_overlay(codes, MASK, PLACE, 2, limits=(-1, 1)).limits == (-1, 1)
    with pytest.raises(OutOfBoundsError, match="0 to 3"):
        channel_overlay(codes, MASK, PLACE, 4)
