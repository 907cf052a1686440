"""What the dock looks like: what it says, how wide it is, what its forms and bars show."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QPushButton, QScrollArea

from napari_nic.pipeline import GridOptions
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.widgets.compress_section import bar_text
from napari_nic.plugin.widgets.dock_base import SIDE_MARGIN, WIDTH

pytestmark = pytest.mark.gui


def test_empty_state_says_what_to_do(window):
    _, dock = window
    section = dock.slide_section
    assert not section.empty.isHidden()
    assert section.slide_row.isHidden()
    for button in (
        dock.compress_section.button,
        dock.overlay_section.rows["pca"].toggle,
        dock.annotation_section.open,
        dock.export_section.button,
        section.edit_tissue,
    ):
        assert not button.isEnabled()
        assert button.toolTip().startswith(("Open a slide", "Compress the slide"))


def test_slide_appears(with_slide):
    viewer, dock = with_slide
    section = dock.slide_section
    assert section.empty.isHidden()
    assert section.slides.currentText() == "made"
    assert section.about.text().startswith("1,500 x 1,100 px")
    assert dock.compress_section.button.isEnabled()
    assert viewer.canvas.overlays.scale_bar.visible


def test_every_control_is_reached_by_tab_and_named(with_slide):
    _, dock = with_slide
    for kind in (QPushButton, QCheckBox, QComboBox):
        for widget in dock.findChildren(kind):
            if isinstance(widget, QPushButton) and not widget.text():
                continue  # napari's and magicgui's own icon buttons
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    for combo in (
        dock.slide_section.slides,
        dock.slide_section.chooser.encoders,
        dock.overlay_section.models,
    ):
        assert combo.accessibleName()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_fits_320_pixels(with_slide, theme):
    viewer, dock = with_slide
    viewer.theme = theme
    dock.resize(WIDTH, 900)
    QApplication.processEvents()
    beside_bar = WIDTH - dock.findChild(QScrollArea).verticalScrollBar().sizeHint().width()
    for section in dock.sections:
        assert section.minimumSizeHint().width() + 2 * SIDE_MARGIN <= beside_bar
    picture = dock.grab().toImage()
    assert picture.width() == WIDTH * picture.devicePixelRatio()


def test_long_lines_do_not_widen_the_dock(with_slide):
    _, dock = with_slide
    for line in (dock.slide_section.about, dock.overlay_section.caution):
        line.setText("a long line of text " * 20)
        line.show()
    QApplication.processEvents()
    assert dock.sizeHint().width() <= WIDTH


def test_options_form_is_applied(with_slide):
    _, dock = with_slide
    form = dock.compress_section.options
    form.overlap.value = 50
    form.min_tissue.value = 0.6
    form.precision.value = "float32"
    assert dock.compressing.options == CompressOptions("auto", "float32", 0.5, 0.6)


def test_options_form_shows_what_the_store_was_made_with(with_slide, qtbot, slide_file, compress_file):
    _, dock = with_slide
    form = dock.compress_section.options
    form.overlap.value = 25
    compress_file(slide_file, options=GridOptions(stride=64, min_tissue=0.1))
    dock.session.find_store(any_encoder=False)
    assert (form.overlap.value, form.min_tissue.value) == (50, 0.1)
    assert dock.compressing.options == CompressOptions()
    assert dock.compressing.label() == "Slide compressed"
    form.overlap.value = 0
    assert dock.compressing.options == CompressOptions(overlap=0.0)
    assert dock.compressing.label() == "C&ompress anew"
    form.overlap.value = 50
    assert dock.compressing.label() == "Slide compressed"
    dock.session.set_store(None)
    assert form.overlap.value == 50, "the user's own choice"


def test_texts_of_the_bar():
    from napari_nic.plugin.controllers.compressing import CompressState

    state = CompressState("running", "", 1204, 1973, 4100.0, 23.0)
    assert bar_text(state) == "61 %   4,100 patches/s   0:23 left"
    assert bar_text(CompressState()) == ""


def test_bar_is_painted(qtbot):
    from napari_nic.plugin.legend import Bar
    from napari_nic.plugin.widgets.colour_bar import ColourBar

    bar = ColourBar()
    qtbot.addWidget(bar)
    colors = np.zeros((2, 3), np.uint8)
    colors[0, 0] = colors[1, 2] = 255
    bar.set_bar(Bar(colors, -1, 1, "raw", "against", "for"))
    bar.resize(200, bar.sizeHint().height())
    picture = bar.grab().toImage()
    assert picture.pixelColor(5, 5).red() > 200
    assert picture.pixelColor(190, 5).blue() > 200
