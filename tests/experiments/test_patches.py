"""Patches for encoders: filled twice as often as empty, pairs as in the paper, all from the generator."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.digits import Canvas, DigitImages
from napari_nic_experiments.digits.patches import CanvasPatches, GlyphPatches


@pytest.fixture
def sparse(glyphs):
    """Return patches of pictures that are mostly empty."""
    return CanvasPatches(DigitImages(Canvas(24, 60), glyphs, 4, seed=3))


def test_filled_patches_are_drawn_twice_as_often(sparse) -> None:
    drawn = sparse.draw(3000, np.random.default_rng(0)).images
    assert drawn.shape == (3000, 9, 9, 3)
    assert drawn.any((1, 2, 3)).mean() == pytest.approx(2 / 3, abs=0.03)


def test_pictures_without_a_free_cell_can_be_drawn_from(glyphs) -> None:
    full = CanvasPatches(DigitImages(Canvas(24, 576), glyphs, 2, seed=3))
    assert full.draw(50, np.random.default_rng(0)).images.any((1, 2, 3)).all()


def test_the_same_generator_draws_the_same(sparse) -> None:
    first, again = (sparse.draw_pairs(20, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.second, again.second)


def test_pairs_are_the_same_cell_or_a_neighbour_or_of_another_picture(glyphs) -> None:
    # Pictures of one digit each, so that a patch tells the picture that it is of.
    images = DigitImages(Canvas(24, 576), glyphs, 4, seed=3)
    source = CanvasPatches(images)
    source._cells = np.arange(4)[:, None, None].repeat(24, 1).repeat(24, 2)
    pairs = source.draw_pairs(4000, np.random.default_rng(1))
    equal = (pairs.first == pairs.second).all((1, 2, 3))
    assert pairs.same.mean() == pytest.approx(0.5, abs=0.03)
    assert equal[pairs.same].all()
    assert equal[~pairs.same].mean() == pytest.approx(0.75, abs=0.03)


def test_neighbours_stay_inside(sparse) -> None:
    corners = np.array([(0, 0), (23, 23)] * 50)
    beside = sparse._beside(corners, np.random.default_rng(0))
    assert beside.min() >= 0
    assert beside.max() <= 23
    assert (np.abs(beside - corners).sum(axis=1) == 1).all()


def test_digits_come_with_their_classes(glyphs) -> None:
    source = GlyphPatches(glyphs)
    drawn = source.draw(500, np.random.default_rng(0))
    assert source.class_names == tuple("0123456789")
    for label in range(9):
        assert drawn.images[drawn.labels == label][:, label, 4].all()
    pairs = source.draw_pairs(500, np.random.default_rng(0))
    assert (pairs.first == pairs.second).all((1, 2, 3))[pairs.same].all()


def test_one_picture_makes_no_pairs(canvas, glyphs) -> None:
    with pytest.raises(InvalidParameterError, match="at least 2"):
        CanvasPatches(DigitImages(canvas, glyphs, 1, seed=3))
