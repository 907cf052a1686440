"""Toggles with opacity for the overlays, the model, its score, the legend and the value under the pointer."""

from __future__ import annotations

import html

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QMessageBox, QSlider, QSpinBox, QWidget

from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import KINDS, TITLES, Kind, OverlayController
from napari_nic.plugin.controllers.reliability import ReliabilityController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.colour_bar import LegendBox
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.reliability_line import ReliabilityLine
from napari_nic.plugin.widgets.rows import Section, card_table, narrow_combo, quiet_label, row, set_enabled
from napari_nic.slide_models import ModelCard

PERCENT = 100
TOGGLE_WIDTH = 90
CHOICE_WIDTH = 118

ACCELERATORS: dict[Kind, str] = {
    "pca": "PC&A",
    "channel": "Channel",
    "prediction": "P&rediction",
    "saliency": "Salienc&y",
}
POINTER = f"Value; cell by row and column; place by y and x in {UM}, from the slide's top left corner"

TOOLTIPS: dict[Kind, str] = {
    "pca": "Similar colours, similar tissue",
    "channel": "One number of each cell's code",
    "prediction": "What the model says of each cell",
    "saliency": "What speaks for and against the target, cell by cell",
}


class OverlayRow(QWidget):
    """Check box, opacity, and a place for a choice."""

    def __init__(self, kind: Kind, controller: OverlayController, choice: QWidget | None) -> None:
        super().__init__()
        self._kind, self._controller = kind, controller
        self.toggle = QCheckBox(ACCELERATORS[kind])
        self.toggle.setFixedWidth(TOGGLE_WIDTH)
        self.toggle.clicked.connect(lambda on: controller.show(kind, on))
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, PERCENT)
        self.opacity.setMinimumWidth(40)
        self.opacity.setAccessibleName(f"Opacity of {TITLES[kind]}")
        self.opacity.valueChanged.connect(lambda value: controller.set_opacity(kind, value / PERCENT))
        self.choice = choice or QWidget()
        self.choice.setFixedWidth(CHOICE_WIDTH)
        box = row(self.opacity, self.choice)
        outer = box.layout()
        outer.insertWidget(0, self.toggle)
        self.setLayout(outer)

    def refresh(self) -> None:
        """Show the overlay's state."""
        state = self._controller.state(self._kind)
        with QSignalBlocker(self.toggle):
            self.toggle.setChecked(state.shown)
        more = " (computing...)" if state.busy else f". {state.first}" if state.first else ""
        set_enabled(self.toggle, state.why_not, TOOLTIPS[self._kind] + more)
        set_enabled(self.choice, state.why_not, self.choice.accessibleName())
        value = round(PERCENT * state.opacity)
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(value)
        set_enabled(self.opacity, state.why_not, f"Opacity {value} %")


