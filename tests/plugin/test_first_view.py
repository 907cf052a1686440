"""A new window fits its slide into whatever size it takes, until the user looks elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.plugin.first_view import keep_fitting


@pytest.fixture
def shown(viewer):
    viewer.add_image(np.zeros((100, 400)))
    viewer.canvas.size = (300, 800)
    keep_fitting(viewer)
    return viewer


def test_the_view_follows_the_canvas(shown):
    assert shown.scene.camera.zoom == pytest.approx(0.95 * 800 / 400)
    for width in (200, 600):
        shown.canvas.size = (300, width)
        assert shown.scene.camera.zoom == pytest.approx(0.95 * width / 400)


def test_whoever_looks_elsewhere_is_left_alone(shown):
    shown.scene.camera.zoom = 7
    for width in (200, 600):
        shown.canvas.size = (300, width)
        assert shown.scene.camera.zoom == 7
    shown.reset_view()
    shown.canvas.size = (300, 800)
    assert shown.scene.camera.zoom == pytest.approx(0.95 * 600 / 400)
