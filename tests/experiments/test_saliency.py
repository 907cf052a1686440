"""From maps to areas: a routine is chosen where it fits best, and measured elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.explain import SaliencyMap
from napari_nic_experiments.digits.saliency import Routine, choose_routine, jaccards


def as_map(values):
    """Wrap values as a saliency map."""
    mask = np.ones(values.shape, bool)
    return SaliencyMap(values.astype(np.float32), "3", 3, "Grad-CAM", 0, "model", mask)


@pytest.fixture
def noisy():
    """Three noisy maps of rectangles, and the rectangles."""
    rng = np.random.default_rng(0)
    outlines = []
    for _ in range(3):
        outline = np.zeros((40, 40), bool)
        top, left = rng.integers(0, 20, 2)
        outline[top : top + 20, left : left + 10] = True
        outlines.append(outline)
    return [as_map(outline * 2 + rng.normal(0, 0.7, outline.shape)) for outline in outlines], outlines


def test_the_chosen_routine_finds_the_rectangles(noisy) -> None:
    maps, outlines = noisy
    routine, known = choose_routine(maps, outlines)
    assert known == pytest.approx(np.mean(jaccards(routine, maps, outlines)))
    assert known > 0.85
    assert known > np.mean(jaccards(Routine(0.5, 0.15, 4), maps, outlines))


def test_maps_without_anything_for_the_target_have_no_area() -> None:
    outline = np.ones((8, 8), bool)
    assert jaccards(Routine(1, 0.5, 0), [as_map(-np.ones((8, 8)))], [outline]) == [0.0]


def test_specks_are_dropped() -> None:
    values = np.zeros((20, 20))
    values[2:8, 2:8] = 1
    values[15, 15] = 1
    area = Routine(0, 0.5, 4).area(as_map(values))
    assert area.sum() == 36
