"""What is seen before and after: a swipe over the slide, a map of differences, the size of the whole file."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QPushButton, QRadioButton, QSlider

from napari_nic.plugin.controllers.shrink_preview import ShrinkPreview
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.keyboard import keeping_focus
from napari_nic.plugin.widgets.rows import Section, quiet_label, row, set_enabled
from napari_nic.recompression.reporting.page import MAP_FULL

STEPS = 200
PREVIEW = "Show the middle of what is on the screen as it would be written; nothing is written"
SWIPE = "Left of the blue line the slide as it is, right of it as it would be written; arrow keys move it"
CLEAR = "Take the preview off the slide"
MAP = f"Where colours differ: black not at all, bright by {MAP_FULL:g} or more in CIELAB"
NONE = "Make a preview first"
OUTDATED = "Something else is filled in now: preview again"


class ShrinkPreviewSection(Section):
    """A button, the swipe, two pictures to choose from, two sentences.

    Parameters
    ----------
    preview : ShrinkPreview
    """

    def __init__(self, preview: ShrinkPreview) -> None:
        super().__init__("Preview")
        self._preview = preview
        self.button = QPushButton("Preview here")
        self.button.clicked.connect(preview.start)
        self.clear = GlyphButton("cross", CLEAR)
        self.clear.clicked.connect(preview.clear)
        self.swipe = QSlider(Qt.Orientation.Horizontal)
        self.swipe.setRange(0, STEPS)
        self.swipe.setPageStep(STEPS // 10)
        self.swipe.setAccessibleName("Swipe between before and after")
        self.swipe.valueChanged.connect(lambda value: preview.set_swipe(value / STEPS))
        self.after, self.difference = QRadioButton("After"), QRadioButton("Difference")
        self.after.clicked.connect(lambda: preview.set_shown("after"))
        self.difference.clicked.connect(lambda: preview.set_shown("difference"))
        self.numbers, self.expected, self.note = quiet_label(), quiet_label(), quiet_label()
        for widget in (
            row(self.button, self.clear),
            row(self.swipe, label="Swipe"),
            row(self.after, self.difference, label="Show", buddy=self.after),
            self.numbers,
            self.expected,
            self.note,
        ):
            self.body.addWidget(widget)
        preview.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what there is."""
        preview = self._preview
        none = "" if preview.found is not None else NONE
        with keeping_focus(self.button, self.button, self.clear):
            set_enabled(self.button, preview.why_not(), PREVIEW)
            set_enabled(self.clear, none, CLEAR)
        set_enabled(self.swipe, none, SWIPE)
        set_enabled(self.after, none, "The slide as it would be written")
        set_enabled(self.difference, none, MAP)
        with QSignalBlocker(self.swipe):
            self.swipe.setValue(round(preview.swipe * STEPS))
        self.after.setChecked(preview.shown == "after")
        self.difference.setChecked(preview.shown == "difference")
        waiting = "Encoding what is seen..." if preview.is_running and none else ""
        for label, text in (
            (self.numbers, preview.numbers() or waiting),
            (self.expected, preview.expected() if not none else ""),
            (self.note, OUTDATED if preview.is_outdated() else ""),
        ):
            label.setText(text)
            label.setVisible(bool(text))
