"""Choose a cell or a region, see what is like it, and make annotations of that."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QLineEdit, QPushButton, QSlider

from napari_nic.plugin.controllers.code_maps import OPACITY, CodeMaps
from napari_nic.plugin.controllers.similar import NO_QUERY, SimilarController
from napari_nic.plugin.widgets.colour_bar import LegendBox
from napari_nic.plugin.widgets.rows import Section, quiet_label, row, set_enabled

STEPS = 200
VALUE_WIDTH = 38
PERCENT = 100
SETTLE_MS = 30
"""A slider that is dragged changes more often than a map can be shown anew."""

HELP = "Click the button, then a place on the slide: everything that is like it lights up."
PICKING = "Click a place on the slide. Escape, or the button, ends picking."


class SimilarSection(Section):
    """The query, its map, and what is made of it.

    Parameters
    ----------
    similar : SimilarController
    """

    def __init__(self, similar: SimilarController) -> None:
        super().__init__("Similar cells")
        self._similar = similar
        self._moved = QTimer(self)
        self._moved.setSingleShot(True)
        self._moved.setInterval(SETTLE_MS)
        self._moved.timeout.connect(self._on_slider)
        self._build_query()
        self._build_threshold()
        self._build_annotation()
        similar.changed.connect(self.refresh_soon)
        self.refresh()

    def _build_query(self) -> None:
        self.pick = QPushButton("Pick a cell")
        self.pick.setCheckable(True)
        self.pick.clicked.connect(lambda on: self._similar.pick(on=on))
        self.shape = QPushButton("From selected shape")
        self.shape.clicked.connect(self._similar.ask_selected)
        self.what = quiet_label(HELP)
        self.body.addWidget(row(self.pick, self.shape))
        self.body.addWidget(self.what)

    def _build_threshold(self) -> None:
        self.toggle = QCheckBox("Similarity")
        self.toggle.clicked.connect(lambda on: self._similar.show(on=on))
        self.threshold = QSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0, STEPS)
        self.threshold.setPageStep(STEPS // 20)
        self.threshold.setAccessibleName("Least similarity that is shown")
        self.threshold.valueChanged.connect(lambda _: self._moved.start())
        self.value = QLabel()
        self.value.setFixedWidth(VALUE_WIDTH)
        self.value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.above = quiet_label()
        self.body.addWidget(self.toggle)
        self.body.addWidget(row(self.threshold, self.value, label="At least"))
        self.body.addWidget(self.above)

    def _build_annotation(self) -> None:
        self.label = QLineEdit()
        self.label.setPlaceholderText("similar")
        self.label.setAccessibleName("Class of the annotations that are made")
        self.make = QPushButton("Make annotations")
        self.make.clicked.connect(lambda: self._similar.make_annotation(self.label.text()))
        self.label.returnPressed.connect(self.make.click)
        self.body.addWidget(row(self.label, self.make, label="Class"))

    def refresh(self) -> None:
        """Show what the controller holds."""
        similar = self._similar
        why_not = similar.why_not()
        with QSignalBlocker(self.pick):
            self.pick.setChecked(similar.picking.is_on)
        set_enabled(self.pick, why_not, "Then click a place on the slide. Escape ends picking")
        set_enabled(self.shape, why_not, "Of a layer of shapes on this slide: its cells are asked for as one")
        query = similar.query
        asked = HELP if query is None else f"Like {query.what} of {query.slide_name}"
        self.what.setText("Comparing..." if similar.busy else PICKING if similar.picking.is_on else asked)
        missing = why_not or ("" if query is not None else NO_QUERY)
        with QSignalBlocker(self.toggle):
            self.toggle.setChecked(similar.shown)
        set_enabled(self.toggle, missing, "Cosine similarity of every cell's code with what was chosen")
        set_enabled(self.threshold, missing, "Only cells that are at least so similar are shown")
        set_enabled(self.make, missing, "Outline the cells that are shown, as annotations of this class")
        set_enabled(self.label, missing, "Class of the annotations")
        self._refresh_threshold()

    def _refresh_threshold(self) -> None:
        low, high = self._similar.limits()
        threshold = self._similar.threshold
        if not self._moved.isActive():
            with QSignalBlocker(self.threshold):
                share = 0 if threshold is None else (threshold - low) / (high - low)
                self.threshold.setValue(round(share * STEPS))
        self.value.setText("all" if threshold is None else f"{threshold:.2f}")
        self.above.setText(self._similar.describe_above())
        self.above.setVisible(bool(self.above.text()))

    def _on_slider(self) -> None:
        low, high = self._similar.limits()
        value = self.threshold.value()
        self._similar.set_threshold(None if value == 0 else low + (high - low) * value / STEPS)


class MapSection(Section):
    """The legend of the map that is shown, its opacity, and the value under the pointer.

    Parameters
    ----------
    maps : CodeMaps
    """

    def __init__(self, maps: CodeMaps) -> None:
        super().__init__("")
        self._maps = maps
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, PERCENT)
        self.opacity.setValue(round(PERCENT * OPACITY))
        self.opacity.setAccessibleName("Opacity of the map")
        self.opacity.valueChanged.connect(self._on_opacity)
        self.legend = LegendBox()
        self.pointer = quiet_label(" ", wrap=False)
        self.pointer.setAccessibleName("Value under the pointer")
        self.opacity_row = row(self.opacity, label="Opacity")
        for widget in (self.legend, self.opacity_row, self.pointer):
            self.body.addWidget(widget)
        maps.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show the legend of what is shown."""
        legend = self._maps.legend()
        self.legend.set_legend(legend)
        self.opacity_row.setVisible(legend is not None)
        self.pointer.setVisible(legend is not None)
        self.opacity.setToolTip(f"Opacity {self.opacity.value()} %")

    def point(self, world: tuple[float, ...]) -> None:
        """Say what lies under a place of napari's world."""
        if self.pointer.isVisible():
            text = self._maps.describe(world)
            self.pointer.setText(text)
            self.pointer.setToolTip(text)

    def _on_opacity(self, value: int) -> None:
        self.opacity.setToolTip(f"Opacity {value} %")
        self._maps.set_opacity(value / PERCENT)
