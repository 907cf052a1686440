"""Groups of like cells with their names, colours and areas; and the map of unusual cells."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_nic.colors import RGB, to_hex
from napari_nic.plugin.controllers.grouping import GroupController
from napari_nic.plugin.controllers.unusual import AnomalyController
from napari_nic.plugin.widgets.rows import SPACING, Section, narrow_combo, quiet_label, row, set_enabled
from napari_nic.similarity import MOST_CLUSTERS, AnomalyMethod

AREA_WIDTH = 70
SWATCH = 20
METHODS: dict[str, AnomalyMethod] = {"nearest neighbours": "knn", "Mahalanobis distance": "mahalanobis"}
THIS_SLIDE, A_FOLDER = "this slide", "a folder..."


class ColorButton(QToolButton):
    """A square of a colour."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setFixedSize(SWATCH, SWATCH)
        self._color = QColor()
        self.setAccessibleName(name)

    def set_color(self, color: RGB) -> None:
        """Show this colour."""
        self._color = QColor(*color)
        self.setToolTip(f"{self.accessibleName()}: {to_hex(color)}. Click to change it")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 -- Qt's name
        """Draw the button, then the colour on it."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.fillRect(self.rect().adjusted(4, 4, -4, -4), self._color)
        painter.end()


class GroupRow(QWidget):
    """Colour, name and area of one group."""

    def __init__(self, index: int, groups: GroupController) -> None:
        super().__init__()
        self._index, self._groups = index, groups
        self.color = ColorButton(f"Colour of cluster {index + 1}")
        self.color.clicked.connect(self._choose_color)
        self.name = QLineEdit()
        self.name.setAccessibleName(f"Name of cluster {index + 1}")
        self.name.editingFinished.connect(lambda: groups.rename(index, self.name.text()))
        self.area = QLabel()
        self.area.setFixedWidth(AREA_WIDTH)
        box = row(self.name, self.area)
        outer = box.layout()
        outer.insertWidget(0, self.color)
        self.setLayout(outer)

    def show_group(self, name: str, color: RGB, area: float) -> None:
        """Show these values."""
        self.color.set_color(color)
        if self.name.text() != name:
            with QSignalBlocker(self.name):
                self.name.setText(name)
        self.name.setToolTip(f"{name}: type another name, and Enter")
        self.area.setText(f"{area:.2f} mm\N{SUPERSCRIPT TWO}")

    def _choose_color(self) -> None:
        clusters = self._groups.clusters
        if clusters is None:
            return
        chosen = QColorDialog.getColor(QColor(*clusters.colors[self._index]), self, "Colour of the cluster")
        if chosen.isValid():
            self._groups.recolor(self._index, (chosen.red(), chosen.green(), chosen.blue()))


class GroupsSection(Section):
    """How many groups, their rows, and what is made of them.

    Parameters
    ----------
    groups : GroupController
    """

    def __init__(self, groups: GroupController) -> None:
        super().__init__("Clusters")
        self._groups = groups
        self.toggle = QCheckBox("Clusters")
        self.toggle.clicked.connect(lambda on: groups.show(on=on))
        self.count = QSpinBox()
        self.count.setRange(2, MOST_CLUSTERS)
        self.count.setValue(groups.count)
        self.count.setAccessibleName("Number of clusters")
        self.count.setToolTip("Into how many clusters the cells are sorted")
        self.count.setKeyboardTracking(False)
        self.count.valueChanged.connect(self._on_count)
        self.find = QPushButton("Find clusters")
        self.find.clicked.connect(groups.find)
        self.rows: list[GroupRow] = []
        self._list = QVBoxLayout()
        self._list.setSpacing(SPACING)
        self.annotate = QPushButton("Make annotations")
        self.annotate.clicked.connect(groups.make_annotations)
        self.table = QPushButton("Save areas...")
        self.table.clicked.connect(self._save_table)
        self.kept = quiet_label()
        self.body.addWidget(row(self.toggle, self.count, self.find))
        self.body.addLayout(self._list)
        self.buttons = row(self.annotate, self.table)
        self.body.addWidget(self.buttons)
        self.body.addWidget(self.kept)
        groups.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show what the controller holds."""
        groups = self._groups
        why_not = groups.why_not()
        with QSignalBlocker(self.toggle):
            self.toggle.setChecked(groups.shown)
        busy = "Clusters are being found" if groups.busy else ""
        set_enabled(
            self.toggle, why_not or busy, "Cells in the colours of clusters that are found without labels"
        )
        set_enabled(
            self.find, why_not or busy, "Find so many groups of like cells in this slide, without labels"
        )
        self._refresh_rows()

    def _refresh_rows(self) -> None:
        clusters = self._groups.clusters
        count = 0 if clusters is None else len(clusters)
        while len(self.rows) < count:
            self.rows.append(GroupRow(len(self.rows), self._groups))
            self._list.addWidget(self.rows[-1])
        for index, line in enumerate(self.rows):
            line.setVisible(index < count)
        self.buttons.setVisible(count > 0)
        place = self._groups.place()
        self.kept.setText("" if place is None else f"Names are kept in {place.name}")
        self.kept.setToolTip("" if place is None else str(place))
        self.kept.setVisible(count > 0)
        if clusters is None:
            return
        for line, name, color, area in zip(
            self.rows, clusters.names, clusters.colors, self._groups.areas(), strict=False
        ):
            line.show_group(name, color, area)

    def _on_count(self, value: int) -> None:
        self._groups.count = value

    def _save_table(self) -> None:
        place = self._groups.place()
        start = "" if place is None else str(place.with_suffix(".csv"))
        chosen, _ = QFileDialog.getSaveFileName(self, "Save areas of the clusters", start, "Tables (*.csv)")
        if chosen:
            self._groups.save_table(Path(chosen).with_suffix(".csv"))


