"""Classes, the map and how far to believe it, while strokes are drawn."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton, QSlider

from napari_nic.annotations import UNCLASSIFIED
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.probing import ProbeController, Shown
from napari_nic.plugin.controllers.stroke_tools import Tool, take_up
from napari_nic.plugin.probe_texts import accuracy_text, class_lines, recall_lines, warning_lines
from napari_nic.plugin.widgets.colour_bar import LegendBox, Swatches
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled

SETTLE_MS = 60
"""A shape that is being drawn changes with every move of the mouse: learning waits until it rests."""

PERCENT = 100
VIEWS: tuple[tuple[str, Shown], ...] = (("Class map", "classes"), ("Uncertainty", "uncertainty"))
CLASS_TIP = "Class that the next stroke is drawn in: choose one, or write a new one"
GOTO_TIP = "Look at the place where the classes are hardest to tell: a stroke there teaches most"


class ProbeSection(Section):
    """What is learned and shown.

    Parameters
    ----------
    probing : ProbeController
    annotating : AnnotationController
        Holds the class that is drawn in.
    """

    def __init__(self, probing: ProbeController, annotating: AnnotationController) -> None:
        super().__init__("Learn while drawing")
        self._probing, self._annotating = probing, annotating
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(probing.learn)
        self._build_drawing()
        self._build_map()
        self._build_belief()
        probing.drawn.connect(self._on_drawn)
        probing.changed.connect(self.refresh_soon)
        annotating.changed.connect(self.refresh_soon)
        self.refresh()

    def _build_drawing(self) -> None:
        self.label = narrow_combo()
        self.label.setEditable(True)
        self.label.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.label.setAccessibleName("Class to draw in")
        self.label.setToolTip(CLASS_TIP)
        self.label.textActivated.connect(self._annotating.set_class)
        self.line, self.area = QPushButton("Line"), QPushButton("Area")
        for button, tool in ((self.line, "line"), (self.area, "area")):
            button.clicked.connect(lambda _=False, tool=tool: self.take_up(tool))
        self.live = QCheckBox("Learn at every stroke")
        self.live.setToolTip("The map follows each stroke, and each one that is undone")
        self.live.clicked.connect(self._probing.set_live)
        self.classes = Swatches()
        self.hint = quiet_label()
        self.hint.setTextFormat(Qt.TextFormat.PlainText)
        self.body.addWidget(row(self.label, self.line, self.area, label="Draw"))
        for widget in (self.live, self.classes, self.hint):
            self.body.addWidget(widget)

    def _build_map(self) -> None:
        self.show_map = QCheckBox("Show")
        self.show_map.clicked.connect(self._probing.show)
        self.view = narrow_combo()
        self.view.addItems([name for name, _ in VIEWS])
        self.view.setAccessibleName("What is shown of the slide")
        self.view.activated.connect(lambda index: self._probing.set_shown(VIEWS[index][1]))
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, PERCENT)
        self.opacity.setAccessibleName("Opacity of the map")
        self.opacity.setMinimumWidth(40)
        self.opacity.valueChanged.connect(lambda value: self._probing.set_opacity(value / PERCENT))
        self.legend = LegendBox()
        self.body.addWidget(row(self.view, self.show_map, self.opacity))
        self.body.addWidget(self.legend)

    def _build_belief(self) -> None:
        self.accuracy = quiet_label()
        self.accuracy.setAccessibleName("Accuracy")
        self.goto = QPushButton("Go to the least certain place")
        self.goto.clicked.connect(self._probing.go_to_least_certain)
        self.warnings = quiet_label()
        self.warnings.setTextFormat(Qt.TextFormat.PlainText)  # names of classes are anybody's
        self.warnings.setAccessibleName("Warnings")
        self.others = quiet_label()
        self.others.setTextFormat(Qt.TextFormat.PlainText)
        self.alone = QPushButton("Only this slide")
        self.alone.setToolTip("Forget what was drawn on other slides; their annotations stay")
        self.alone.clicked.connect(self._probing.forget_others)
        self.others_row = row(self.others, self.alone)
        for widget in (self.goto, self.accuracy, self.warnings, self.others_row):
            self.body.addWidget(widget)

    def take_up(self, tool: Tool) -> None:
        """Draw in the class that stands in the box."""
        take_up(tool, self.label.currentText(), self._probing.session, self._annotating)

    def refresh(self) -> None:
        """Show what the controller holds."""
        probing, learned = self._probing, self._probing.learned
        self._refresh_drawing()
        lines = class_lines(learned)
        self.classes.set_entries(lines)
        why_not = probing.why_not()
        self.hint.setText(why_not or ("Learning..." if probing.is_busy and not lines else ""))
        self.hint.setVisible(bool(self.hint.text()))
        nothing = why_not or ("" if learned is not None and learned.found is not None else "Nothing yet")
        with QSignalBlocker(self.live), QSignalBlocker(self.show_map), QSignalBlocker(self.opacity):
            self.live.setChecked(probing.live)
            self.show_map.setChecked(probing.is_shown)
            self.view.setCurrentIndex([shown for _, shown in VIEWS].index(probing.shown))
            self.opacity.setValue(round(PERCENT * probing.opacity))
        set_enabled(self.show_map, nothing, "Show what was learned over the slide")
        set_enabled(self.view, nothing, "The likeliest class of each cell, or where that is not certain")
        set_enabled(self.opacity, nothing, f"Opacity {round(PERCENT * probing.opacity)} %")
        set_enabled(self.goto, nothing, GOTO_TIP)
        self.legend.set_legend(probing.legend() if probing.shown == "uncertainty" else None)
        self._refresh_belief()

    def _refresh_drawing(self) -> None:
        annotations, current = self._annotating.annotations(), self._annotating.drawing.current
        known = () if self._probing.learned is None else tuple(self._probing.learned.counts)
        labels = [
            name for name in dict.fromkeys([*annotations.labels(), *known, current]) if name != UNCLASSIFIED
        ]
        with QSignalBlocker(self.label):
            if [self.label.itemText(i) for i in range(self.label.count())] != labels:
                self.label.clear()
                self.label.addItems(labels)
            if not self.label.lineEdit().hasFocus():
                self.label.setCurrentText("" if current == UNCLASSIFIED else current)
        no_slide = "" if self._probing.session.slide is not None else "Open a slide first"
        set_enabled(
            self.line, no_slide, "Draw a line through cells of the class; Enter or a double click ends it"
        )
        set_enabled(self.area, no_slide, "Draw around cells of the class with the mouse held down")

    def _refresh_belief(self) -> None:
        learned = self._probing.learned
        accuracy = accuracy_text(learned)
        self.accuracy.setText(accuracy)
        self.accuracy.setToolTip(recall_lines(learned))
        self.accuracy.setVisible(bool(accuracy))
        warnings = "\n".join(f"\N{WARNING SIGN} {line}" for line in warning_lines(learned))
        self.warnings.setText(warnings)
        self.warnings.setVisible(bool(warnings))
        others = self._probing.other_slides()
        self.others.setText(f"Also learned from {', '.join(others)}" if others else "")
        self.others_row.setVisible(self._probing.can_forget_others())

    def _on_drawn(self) -> None:
        self._settled.start()

    def close_down(self) -> None:
        """Learn no more."""
        self._settled.stop()
        self._annotating.changed.disconnect(self.refresh_soon)
