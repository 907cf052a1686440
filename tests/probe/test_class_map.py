"""Maps without specks and holes, their outlines and areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_nic.annotations import rasterise
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.probe import NOTHING, ClassMap

MM2 = 8 * 8 / 1e6
"""Of a cell of 16 px at 0.5 um/px."""


def class_map(made, classes: np.ndarray) -> ClassMap:
    whole = np.full((40, 60), NOTHING, np.uint8)
    whole[: classes.shape[0], : classes.shape[1]] = classes
    return ClassMap(made.labels, tuple(made.colors.values()), whole, made.header().grid)


maps = hnp.arrays(np.uint8, (40, 60), elements=st.sampled_from([0, 0, 0, 1, 1, 2, NOTHING]))


def smallest(classes: np.ndarray, number: int) -> float:
    labels, count = ndimage.label(classes == number)
    return np.bincount(labels.ravel())[1:].min() if count else np.inf


@settings(deadline=None, max_examples=25)
@given(classes=maps, least=st.integers(2, 12))
def test_no_part_of_a_class_is_smaller_than_was_asked(made, classes, least):
    cleaned = class_map(made, classes).cleaned(least_mm2=least * MM2, hole_mm2=0).classes
    assert min(smallest(cleaned, number) for number in range(3)) >= least
    assert (cleaned[classes == NOTHING] == NOTHING).all(), "holes stay"


@settings(deadline=None, max_examples=25)
@given(classes=maps, least=st.integers(2, 12))
def test_only_small_holes_inside_are_filled(made, classes, least):
    cleaned = class_map(made, classes).cleaned(least_mm2=0, hole_mm2=least * MM2).classes
    holes, count = ndimage.label(classes == NOTHING)
    for number in range(1, count + 1):
        hole = holes == number
        rows, cols = np.nonzero(hole)
        inside = rows.min() > 0 and cols.min() > 0 and rows.max() < 39 and cols.max() < 59
        filled = (cleaned[hole] != NOTHING).all()
        assert filled == (inside and hole.sum() < least)
    assert (cleaned == classes)[classes != NOTHING].all()


def test_a_speck_goes_to_the_class_with_the_longest_border(made):
    classes = np.zeros((40, 60), np.uint8)
    classes[:, 10:] = 1
    classes[5, 9] = 2  # three sides touch class 0, one class 1
    classes[9, 20] = 0
    cleaned = class_map(made, classes).cleaned(least_mm2=2 * MM2).classes
    assert cleaned[5, 9] == 0
    assert cleaned[9, 20] == 1


def test_a_speck_alone_on_the_glass_is_left_out(made):
    classes = np.full((40, 60), NOTHING, np.uint8)
    classes[5:7, 5:7] = 0
    classes[20:30, 20:30] = 1
    cleaned = class_map(made, classes).cleaned(least_mm2=5 * MM2).classes
    assert (cleaned[5:7, 5:7] == NOTHING).all()
    assert (cleaned == 1).sum() == 100


def test_specks_that_make_a_large_part_together_are_joined(made):
    """A chequerboard in a corner: every cell alone is too small, and what they become is one part."""
    classes = np.full((40, 60), NOTHING, np.uint8)
    classes[:8, :8] = np.indices((8, 8)).sum(axis=0) % 2
    cleaned = class_map(made, classes).cleaned(least_mm2=10 * MM2).classes
    assert len(np.unique(cleaned[:8, :8])) == 1


@settings(deadline=None, max_examples=15)
@given(classes=maps)
def test_outlines_cover_exactly_the_cells_of_each_class(made, classes):
    whole = class_map(made, classes)
    outlines = whole.outlines()
    for number, label in enumerate(made.labels):
        share = rasterise(outlines, whole.grid, label)
        np.testing.assert_allclose(share, classes == number, atol=1e-6)
        areas = sum(shape.geometry.area for shape in outlines.annotations if shape.label == label)
        assert areas * 0.25 / 1e6 == pytest.approx(whole.areas_mm2()[label])
    assert all(shape.geometry.is_valid for shape in outlines.annotations)
    assert dict(outlines.colors) == {label: made.colors[label] for label in outlines.labels()}


def test_a_negative_area_is_refused(made):
    with pytest.raises(InvalidParameterError, match="negative"):
        class_map(made, np.zeros((40, 60), np.uint8)).cleaned(least_mm2=-1)


def test_cleaning_can_be_cancelled(made):
    token = CancellationToken()
    token.cancel()
    rng = np.random.default_rng(0)
    noisy = class_map(made, rng.integers(0, 3, (40, 60)).astype(np.uint8))
    with pytest.raises(CancelledError):
        noisy.cleaned(token=token)