class UnusualSection(Section):
    """The map of unusual cells: how it is measured, and against what.

    Parameters
    ----------
    unusual : AnomalyController
    """

    def __init__(self, unusual: AnomalyController) -> None:
        super().__init__("Unusual cells")
        self._unusual = unusual
        self.toggle = QCheckBox("Unusual cells")
        self.toggle.clicked.connect(lambda on: unusual.show(on=on))
        self.method, self.reference = narrow_combo(), narrow_combo()
        self.method.setAccessibleName("How unusual is measured")
        self.method.addItems(list(METHODS))
        self.method.activated.connect(lambda _: unusual.set_method(METHODS[self.method.currentText()]))
        self.reference.setAccessibleName("What cells are compared with")
        self.reference.addItems([THIS_SLIDE, A_FOLDER])
        self.reference.activated.connect(self._on_reference)
        self.body.addWidget(self.toggle)
        self.body.addWidget(row(self.method, label="By"))
        self.body.addWidget(row(self.reference, label="Against"))
        unusual.changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show what the controller holds."""
        with QSignalBlocker(self.toggle):
            self.toggle.setChecked(self._unusual.shown or self._unusual.busy)
        more = " (computing...)" if self._unusual.busy else ""
        tip = f"Share of the cells compared with that are less unusual, in percent{more}"
        set_enabled(self.toggle, self._unusual.why_not(), tip)
        folder = self._unusual.folder
        with QSignalBlocker(self.reference):
            self.reference.setItemText(1, A_FOLDER if folder is None else f"slides in {folder.name}")
            self.reference.setCurrentIndex(0 if folder is None else 1)
        self.reference.setToolTip(
            self.reference.currentText() if folder is None else f"slides in {folder.name}: {folder}"
        )
        self.method.setToolTip(self.method.currentText())

    def _on_reference(self, index: int) -> None:
        if index == 0:
            self._unusual.set_reference(None)
            return
        start = self._unusual.folder
        chosen = QFileDialog.getExistingDirectory(
            self, "Compressed slides of what is usual", str(start or "")
        )
        if chosen:
            self._unusual.set_reference(Path(chosen))
        self.refresh()
