"""To the next slide of the folder, and back to those that were open lately."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton

from napari_nic.plugin.controllers.slide_list import SlideList
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import quiet_label, row, set_enabled


class SlidesSection(Fold):
    """Which slide of how many; previous, next, recent, a folder.

    Parameters
    ----------
    slides : SlideList
    """

    def __init__(self, slides: SlideList) -> None:
        super().__init__("Slides")
        self._slides = slides
        self.about = quiet_label(wrap=False)
        self.before, self.next = QPushButton("Previous"), QPushButton("Next")
        self.before.clicked.connect(partial(slides.step, -1))
        self.next.clicked.connect(partial(slides.step, 1))
        self.recent, self.folder = QPushButton("Recent..."), QPushButton("Folder...")
        self.recent.clicked.connect(self._show_recent)
        self.folder.clicked.connect(self._ask_folder)
        self.folder.setToolTip(
            "Choose from the slides of a folder; a folder dropped on the window does the same"
        )
        self.menu = QMenu(self)
        self.body.addWidget(self.about)
        self.body.addWidget(row(self.before, self.next, self.recent, self.folder))
        slides.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which slide is seen."""
        text = self._slides.describe()
        self.about.setText(text)
        self.about.setToolTip(text)
        set_enabled(self.before, self._slides.why_not(-1), "The slide before this one (Alt+Page Up)")
        set_enabled(self.next, self._slides.why_not(1), "The next slide of the folder (Alt+Page Down)")
        why_not = "" if self._slides.recent else "No slide was open yet"
        set_enabled(self.recent, why_not, "Slides that were open lately")

    def _show_recent(self) -> None:
        self.menu.clear()
        for path in self._slides.recent:
            action = self.menu.addAction(path.name.replace("&", "&&"))
            action.setToolTip(str(path))
            action.triggered.connect(partial(self._slides.open, path))
        self.menu.setToolTipsVisible(True)
        self.menu.popup(self.recent.mapToGlobal(QPoint(0, self.recent.height())))

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of slides")
        if folder:
            self._slides.open_folder(Path(folder))
