"""The choosers of how a slide is made smaller."""

from __future__ import annotations

import shutil

import pytest

from napari_nic.plugin.controllers.shrinking import ShrinkController
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.widgets.shrink_form_section import ONE_QUALITY, ShrinkFormSection


@pytest.fixture
def section(viewer, settings, answers, runner, qtbot):
    watch = SlideWatch(viewer)
    shrinking = ShrinkController(watch, settings, answers, runner)
    made = ShrinkFormSection(shrinking)
    qtbot.addWidget(made)
    made.show()
    yield made
    shrinking.close()
    watch.close()


def test_a_codec_that_was_trained_meanwhile_can_be_chosen(section, home, learned_folder):
    name = "neural:tissue"
    assert section.codec.findData(name) < 0
    shutil.copytree(learned_folder, home / "codecs/tissue")
    section.hide()
    section.show()
    index = section.codec.findData(name)
    assert section.codec.itemText(index) == "tissue (learned)"
    section.mode.setCurrentIndex(section.mode.findData("lossy"))
    section.codec.setCurrentIndex(index)
    assert section._shrinking.form.codec == name
    assert not section.quality.isEnabled()
    assert section.quality.toolTip() == ONE_QUALITY
    section.codec.setCurrentIndex(section.codec.findData("jpegxl"))
    assert section.quality.isEnabled()
    assert section._shrinking.form.quality == 90
