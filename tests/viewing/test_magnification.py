"""Magnification and micrometres per pixel are one number, read two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize
from napari_nic.viewing import format_magnification, magnification_at, native_magnification, um_per_px_at


@pytest.mark.parametrize(("um", "magnification"), [(10, 1), (1, 10), (0.5, 20), (0.25, 40)])
def test_magnifications_of_scanners(um, magnification):
    assert magnification_at(um) == magnification
    assert um_per_px_at(magnification) == um


@given(st.floats(1e-3, 1e3))
def test_there_and_back(um):
    assert um_per_px_at(magnification_at(um)) == pytest.approx(um)


def test_a_slide_has_the_magnification_of_its_pixels():
    assert native_magnification(PixelSize(0.25, 0.25)) == 40
    assert native_magnification(PixelSize(0.4, 0.9)) == pytest.approx(10 / 0.6)  # of equal area


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_length_is_refused(wrong):
    for function in (magnification_at, um_per_px_at):
        with pytest.raises(InvalidParameterError, match="must be positive"):
            function(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [(40, "40x"), (20.04, "20x"), (9.96, "10x"), (2.5, "2.5x"), (0.313, "0.31x"), (1, "1x")],
)
def test_as_it_is_spoken(value, text):
    assert format_magnification(value) == text
