"""A slide on which nothing is found: the window says so, and what can be done."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_nic.plugin.controllers.compress_state import NO_TISSUE
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import KINDS, OverlayController
from napari_nic.plugin.controllers.tissue import TissueController


@pytest.fixture
def glass_file(tmp_path, make_tiff):
    rng = np.random.default_rng(0)
    pixels = rng.integers(241, 246, (700, 900, 3), np.uint8)
    return make_tiff(tmp_path / "glass.tif", pixels, factors=(1,))


@pytest.fixture
def glass(session, glass_file, add_slide):
    add_slide(session.viewer, glass_file)
    return session


def test_a_glass_slide_says_so_when_it_was_looked_through(glass, runner, bundle_folder):
    tissue = TissueController(glass, runner)
    compressing = CompressController(glass, runner, tissue)
    models = ModelController(glass)
    overlays = OverlayController(glass, compressing, models, runner)
    models.add(bundle_folder)
    assert not compressing.found_nothing(), "nobody has looked yet"
    compressing.start(whole=True)
    assert compressing.found_nothing()
    assert compressing.label() == "No tissue found"
    assert "click Tissue... and paint it" in compressing.why_not()
    assert {overlays.state(kind).why_not for kind in KINDS} == {NO_TISSUE}
    assert {overlays.state(kind).first for kind in KINDS} == {""}, "no other run would find any"
    overlays.close()
    models.close()


def test_an_empty_mask_is_told_when_it_is_opened(glass, runner, answers):
    tissue = TissueController(glass, runner)
    tissue.edit()
    assert answers.notices == [f"{NO_TISSUE} (glass). If there is some, paint it in this layer"]
    layer = tissue.layer()
    layer.data[:] = 1
    tissue.layer().visible = False
    tissue.edit()
    assert len(answers.notices) == 1, "not again for a mask that is there"


@pytest.mark.gui
def test_the_dock_says_so_in_place_of_not_compressed_yet(window, glass_file, add_slide, compress_file):
    viewer, dock = window
    section = dock.compress_section
    add_slide(viewer, glass_file)
    QApplication.processEvents()
    assert section.text.text() == "Not compressed yet"
    compress_file(glass_file)
    dock.session.find_store(any_encoder=True)
    assert section.text.text().startswith(NO_TISSUE)
    assert "paint it" in section.text.text()
    assert section.button.text() == "No tissue found"
