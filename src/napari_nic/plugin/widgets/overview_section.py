"""The minimap and the magnification: where one is, how near, and one click or key to be elsewhere."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QWidget

from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.keyboard import holding_focus
from napari_nic.plugin.widgets.minimap import Minimap
from napari_nic.plugin.widgets.rows import SPACING, Section, quiet_label, row, set_enabled
from napari_nic.viewing import MAGNIFICATIONS, format_magnification, um_per_px_at

LEAST, MOST = 0.001, 1000.0
NO_SLIDE = "Open a slide first"
NO_SIZE = f"The {UM}/px of this slide is not known"
BUTTON_PADDING = "padding: 3px 1px;"
UM_AT_1X = f"1x is 10 {UM} on a pixel of the screen, 40x is 0.25"
NEARLY = 1.1
"""A scan is called by the nearest objective: 0.252 um/px is 40x, and its button is the native one."""


class OverviewSection(Section):
    """Minimap, magnification as a number, a button for each magnification."""

    def __init__(self, navigator: Navigator) -> None:
        super().__init__("")
        self._navigator = navigator
        self.minimap = Minimap(navigator)
        self.about = quiet_label()
        self.body.addWidget(self.minimap)
        self.body.addWidget(self._make_number())
        self.body.addWidget(self._make_buttons())
        self.body.addWidget(self.about)
        navigator.moved.connect(self.refresh)
        navigator.thumbnail_changed.connect(self._on_thumbnail)
        self._on_thumbnail()
        self.refresh()

    def _make_number(self) -> QWidget:
        self.magnification = QDoubleSpinBox()
        self.magnification.setRange(LEAST, MOST)
        self.magnification.setDecimals(2)
        self.magnification.setSuffix("x")
        self.magnification.setKeyboardTracking(False)
        self.magnification.setAccessibleName("Magnification")
        self.magnification.valueChanged.connect(self._navigator.magnify)
        self.whole = QPushButton("Whole slide")
        self.whole.clicked.connect(self._navigator.fit)
        self.native = QPushButton("Native")
        self.native.clicked.connect(self._navigator.show_native)
        return row(self.magnification, self.whole, self.native, label="Zoom")

    def _make_buttons(self) -> QWidget:
        box = QWidget()
        line = QHBoxLayout(box)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(SPACING)
        self.steps: dict[float, QPushButton] = {}
        for value in MAGNIFICATIONS:
            button = QPushButton(format_magnification(value))
            button.setMinimumWidth(30)
            button.setStyleSheet(BUTTON_PADDING)
            button.clicked.connect(partial(self._navigator.magnify, value))
            line.addWidget(button, 1)
            self.steps[value] = button
        return box

    def _on_thumbnail(self) -> None:
        self.minimap.set_picture(self._navigator.thumbnail)

    def refresh(self) -> None:
        """Show where the view is."""
        magnification, native = self._navigator.magnification, self._navigator.native
        no_slide = NO_SLIDE if self._navigator.slide is None else ""
        why_not = no_slide or (NO_SIZE if native is None else "")
        self.minimap.update()
        if magnification is not None and not self._is_typed():
            with QSignalBlocker(self.magnification), holding_focus():
                self.magnification.setValue(magnification)
        set_enabled(self.magnification, why_not, f"{UM_AT_1X}; type a number, or use the buttons")
        set_enabled(self.whole, no_slide, "Show the whole slide (Alt+0)")
        native_text = "" if native is None else f", {format_magnification(native)}"
        set_enabled(
            self.native, no_slide, f"One pixel of the slide on one of the screen{native_text} (Alt+7)"
        )
        for number, (value, button) in enumerate(self.steps.items(), 1):
            self._refresh_step(button, value, number, why_not)
        self.about.setText(self._describe())

    def _is_typed(self) -> bool:
        """Whether somebody types a number, which must not be taken from under the fingers."""
        typed: bool = self.magnification.hasFocus() and self.magnification.lineEdit().isModified()
        return typed

    def _refresh_step(self, button: QPushButton, value: float, number: int, why_not: str) -> None:
        native = self._navigator.native
        text = f"{format_magnification(value)}: {um_per_px_at(value):g} {UM} on a pixel of the screen"
        is_native = native is not None and max(native / value, value / native) < NEARLY
        if is_native:
            text += "; the slide's own magnification"
        elif native is not None and value > native * NEARLY:
            text += "; more than the slide holds: its pixels are enlarged"
        set_enabled(button, why_not, f"{text} (Alt+{number})")
        button.setStyleSheet(BUTTON_PADDING + ("font-weight: bold;" if is_native else ""))

    def _describe(self) -> str:
        slide, native = self._navigator.slide, self._navigator.native
        if slide is None:
            return NO_SLIDE
        if native is None or slide.pixel_size is None:
            return NO_SIZE
        return f"Native {format_magnification(native)}, {slide.pixel_size.mean:.3g} {UM}/px"
