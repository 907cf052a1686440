"""Layouts: the paper's geometry, and pictures that are what their layouts say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError, OutOfBoundsError
from napari_nic_experiments.digits import Canvas, DigitImages, draw_image, render
from napari_nic_experiments.digits.layout import Rectangle


def test_the_default_picture_is_the_papers(glyphs) -> None:
    canvas = Canvas()
    image = draw_image(canvas, glyphs, 3, np.random.default_rng(0))
    assert (canvas.side_px, canvas.longest_px) == (3600, 1800)
    assert np.count_nonzero(image.cells != glyphs.empty) == 25_920


def test_rendered_patches_are_the_digits_of_the_layout(images, glyphs) -> None:
    cells = images[3].cells
    patches = render(cells, glyphs).reshape(24, 9, 24, 9).swapaxes(1, 2)
    for row, col in np.ndindex(24, 24):
        np.testing.assert_array_equal(patches[row, col], glyphs.table[cells[row, col]])
    assert not patches[cells == glyphs.empty].any()


@given(seed=st.integers(0, 10_000), label=st.integers(0, 9))
def test_classes_follow_the_rectangles(seed, label, glyphs, canvas) -> None:
    image = draw_image(canvas, glyphs, label, np.random.default_rng(seed))
    filled = image.cells != glyphs.empty
    classes = np.append(glyphs.labels, -1)[image.cells]
    assert filled.sum() == canvas.digits
    assert (classes[filled & image.tilted] == label).all()
    assert (classes[filled & image.straight] == image.other).all()
    assert image.other != label
    assert image.tilted.any()
    assert image.straight.any()
    assert not (image.tilted & image.straight).any()
    assert min(image.tilted_px, image.straight_px) >= 36
    assert max(image.tilted_px, image.straight_px) < canvas.longest_px


def test_elsewhere_all_classes_are_as_frequent(glyphs) -> None:
    image = draw_image(Canvas(100, 8000), glyphs, 0, np.random.default_rng(4))
    elsewhere = ~image.tilted & ~image.straight & (image.cells != glyphs.empty)
    counts = np.bincount(glyphs.labels[image.cells[elsewhere]])
    assert counts.min() > 0.8 * counts.mean()


def test_areas_are_half_the_square_of_the_long_side() -> None:
    centres = np.arange(2000) + 0.5
    for degrees in (0, 45, 135):
        inside = Rectangle((1000, 1000), 800, degrees).contains(centres[:, None], centres[None])
        assert inside.sum() == pytest.approx(800 * 400, rel=0.005)


def test_all_positions_and_tilts_occur(canvas, glyphs) -> None:
    drawn = [draw_image(canvas, glyphs, 0, np.random.default_rng(seed)) for seed in range(200)]
    heat = np.mean([image.tilted for image in drawn], axis=0)
    assert heat.min() < 0.1 < heat.max()
    for quarter in (heat[:12, :12], heat[:12, 12:], heat[12:, :12], heat[12:, 12:]):
        assert quarter.mean() == pytest.approx(heat.mean(), rel=0.4)


def test_sets_are_reproducible_balanced_and_bounded(canvas, glyphs, monkeypatch) -> None:
    first, again = (DigitImages(canvas, glyphs, 20, seed=7) for _ in range(2))
    assert [image.label for image in first] == [index % 10 for index in range(20)]
    np.testing.assert_array_equal(first[5].cells, again[5].cells)
    assert first[5] is first[5]
    assert not np.array_equal(first[5].cells, DigitImages(canvas, glyphs, 20, seed=8)[5].cells)
    monkeypatch.setattr(DigitImages, "MEMORY_BYTES", 0)
    forgetful = DigitImages(canvas, glyphs, 20, seed=7)
    assert forgetful[5] is not forgetful[5]
    np.testing.assert_array_equal(forgetful[5].cells, first[5].cells)
    with pytest.raises(OutOfBoundsError):
        first[20]


@pytest.mark.parametrize(("cells", "digits"), [(8, 10), (24, 577), (24, 0)])
def test_impossible_pictures_are_refused(cells, digits) -> None:
    with pytest.raises(InvalidParameterError, match="no such picture"):
        Canvas(cells, digits)
