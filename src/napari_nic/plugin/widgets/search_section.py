"""The same question to other slides: a folder of compressed slides, and the best matches as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QFileDialog, QPushButton, QSpinBox

from napari_nic.jobs import Progress
from napari_nic.plugin.controllers.similar_search import SearchController
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.match_list import MatchList
from napari_nic.plugin.widgets.rows import ProgressBar, Section, quiet_label, row, set_enabled
from napari_nic.similarity import Crop, Match, SearchOptions

MOST_MATCHES, MOST_PER_SLIDE, MOST_APART = 500, 100, 10_000
STEP_UM = 50

FOLDER_TIP = "Folder of compressed slides (.nic.zarr) that is searched"
SLIDES_TIP = "Folder of the slides, for pictures and for opening matches; else they are looked for beside"


class SearchSection(Section):
    """Folders, options, the button, and what was found.

    Parameters
    ----------
    search : SearchController
    """

    def __init__(self, search: SearchController) -> None:
        super().__init__("In other slides")
        self._search = search
        self._crops: tuple[Crop, ...] = ()
        self._build_folders()
        self._build_options()
        self._build_search()
        search.changed.connect(self.refresh_soon)
        search.progressed.connect(self._show_progress)
        self.refresh()

    def _build_folders(self) -> None:
        self.folder, self.slides = quiet_label(wrap=False), quiet_label(wrap=False)
        self.choose_folder = GlyphButton("folder", FOLDER_TIP)
        self.choose_folder.clicked.connect(self._choose_folder)
        self.choose_slides = GlyphButton("folder", SLIDES_TIP)
        self.choose_slides.clicked.connect(self._choose_slides)
        self.body.addWidget(row(self.folder, self.choose_folder, label="Stores", buddy=self.choose_folder))
        self.body.addWidget(row(self.slides, self.choose_slides, label="Slides", buddy=self.choose_slides))

    def _build_options(self) -> None:
        self.top = self._number(1, MOST_MATCHES, "Matches that are listed")
        self.per_slide = self._number(1, MOST_PER_SLIDE, "Matches of one slide, at most")
        self.apart = self._number(0, MOST_APART, "Least distance between two matches of a slide")
        self.per_slide.setSuffix(" a slide")
        self.apart.setSuffix(f" {UM}")
        self.apart.setSingleStep(STEP_UM)
        self.body.addWidget(row(self.top, self.per_slide, label="At most"))
        self.body.addWidget(row(self.apart, label="Apart"))

    def _number(self, least: int, most: int, tip: str) -> QSpinBox:
        box = QSpinBox()
        box.setRange(least, most)
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        box.setKeyboardTracking(False)
        box.valueChanged.connect(self._on_options)
        return box

    def _build_search(self) -> None:
        self.button = QPushButton("Search")
        self.button.clicked.connect(self._search.search)
        self.stop = GlyphButton("cross", "Stop the search")
        self.stop.clicked.connect(self._search.cancel)
        self.bar = ProgressBar()
        self.bar.setFormat("%p %")
        self.bar_row = row(self.bar, self.stop)
        self.list = MatchList()
        self.list.chosen.connect(lambda match: self._search.open(cast("Match", match)))
        self.summary = quiet_label()
        for widget in (self.button, self.bar_row, self.list, self.summary):
            self.body.addWidget(widget)

    def refresh(self) -> None:
        """Show what the controller holds."""
        search = self._search
        for label, folder, nothing in (
            (self.folder, search.folder, "no folder chosen"),
            (self.slides, search.slides, "beside their stores"),
        ):
            label.setText(nothing if folder is None else folder.name or str(folder))
            label.setToolTip(nothing if folder is None else str(folder))
        options = search.options
        for box, value in (
            (self.top, options.top),
            (self.per_slide, options.per_slide or MOST_PER_SLIDE),
            (self.apart, round(options.apart_um)),
        ):
            with QSignalBlocker(box):
                box.setValue(value)
        why_not = "A search is running" if search.busy else search.why_not()
        set_enabled(self.button, why_not, "Compare what was chosen with every cell of these slides")
        self.bar_row.setVisible(search.busy)
        self._refresh_matches()

    def _refresh_matches(self) -> None:
        crops = self._search.crops
        if crops is not self._crops:
            self._crops = crops
            self.list.set_crops(crops)
        self.list.setVisible(bool(crops))
        text = self._search.summary()
        self.summary.setText(text)
        self.summary.setVisible(bool(text))

    def _show_progress(self, progress: Progress) -> None:
        self.bar.setRange(0, progress.total)
        self.bar.setValue(progress.done)
        self.bar.setToolTip(f"{progress.stage}: {progress.done:,} of {progress.total:,} {progress.unit}")

    def _on_options(self) -> None:
        self._search.options = SearchOptions(
            self.top.value(), self.per_slide.value(), float(self.apart.value())
        )

    def _choose_folder(self) -> None:
        start = self._search.folder
        chosen = QFileDialog.getExistingDirectory(self, "Folder of compressed slides", str(start or ""))
        if chosen:
            self._search.set_folder(Path(chosen))

    def _choose_slides(self) -> None:
        start = self._search.slides
        chosen = QFileDialog.getExistingDirectory(self, "Folder of slides", str(start or ""))
        if chosen:
            self._search.set_slides(Path(chosen))
