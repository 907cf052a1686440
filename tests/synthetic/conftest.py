"""One small synthetic slide, painted once for all tests of the room."""

from __future__ import annotations

import pytest

from napari_nic.synthetic import Lesion, Scene, SyntheticSlideSpec


@pytest.fixture(scope="session")
def lesion_spec():
    """1000 x 1100 px (rows x cols; no multiple of a tile) with one lesion of 30 % of the tissue."""
    return SyntheticSlideSpec(height=1000, width=1100, seed=3, lesions=(Lesion(0.3),), coverage=0.6)


@pytest.fixture(scope="session")
def scene(lesion_spec):
    return Scene(lesion_spec)


@pytest.fixture(scope="session")
def picture(scene):
    """The whole of `scene`: uint8 (1000, 1100, 3)."""
    return scene.read(scene.region)
