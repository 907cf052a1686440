"""What the docks say is read in full at 320 px: in dark and in light, or in a tooltip."""

from __future__ import annotations

import html
import json
import re

import pytest
from napari.utils.theme import available_themes
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QStyle, QStyleOptionComboBox
from superqt import QElidingLabel

from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock
from napari_nic.plugin.widgets.cohort_dock import CohortDock
from napari_nic.plugin.widgets.compare_dock import CompareDock
from napari_nic.plugin.widgets.dock_base import WIDTH
from napari_nic.plugin.widgets.docking import COHORT, open_dock
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.painting_dock import PaintingDock
from napari_nic.plugin.widgets.probe_dock import ProbeDock
from napari_nic.plugin.widgets.shrink_dock import ShrinkDock
from napari_nic.plugin.widgets.similar_dock import SimilarDock
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.view_dock import ViewDock

pytestmark = pytest.mark.gui

TIMEOUT_MS = 60_000
MOST_TURNS = 20
"""Of the event loop, until a dock is laid out anew."""

ROUNDING = 1


def plain(text: str) -> str:
    """A label's text as it is read: without tags and accelerators."""
    if Qt.mightBeRichText(text):
        document = QTextDocument()
        document.setHtml(text)
        return document.toPlainText()
    return re.sub(r"&(?!&)", "", text)


def clipped(widget) -> str:
    """The text of a control that is not read in full, and not in its tooltip either; empty if all is well."""
    text, fits = _fits(widget)
    told = plain(html.unescape(widget.toolTip())).replace("\n", " ")
    if fits or " ".join(text.split()) in " ".join(told.split()):
        return ""
    return f"{type(widget).__name__} {text!r} at {widget.width()} px, tooltip {told!r}"


def _fits(widget) -> tuple[str, bool]:
    metrics = widget.fontMetrics()
    if isinstance(widget, QComboBox):
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        field = widget.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, widget
        )
        text = widget.currentText()
        return text, metrics.horizontalAdvance(text) <= field.width() + ROUNDING
    text = plain(widget.text())
    if isinstance(widget, QAbstractButton):
        lost = widget.sizeHint().width() - metrics.horizontalAdvance(text) if text else 0
        # Of what the style adds, the frame is needed and the air around the text is not.
        return text, metrics.horizontalAdvance(text) <= widget.width() - min(lost, 8) or not text
    if isinstance(widget, QElidingLabel):
        return text, metrics.horizontalAdvance(text) <= widget.width() + ROUNDING
    if widget.wordWrap():
        longest = max((metrics.horizontalAdvance(word) for word in text.split()), default=0)
        tall = widget.heightForWidth(widget.width()) <= widget.height() + ROUNDING
        return text, tall and longest <= widget.width() + ROUNDING
    return text, widget.sizeHint().width() <= widget.width() + ROUNDING


def all_clipped(dock) -> list[str]:
    """Texts of a dock that cannot be read once it is laid out."""
    problems = []
    for _ in range(MOST_TURNS):
        QApplication.processEvents()
        assert dock.width() == WIDTH
        found = [w for kind in (QLabel, QAbstractButton, QComboBox) for w in dock.findChildren(kind)]
        problems = [problem for widget in found if widget.isVisible() and (problem := clipped(widget))]
        if not problems:
            break
    return problems


def narrow(dock) -> None:
    """Show a dock on its own, as narrow as it may be."""
    dock.setFixedWidth(WIDTH)
    QApplication.processEvents()


