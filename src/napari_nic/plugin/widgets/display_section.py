"""Brightness, contrast, gamma and stains of the slide that is seen."""

from __future__ import annotations

import math

from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QInputDialog, QLabel, QPushButton, QSlider

from napari_nic.plugin.controllers.displaying import DisplayController
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import narrow_combo, row, set_enabled
from napari_nic.viewing import Tone, format_stains

STEPS = 100
GAMMA_STEPS = 50
"""So many steps of the slider double or halve gamma: it is moved by factors."""

NAME_WIDTH, VALUE_WIDTH = 84, 38
SETTLE_MS = 30
"""A slider that is dragged changes more often than tiles can be shown anew."""

ALL = "All stains"
DISPLAY_ONLY = "Changes what you see, and nothing that is compressed, exported or measured"


class DisplaySection(Fold):
    """Three sliders, the stain, and the way back.

    Parameters
    ----------
    displaying : DisplayController
    """

    def __init__(self, displaying: DisplayController) -> None:
        super().__init__("Brightness and stains")
        self._displaying = displaying
        self._values: dict[QSlider, QLabel] = {}
        self._moved = QTimer(self)
        self._moved.setSingleShot(True)
        self._moved.setInterval(SETTLE_MS)
        self._moved.timeout.connect(self._on_slider)
        self.brightness = self._slider("Brightness", STEPS, STEPS // 10)
        self.contrast = self._slider("Contrast", STEPS, STEPS // 10)
        self.gamma = self._slider("Gamma", 2 * GAMMA_STEPS, GAMMA_STEPS // 5)
        self._build_stains()
        displaying.changed.connect(self.refresh)
        self.refresh()

    def _slider(self, name: str, most: int, page: int) -> QSlider:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(-most, most)
        slider.setPageStep(page)
        slider.setAccessibleName(name)
        slider.valueChanged.connect(lambda _: self._moved.start())
        value = QLabel()
        value.setFixedWidth(VALUE_WIDTH)
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._values[slider] = value
        line = row(slider, value, label=name)
        line.findChild(QLabel).setFixedWidth(NAME_WIDTH)
        self.body.addWidget(line)
        return slider

    def _build_stains(self) -> None:
        self.stain, self.sets = narrow_combo(), narrow_combo()
        self.stain.setAccessibleName("Stain")
        self.stain.activated.connect(lambda index: self._displaying.show_stain(index - 1 if index else None))
        self.sets.setAccessibleName("Stains of the slide")
        self.sets.activated.connect(lambda _: self._displaying.choose_set(self.sets.currentText()))
        self.own = QPushButton("Own...")
        self.own.clicked.connect(self._ask_own)
        self.reset = QPushButton("As scanned")
        self.reset.clicked.connect(self._displaying.reset)
        self.body.addWidget(row(self.stain, self.reset, label="Show"))
        self.body.addWidget(row(self.sets, self.own, label="Stained"))

    def refresh(self) -> None:
        """Show what is set."""
        tone, why_not = self._displaying.display.tone, self._displaying.why_not()
        for slider, value, text in (
            (self.brightness, STEPS * tone.brightness, f"{STEPS * tone.brightness:+.0f}"),
            (self.contrast, STEPS * tone.contrast, f"{STEPS * tone.contrast:+.0f}"),
            (self.gamma, GAMMA_STEPS * math.log2(tone.gamma), f"{tone.gamma:.2f}"),
        ):
            with QSignalBlocker(slider):
                slider.setValue(round(value))
            self._values[slider].setText("0" if text in ("+0", "-0") else text)
            set_enabled(slider, why_not, DISPLAY_ONLY)
        self._refresh_stains()
        plain = "" if not self._displaying.display.is_plain else "It is shown as it was scanned"
        set_enabled(self.reset, why_not or plain, "Show the slide as it was scanned (Alt+9)")

    def _refresh_stains(self) -> None:
        chosen, display = self._displaying.chosen_set, self._displaying.display
        why_not = self._displaying.why_no_stains()
        for combo, items, index in (
            (self.sets, [one.name for one in self._displaying.sets], -1),
            (self.stain, [ALL, *chosen.names], 0 if display.stains is None else display.stain + 1),
        ):
            with QSignalBlocker(combo):
                combo.clear()
                combo.addItems(items)
                combo.setCurrentIndex(items.index(chosen.name) if index < 0 else index)
        set_enabled(
            self.stain, why_not, f"One stain by colour deconvolution (Alt+8: the next). {DISPLAY_ONLY}"
        )
        set_enabled(self.sets, why_not, "Which stains the slide has: each is taken apart from the others")
        set_enabled(self.own, why_not, f"Vectors of your own: {format_stains(chosen)}")

    def _on_slider(self) -> None:
        gamma = min(max(2 ** (self.gamma.value() / GAMMA_STEPS), 0.1), 10.0)
        self._displaying.set_tone(Tone(self.brightness.value() / STEPS, self.contrast.value() / STEPS, gamma))

    def _ask_own(self) -> None:
        text, given = QInputDialog.getText(
            self,
            "Stain vectors",
            "Optical density in red, green and blue of each stain; two or three stains with ; between them:",
            text=format_stains(self._displaying.own() or self._displaying.chosen_set),
        )
        if given:
            self._displaying.set_own(text)
