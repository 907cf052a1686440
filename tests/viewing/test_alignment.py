"""Alignments are found from landmarks, and their residual is what is left between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from napari_nic.errors import InvalidParameterError
from napari_nic.viewing import align

PLACES = np.array([(100.0, 200.0), (4000.0, 300.0), (1500.0, 5200.0), (3000.0, 2500.0)])


def turned(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """(3, 3) on (y, x, 1)."""
    a = np.radians(angle)
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    matrix[:2, 2] = shift
    return matrix


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:2, :2].T + matrix[:2, 2]


@given(
    angle=st.floats(-170, 170), scale=st.floats(0.5, 2), y=st.floats(-5000, 5000), x=st.floats(-5000, 5000)
)
def test_a_turned_section_is_laid_back(angle, scale, y, x):
    matrix = turned(angle, scale, (y, x))
    for kind in ("similarity", "affine"):
        found = align(moved(PLACES, matrix), PLACES, kind)
        assert np.allclose(found.matrix, matrix, atol=1e-6 * np.abs(matrix).max())
        assert found.residual_um == pytest.approx(0, abs=1e-6)
        assert np.allclose(found.to_first(PLACES), moved(PLACES, matrix))
        assert found.scale == pytest.approx(scale)


def test_the_fit_is_scikit_images():
    first = moved(PLACES, turned(20, 1.1, (300, -50))) + np.random.default_rng(1).normal(0, 5, PLACES.shape)
    found = align(first, PLACES, "similarity")
    oracle = SimilarityTransform.from_estimate(PLACES[:, ::-1], first[:, ::-1])
    expected = oracle(PLACES[:, ::-1])[:, ::-1]
    assert np.allclose(found.to_first(PLACES), expected)
    assert found.residual_um == pytest.approx(np.sqrt((np.linalg.norm(expected - first, axis=1) ** 2).mean()))
    assert 1 < found.residual_um < 10


def test_a_quarter_turn_has_its_sign():
    """What lies above in the second section lies at the left in the first: turned anticlockwise."""
    second = [(0.0, 0.0), (-10.0, 0.0)]
    first = [(0.0, 0.0), (0.0, -10.0)]
    assert align(first, second, "similarity").angle == pytest.approx(90)


def test_as_few_landmarks_as_determine_the_fit_say_nothing_of_its_quality():
    for kind, count in (("translation", 1), ("similarity", 2), ("affine", 3)):
        assert align(PLACES[:count] + 7, PLACES[:count], kind).residual_um is None
        assert align(PLACES[: count + 1] + 7, PLACES[: count + 1], kind).residual_um is not None


@pytest.mark.parametrize(
    ("first", "second", "kind", "said"),
    [
        (PLACES[:1], PLACES[:1], "similarity", "too few landmarks"),
        (PLACES[:2], PLACES[:2], "affine", "too few landmarks"),
        (PLACES[:3], PLACES[:2], "affine", "too few landmarks"),
        (PLACES[[0, 0]], PLACES[:2], "similarity", "at one place"),
        (PLACES[:3], [(0, 0), (1, 1), (2, 2)], "affine", "on one line"),
    ],
)
def test_what_determines_nothing_is_refused(first, second, kind, said):
    with pytest.raises(InvalidParameterError, match=said):
        align([tuple(point) for point in first], [tuple(point) for point in second], kind)
