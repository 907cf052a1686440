"""The NIC dock: makes the controllers, stacks the sections, and takes everything down with the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut, QShowEvent
from qtpy.QtWidgets import QFileDialog, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.encoders import EncoderController
from napari_nic.plugin.controllers.exporting import ExportController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.annotation_section import AnnotationSection
from napari_nic.plugin.widgets.compress_section import CompressSection
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.export_section import ExportSection
from napari_nic.plugin.widgets.overlay_section import OverlaySection
from napari_nic.plugin.widgets.slide_section import SlideSection
from napari_nic.plugin.worker import Runner, ThreadRunner
from napari_nic.slides import slide_suffixes

if TYPE_CHECKING:
    import napari

WIDTH = 320
MARGIN = 6
SIDE_MARGIN = 2
PLUGIN = "napari-nic"
SAMPLE = "synthetic"
FOLDER_SETTING = "slide_folder"
"""Setting: where the last slide was opened from."""


class NicDock(QWidget):
    """The one dock of the daily work.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self.runner = runner or ThreadRunner()
        self.session = Session(napari_viewer, Settings(), Dialogs(self))
        self.tissue = TissueController(self.session, self.runner)
        self.compressing = CompressController(self.session, self.runner, self.tissue)
        self.encoders = EncoderController(self.session, self.runner)
        self.models = ModelController(self.session)
        self.overlays = OverlayController(self.session, self.compressing, self.models, self.runner)
        self.annotating = AnnotationController(self.session, self.overlays)
        self.exporting = ExportController(self.session, self.compressing, self.runner)
        self._closed = self._window_closing = False
        self._window: QWidget | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.slide_section = SlideSection(self.session, self.compressing, self.tissue, self.encoders)
        self.compress_section = CompressSection(self.session, self.compressing)
        self.overlay_section = OverlaySection(self.session, self.overlays, self.models)
        self.annotation_section = AnnotationSection(self.session, self.annotating)
        self.export_section = ExportSection(self.exporting)
        page = QWidget()
        column = QVBoxLayout(page)
        # Narrow at the sides: in a low window a scroll bar takes its part of the 320 px too.
        column.setContentsMargins(SIDE_MARGIN, MARGIN, SIDE_MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        for section in self.sections:
            column.addWidget(section)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(WIDTH)

    @property
    def sections(self) -> tuple[QWidget, ...]:
        """Top to bottom, in the order of use."""
        return (
            self.slide_section,
            self.compress_section,
            self.overlay_section,
            self.annotation_section,
            self.export_section,
        )

    def _connect(self) -> None:
        self.slide_section.open_clicked.connect(self._open_slide)
        self.slide_section.sample_clicked.connect(self._open_sample)
        self.session.slide_changed.connect(self._show_scale_bar)
        self.session.slide_changed.connect(self.compressing.load_ahead)
        self.session.encoder_changed.connect(self.compressing.load_ahead)
        self.session.pixel_size_wanted.connect(self._ask_pixel_size_soon)
        self._viewer.events.theme.connect(self._on_theme)
        self._paint_main_button()
        for keys, action in self._shortcuts().items():
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
        if self.session.slide is not None:
            self._show_scale_bar()
            self.compressing.load_ahead()
            self._ask_pixel_size_soon()

    def _paint_main_button(self) -> None:
        """The one button of the daily work stands out in the theme's accent colour."""
        theme = get_theme(self._viewer.theme)
        self.compress_section.button.setStyleSheet(
            f"QPushButton:enabled {{ background-color: {theme.current.as_hex()}; font-weight: bold; }}"
            f"QPushButton:enabled:hover {{ background-color: {theme.highlight.as_hex()}; }}"
        )

    def _shortcuts(self) -> dict[str, Any]:
        """Keys that work while the dock has the focus; the canvas keeps its own."""
        rows = self.overlay_section.rows
        return {
            "C": self.compress_section.button.click,
            "Space": self.compress_section.pause.click,
            "Esc": self.compress_section.stop.click,
            "P": rows["pca"].toggle.click,
            "R": rows["prediction"].toggle.click,
            "S": rows["saliency"].toggle.click,
            "E": self.export_section.button.click,
        }

    def _on_theme(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self._paint_main_button()

    # -- what needs the window ---------------------------------------------------------------------------

    def _open_slide(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in (*slide_suffixes(), ".dcm"))
        start = str(self.session.settings.get(FOLDER_SETTING, ""))
        path, _ = QFileDialog.getOpenFileName(
            self, "Open slide", start, f"Slides ({patterns});;All files (*)"
        )
        if path:
            self.session.settings.set(FOLDER_SETTING, str(Path(path).parent))
            self._viewer.open(path, plugin=PLUGIN)

    def _open_sample(self) -> None:
        self._viewer.open_sample(PLUGIN, SAMPLE)

    def _show_scale_bar(self) -> None:
        if self.session.slide is not None:
            self._viewer.canvas.overlays.scale_bar.visible = True

    # -- the end -----------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """Stop all work, store what is finished, and let the viewer go; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self.runner.shutdown()
        self.annotating.close()
        self.overlays.close()
        self.session.close()
        self._viewer.events.theme.disconnect(self._on_theme)
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 -- Qt's name
        """Watch the window that the dock now stands in."""
        super().showEvent(event)
        window = self.window()
        if window is not self and window is not self._window:
            self._window = window
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 -- Qt's name
        """Shut down once the window is really closed: it may ask first and stay."""
        if watched is self._window:
            if event.type() == QEvent.Type.Close:
                self._window_closing = True
            elif event.type() == QEvent.Type.Show:
                self._window_closing = False
            elif event.type() == QEvent.Type.Hide and self._window_closing:
                self.shut_down()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        """Shut down when the dock is taken out of its window."""
        if event.type() == QEvent.Type.ParentChange and self._window is not None and self.parent() is None:
            self.shut_down()
        return super().event(event)

    def _ask_pixel_size_soon(self) -> None:
        # Not now: napari is still adding the layer, and a dialog would halt it half-way.
        QTimer.singleShot(0, self, self.session.ask_pixel_size)
