"""A project file: all that is open, to be opened again."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_nic.names import PROJECT_SUFFIX
from napari_nic.plugin.controllers.projecting import ProjectController
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import row, set_enabled

FOLDER_SETTING = "project_folder"
"""Setting: where the last project was written or opened."""

FILTER = f"Project (*{PROJECT_SUFFIX})"


class ProjectSection(Fold):
    """Save and open.

    Parameters
    ----------
    projecting : ProjectController
    settings : Settings
    """

    open_wanted = Signal(Path)

    def __init__(self, projecting: ProjectController, settings: Settings) -> None:
        super().__init__("Project")
        self._projecting, self._settings = projecting, settings
        self.save, self.open = QPushButton("Save project..."), QPushButton("Open project...")
        self.save.clicked.connect(self.ask_save)
        self.open.clicked.connect(self.ask_open)
        self.open.setToolTip("Open slides, annotations, bookmarks and the view of a project file")
        self.body.addWidget(row(self.save, self.open))
        self.refresh()

    def refresh(self) -> None:
        """Offer what can be done."""
        tooltip = "Slides, annotation files, bookmarks, display and view in one file, with relative paths"
        set_enabled(self.save, self._projecting.why_not(), tooltip)

    def ask_save(self) -> None:
        """Ask for a file and write it."""
        start = str(self._settings.get(FOLDER_SETTING, ""))
        path, _ = QFileDialog.getSaveFileName(self, "Save project", start, FILTER)
        if path:
            self._settings.set(FOLDER_SETTING, str(Path(path).parent))
            self._projecting.save(Path(path))

    def ask_open(self) -> None:
        """Ask for a file and open it."""
        start = str(self._settings.get(FOLDER_SETTING, ""))
        path, _ = QFileDialog.getOpenFileName(self, "Open project", start, FILTER)
        if path:
            self._settings.set(FOLDER_SETTING, str(Path(path).parent))
            self.open_wanted.emit(Path(path))
