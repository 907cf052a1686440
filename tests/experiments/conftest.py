"""Digits made by code, small pictures of them, and quick networks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic_experiments.digits import Canvas, DigitImages, Glyphs


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


@pytest.fixture(scope="session")
def glyphs():
    """Forty digits: class k is a bar k pixels below the upper edge, with a varying speck."""
    images = np.zeros((40, 9, 9), np.uint8)
    labels = np.arange(40) % 10
    for number, label in enumerate(labels):
        if label < 9:
            images[number, label, 1:8] = 255
        else:
            images[number, 1:8, 4] = 255
        images[number, 8, number // 10 * 2] = 60
    return Glyphs(images, labels, "bars")


@pytest.fixture(scope="session")
def canvas():
    """Return a picture of 24 x 24 cells, three quarters of them filled."""
    return Canvas(cells=24, digits=432)


@pytest.fixture
def images(canvas, glyphs):
    """Twenty pictures."""
    return DigitImages(canvas, glyphs, 20, seed=1)
