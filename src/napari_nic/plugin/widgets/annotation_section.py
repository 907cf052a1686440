"""Open and save annotations, see their classes and how well the overlay agrees with one."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QFileDialog, QPushButton

from napari_nic.annotations import UNCLASSIFIED, AnnotationSet
from napari_nic.jobs import Progress
from napari_nic.names import CLAIMED_ANNOTATIONS, patterns
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.widgets.colour_bar import Swatches
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled

OPEN_FILTER = (
    f"Annotations ({patterns((*CLAIMED_ANNOTATIONS, '.json'))});;"
    "Tables, DICOM (*.csv *.parquet *.dcm);;All files (*)"
)

FOLDER = "Open OME-Zarr labels, which are a folder"
NO_ANNOTATIONS = "Open annotations first, or draw them in a new shapes layer"
NO_FILE = "Nothing of this slide was opened from a file"
SAVING_TIP = "Comes back with the slide; Save writes a file for other programs"
CLASS_TIP = "Class of the shapes that are drawn next; shapes that are selected become of it"


class AnnotationSection(Section):
    """The expert's view beside the model's."""

    def __init__(self, session: Session, annotating: AnnotationController) -> None:
        super().__init__("Annotations")
        self._session, self._annotating = session, annotating
        self.open = QPushButton("Open a&nnotations...")
        self.open.clicked.connect(self._open)
        self.folder = GlyphButton("folder", FOLDER)
        self.folder.clicked.connect(self._open_folder)
        self.save = QPushButton("Save...")
        self.save.clicked.connect(self._save)
        self.reload = QPushButton("Reload")
        self.reload.clicked.connect(annotating.reload)
        self.drawn = narrow_combo()
        self.drawn.setEditable(True)
        self.drawn.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.drawn.setAccessibleName("Class to draw in")
        self.drawn.setToolTip(CLASS_TIP)
        self.drawn.textActivated.connect(annotating.set_class)
        self.drawn.lineEdit().returnPressed.connect(self._draw_in)
        self.drawn_row = row(self.drawn, label="Draw as")
        self.classes = Swatches()
        self.compared = narrow_combo()
        self.compared.setAccessibleName("Class that the overlay is compared with")
        self.compared.currentIndexChanged.connect(self._refresh_agreement)
        self.compare_row = row(self.compared, label="Class")
        self.agreement = quiet_label()
        self.opening = quiet_label()
        self.saving = quiet_label()
        self.saving.setToolTip(SAVING_TIP)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop reading the file; nothing of it is shown")
        self.cancel.clicked.connect(annotating.cancel_opening)
        self.opening_row = row(self.opening, self.cancel)
        for widget in (
            row(self.open, self.folder),
            row(self.save, self.reload),
            self.opening_row,
            self.saving,
            self.drawn_row,
            self.classes,
            self.compare_row,
            self.agreement,
        ):
            self.body.addWidget(widget)
        annotating.changed.connect(self.refresh_soon)
        annotating.documents.saving_changed.connect(self.refresh_saving)
        annotating.progressed.connect(self._show_progress)
        session.slide_changed.connect(self.refresh_soon)
        self.refresh()

    def refresh(self) -> None:
        """Show classes, counts and agreement."""
        why_not = "" if self._session.slide is not None else "Open a slide first: annotations lie on it"
        opening = self._annotating.opening
        self.opening.setText(f"Opening {opening}...")
        self.opening_row.setVisible(bool(opening))
        busy = f"{opening} is being opened" if opening else why_not
        set_enabled(self.open, busy, "A file of QuPath, ASAP, ImageScope or another program")
        set_enabled(self.folder, busy, FOLDER)
        annotations = self._annotating.annotations()
        set_enabled(self.save, "" if len(annotations) else NO_ANNOTATIONS, "QuPath GeoJSON or ASAP XML")
        set_enabled(self.reload, "" if self._annotating.can_reload() else NO_FILE, "Read the file anew")
        self._refresh_drawn(annotations)
        self.refresh_saving()
        counts = annotations.counts()
        self.classes.set_entries(
            tuple((f"{label} {count:,}", annotations.colors[label]) for label, count in counts.items())
        )
        labels = list(self._annotating.labels())
        with QSignalBlocker(self.compared):
            if [self.compared.itemText(i) for i in range(self.compared.count())] != labels:
                self.compared.clear()
                self.compared.addItems(labels)
        self._refresh_agreement()

    def _show_progress(self, progress: Progress) -> None:
        stage = f"{progress.stage[:1].lower()}{progress.stage[1:]}"
        self.opening.setText(f"Opening {self._annotating.opening}: {stage}, {progress.fraction:.0%}")

    def refresh_saving(self) -> None:
        """Show when what is drawn was kept last."""
        text = self._annotating.documents.saving_text
        self.saving.setText(f"Kept beside the slide: {text}" if text else "")
        self.saving.setVisible(bool(text))

    def _refresh_drawn(self, annotations: AnnotationSet) -> None:
        current = self._annotating.drawing.current
        labels = list(dict.fromkeys([UNCLASSIFIED, *annotations.labels(), current]))
        with QSignalBlocker(self.drawn):
            if [self.drawn.itemText(i) for i in range(self.drawn.count())] != labels:
                self.drawn.clear()
                self.drawn.addItems(labels)
            if not self.drawn.lineEdit().hasFocus():
                self.drawn.setCurrentText(current)
        self.drawn_row.setVisible(bool(self._annotating.layers()))

    def _draw_in(self) -> None:
        self._annotating.set_class(self.drawn.currentText())

    def _refresh_agreement(self) -> None:
        label = self.compared.currentText()
        text = self._annotating.agreement(label) if label else ""
        self.agreement.setText(text)
        self.agreement.setVisible(bool(text))
        self.compare_row.setVisible(bool(text) and self.compared.count() > 1)

    def _open(self) -> None:
        start = str(self._session.slide.path.parent) if self._session.slide is not None else ""
        path, _ = QFileDialog.getOpenFileName(self, "Open annotations", start, OPEN_FILTER)
        if path:
            self._annotating.open(Path(path))

    def _open_folder(self) -> None:
        start = str(self._session.slide.path.parent) if self._session.slide is not None else ""
        path = QFileDialog.getExistingDirectory(self, "Open OME-Zarr labels", start)
        if path:
            self._annotating.open(Path(path))

    def _save(self) -> None:
        slide = self._session.slide
        start = Path() if slide is None else slide.path.with_name(f"{slide.name}.geojson")
        path = self._session.asking.save_to("Save annotations", start)
        if path is not None:
            self._annotating.save(path)
