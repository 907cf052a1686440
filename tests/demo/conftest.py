"""A small sample slide, a cohort of made-up codes, and a model trained on them in a second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_nic.demo import DemoTraining, sample
from napari_nic.demo.cohort import CohortSlide
from napari_nic.demo.training import demo_card
from napari_nic.encoders import get_spec
from napari_nic.geometry import Placement
from napari_nic.slide_models import LabelledSlide, TrainingSettings, train
from napari_nic.synthetic import Lesion


@pytest.fixture(scope="session")
def small_sample_spec():
    return replace(sample.SAMPLE, height=1300, width=1700, lesions=(Lesion(0.25),))


@pytest.fixture
def small_sample(monkeypatch, small_sample_spec):
    """Make the sample slide small: 1300 x 1700 px, 10 x 13 cells."""
    monkeypatch.setattr(sample, "SAMPLE", small_sample_spec)


def coded_slide(index: int) -> CohortSlide:
    """A slide of 16 x 18 cells of three channels; cells of the lesion, if any, have a higher channel 0."""
    rng = np.random.default_rng((5, index))
    shape, label = (16, 18), index % 2
    lesion = np.zeros(shape, np.float32)
    if label:
        row, col = rng.integers(1, 9, 2)
        lesion[row : row + 5, col : col + 6] = 1
    codes = rng.normal(0, 0.3, (*shape, 3)).astype(np.float16)
    codes[..., 0] += (2 * lesion).astype(np.float16)
    mask = np.ones(shape, bool)
    mask[:, -1] = False
    codes[~mask] = 0
    placement = Placement((0.0, 0.0), (64.0, 64.0))
    return CohortSlide(f"coded-{index}", codes, mask, lesion, placement, label)


@pytest.fixture(scope="session")
def coded_slides():
    return [coded_slide(index) for index in range(24)]


@pytest.fixture(scope="session")
def mean_rgb_model(coded_slides):
    """A model of the encoder mean-rgb that takes a high red for a lesion."""
    slides = [LabelledSlide(s.name, s.codes, s.mask, s.label) for s in coded_slides[:16]]
    card = demo_card(get_spec("mean-rgb"), DemoTraining(encoder="mean-rgb"))
    settings = TrainingSettings(epochs=6, steps=8, batch_size=8)
    *_, last = train(card, slides[:12], slides[12:], settings=settings)
    return last.best