class OverlaySection(Section):
    """What the codes and the model see."""

    def __init__(
        self,
        session: Session,
        overlays: OverlayController,
        models: ModelController,
        reliability: ReliabilityController,
    ) -> None:
        super().__init__("Overlays")
        self._session, self._overlays, self._models = session, overlays, models
        self._build_choices()
        choices = {"channel": self.channel, "prediction": self.classes, "saliency": self.targets}
        self.rows = {kind: OverlayRow(kind, overlays, choices.get(kind)) for kind in KINDS}
        for kind in KINDS:
            self.body.addWidget(self.rows[kind])
        self._build_model()
        self.reliability = ReliabilityLine(reliability)
        self.body.addWidget(self.reliability)
        self.legend_boxes = tuple(LegendBox() for _ in KINDS)
        self.pointer = quiet_label(" ", wrap=False)
        self.pointer.setAccessibleName("Value under the pointer")
        self._on_pointed(" ")
        for box in self.legend_boxes:
            self.body.addWidget(box)
        self.body.addWidget(self.pointer)
        overlays.pointed.connect(self._on_pointed)
        reliability.changed.connect(self.reliability.refresh)
        signals = (overlays.changed, models.changed, models.predicted)
        for signal in (*signals, session.store_changed, session.slide_changed, session.encoder_changed):
            signal.connect(self.refresh_soon)
        self.refresh()

    def _build_choices(self) -> None:
        self.channel = QSpinBox()
        self.channel.setAccessibleName("Channel of the code")
        self.channel.setKeyboardTracking(False)
        self.channel.valueChanged.connect(self._overlays.set_channel)
        self.classes, self.targets = narrow_combo(), narrow_combo()
        self.classes.setAccessibleName("Class that the prediction shows")
        self.targets.setAccessibleName("Target that saliency explains")
        self.classes.currentIndexChanged.connect(self._models.choose_class)
        self.targets.currentIndexChanged.connect(lambda index: self._models.set_target(max(0, index)))

    def _build_model(self) -> None:
        self.models = narrow_combo()
        self.models.setAccessibleName("Model")
        self.models.currentIndexChanged.connect(self._on_model)
        self.about = GlyphButton("info", "About this model: data, results, what it is not for")
        self.about.clicked.connect(self._show_card)
        self.add = GlyphButton("plus", "Add a model (a folder with model.json), or all that a training made")
        self.add.clicked.connect(self._add_model)
        self.score = quiet_label()
        self.score.setAccessibleName("Score of the slide")
        self.body.addWidget(row(self.models, self.about, self.add, label="&Model"))
        self.caution = quiet_label()
        self.body.addWidget(self.score)
        self.body.addWidget(self.caution)

    @property
    def legend(self) -> LegendBox:
        """The legend of the topmost overlay."""
        return self.legend_boxes[0]

    def refresh(self) -> None:
        """Show what the controllers hold."""
        for overlay_row in self.rows.values():
            overlay_row.refresh()
        self._refresh_channel()
        self._refresh_models()
        self.reliability.refresh()
        legends = self._overlays.legends()
        for index, box in enumerate(self.legend_boxes):
            box.set_legend(legends[index] if index < len(legends) else None)
        self._refresh_pointer()

    def _refresh_pointer(self) -> None:
        """Another overlay has another value under the pointer, which need not move to be looked at."""
        if self.pointer.text().strip():
            self._on_pointed(self._overlays.describe(self._session.viewer.cursor.position))
        self.pointer.setVisible(self._session.store is not None)

    def _on_pointed(self, text: str) -> None:
        self.pointer.setText(text)
        self.pointer.setToolTip(f"{text}\n{POINTER}".strip())

    def _refresh_channel(self) -> None:
        store = self._session.store
        if store is not None:
            with QSignalBlocker(self.channel):
                self.channel.setRange(0, store.code_size - 1)
                self.channel.setValue(self._overlays.channel)

    def _refresh_models(self) -> None:
        bundles, bundle = self._models.bundles, self._models.bundle
        labels = [self._models.label(b) for b in bundles]
        _fill(self.models, labels or ["none"], 0 if bundle is None else bundles.index(bundle))
        set_enabled(self.models, "" if bundles else "No model is here: add one with +", "")
        set_enabled(self.about, "" if bundle else "No model is here", self.about.accessibleName())
        classes = list(bundle.card.class_names) if bundle is not None else []
        _fill(self.classes, list(self._models.class_choices()), self._models.class_choice)
        _fill(self.targets, classes, self._models.target)
        self._refresh_score()
        caution = f"Not for: {bundle.card.not_for}" if bundle is not None and bundle.card.not_for else ""
        self.caution.setText(caution)
        self.caution.setVisible(bool(caution and self._models.score()))

    def _refresh_score(self) -> None:
        """Show the slide's score with its spread, or how to get it."""
        score, about = self._models.score(), self._models.about_score()
        state = self._overlays.state("prediction")
        if score:
            text = f"<b>{html.escape(score)}</b> ({self._models.score_of()})<br>{html.escape(about)}"
        elif state.busy:
            text = html.escape(f"{state.first or 'The slide is being scored'}...")
        elif self._session.slide is None:
            text = ""
        else:
            text = html.escape(state.why_not or f"No score yet: tick Prediction. {state.first}")
        self.score.setText(text)
        self.score.setVisible(bool(text))

    def _on_model(self, index: int) -> None:
        if 0 <= index < len(self._models.bundles):
            self._models.select(self._models.bundles[index])

    def _add_model(self) -> None:
        folder = self._session.asking.folder("Folder of a model, or of a training")
        if folder is not None:
            self._models.add(folder)

    def _show_card(self) -> None:
        if self._models.bundle is None:
            return
        box = QMessageBox(self)
        box.setWindowTitle(self._models.bundle.name)
        box.setTextFormat(Qt.TextFormat.RichText)
        box.setText(model_card(self._models.bundle.card))
        box.exec()


def model_card(card: ModelCard) -> str:
    """Rich text of what a user should know of a model before believing it."""
    rows = {
        "Task": f"{card.task}: {', '.join(card.class_names)}",
        "Encoder": card.encoder_name,
        "Meant for": card.intended_use,
        "Not for": card.not_for,
        **{f"Trained: {name}": value for name, value in card.training.items()},
        **{f"Result: {name}": value for name, value in card.metrics.items()},
        "Licence": card.licence,
    }
    return f"<b>{html.escape(card.name)}</b><p>{html.escape(card.summary)}</p>{card_table(rows)}"


def _fill(combo: QComboBox, entries: list[str], index: int) -> None:
    """Put entries into a combo box without telling anybody, and only when they differ."""
    with QSignalBlocker(combo):
        if [combo.itemText(i) for i in range(combo.count())] != entries:
            combo.clear()
            combo.addItems(entries)
        combo.setCurrentIndex(index)
