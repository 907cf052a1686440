"""The tissue mask in the window: found in either way, loaded, saved, and never replaced unasked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.pipeline import read_mask
from napari_nic.plugin.controllers.tissue import TissueController


@pytest.fixture
def tissue(session, runner, slide_file, add_slide):
    add_slide(session.viewer, slide_file)
    controller = TissueController(session, runner)
    yield controller
    controller.close()


def test_what_was_painted_is_saved_and_loaded(tissue, session, answers, tmp_path):
    tissue.save()
    assert answers.questions == [], "there is no mask yet"
    tissue.edit()
    layer = tissue.layer()
    layer.data[:] = 0
    layer.data[3:9, 4:12] = 1
    answers.saved_to = tmp_path / "mask.png"
    tissue.save()
    assert answers.notices[-1] == f"The tissue mask is in {tmp_path / 'mask.png'}"
    np.testing.assert_array_equal(read_mask(session.slide, tmp_path / "mask.png").mask, layer.data > 0)
    layer.data[:] = 1
    answers.read_from, answers.agree = tmp_path / "mask.png", True
    tissue.load()
    assert tissue.edited().mask.sum() == 6 * 8
    assert tissue.edited().placement == read_mask(session.slide, tmp_path / "mask.png").placement
    assert sum("Tissue" in layer.name for layer in session.viewer.layers) == 1


def test_a_painted_mask_is_not_replaced_without_a_word(tissue, answers):
    tissue.edit()
    tissue.layer().data[:] = 0
    answers.agree = False
    tissue.find("unet")
    assert not tissue.edited().mask.any()
    assert "Replace the tissue mask" in answers.questions[-1]
    answers.agree = True
    tissue.find("unet")
    assert tissue.edited().mask.any()


def test_a_mask_that_cannot_be_read_is_told(tissue, answers, tmp_path):
    (tmp_path / "mask.png").write_bytes(b"no picture")
    answers.read_from = tmp_path / "mask.png"
    tissue.load()
    assert "cannot be read" in str(answers.errors[-1])
    assert tissue.layer() is None