@pytest.fixture
def model_with_a_long_card(bundle_folder):
    card = bundle_folder / "model.json"
    text = card.read_text("utf-8")
    assert '"anything"' in text
    long = "Real tissue, other stains, other scanners, or an answer to any question about a patient"
    description = json.loads(text.replace('"anything"', f'"{long}"'))
    del description["content_sha256"]  # changed on purpose
    card.write_text(json.dumps(description), "utf-8")
    return bundle_folder


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_main_dock_is_read_in_full(
    with_slide, qtbot, theme, model_with_a_long_card, outlines_file, compress_file, slide_file
):
    assert theme in available_themes()
    viewer, dock = with_slide
    viewer.theme = theme
    viewer.window._qt_window.show()
    viewer.window._qt_window.resize(1400, 1000)
    narrow(dock)
    assert all_clipped(dock) == []
    compress_file(slide_file)
    dock.session.find_store(any_encoder=False)
    dock.models.add(model_with_a_long_card)
    dock.annotating.open(outlines_file)
    dock.compress_section.options.toggleButton().click()
    for kind in ("pca", "channel", "prediction", "saliency"):
        dock.overlays.show(kind, on=True)
        qtbot.waitUntil(lambda: not dock.runner.jobs, timeout=TIMEOUT_MS)
        assert all_clipped(dock) == [], kind
    assert "Saliency is" in plain(dock.overlay_section.reliability.label.text())
    assert "answer to any question about a patient" in dock.overlay_section.caution.text()
    dock.compressing.region = "visible"
    for label in (
        "C&ompress visible part",
        "C&ontinue here: 12,345 of 1,234,567 left",
        "C&ontinue: 1,234,567 of 1,234,567 left",
        "C&ompress anew: 1,234,567 cells",
    ):
        dock.compress_section.button.setText(label)
        assert all_clipped(dock) == [], label


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(
    "kind",
    [
        TrainDock,
        CohortDock,
        ViewDock,
        SimilarDock,
        ProbeDock,
        CompareDock,
        AnnotatorDock,
        ShrinkDock,
        PaintingDock,
    ],
)
def test_other_docks_are_read_in_full(with_slide, theme, kind):
    viewer, _ = with_slide
    viewer.theme = theme
    viewer.window._qt_window.show()
    dock = kind(viewer)
    viewer.window.add_dock_widget(dock, name=kind.__name__)
    narrow(dock)
    assert all_clipped(dock) == []
    for fold in dock.findChildren(Fold):
        fold.toggleButton().click()
        assert all_clipped(dock) == [], fold.text()
    if kind is TrainDock:
        dock.training.fill_in(source="tiles", paths=("/a/folder/of/tiles",))
        assert all_clipped(dock) == []
    dock.shut_down()


def test_titles_of_narrow_docks_are_in_their_tooltips(with_slide):
    viewer, _ = with_slide
    viewer.window._qt_window.show()
    dock = open_dock(viewer, CohortDock, COHORT)
    QApplication.processEvents()
    titles = dock.parentWidget().titleBarWidget().findChildren(QLabel)
    assert "Cohort browser (Neural Image Compression)" in [label.toolTip() for label in titles]
    dock.shut_down()


def test_clipped_text_is_found(qtbot):
    label = QLabel("Compare")
    qtbot.addWidget(label)
    label.setFixedWidth(label.fontMetrics().horizontalAdvance("Compar"))
    label.show()
    assert "Compare" in clipped(label)
    label.setToolTip("Compare with a class")
    assert not clipped(label)


def test_score_of_a_part_never_says_whole_slide(with_slide, qtbot, bundle_folder, compress_file, slide_file):
    from napari_nic.geometry import RegionPx
    from napari_nic.pipeline import GridOptions

    _, dock = with_slide
    compress_file(slide_file, first=RegionPx(400, 600, 64, 64), options=GridOptions(stride=16))
    dock.session.find_store(any_encoder=False)
    dock.models.add(bundle_folder)
    dock.overlays.show("prediction", on=True)
    qtbot.waitUntil(lambda: bool(dock.models.score()) and not dock.runner.jobs, timeout=TIMEOUT_MS)
    QApplication.processEvents()
    text = dock.overlay_section.score.text()
    assert "whole slide" not in text
    assert re.search(r"\(\d+ % of the tissue\)", text)
