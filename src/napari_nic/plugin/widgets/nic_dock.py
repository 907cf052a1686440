"""The NIC dock: makes the controllers, stacks the sections, and takes everything down with the window."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from napari import current_viewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_nic.names import patterns
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.encoders import EncoderController
from napari_nic.plugin.controllers.exporting import ExportController
from napari_nic.plugin.controllers.importing import ImportController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.painted_classes import PaintedNames
from napari_nic.plugin.controllers.reliability import ReliabilityController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.news import DESK_NEWS, MODEL_NEWS
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.annotation_section import AnnotationSection
from napari_nic.plugin.widgets.compress_section import CompressSection
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.dock_base import (
    PLUGIN,
    WindowDock,
    plain_viewer,
    silence,
    soon,
    stand_out,
)
from napari_nic.plugin.widgets.docking import TRAINING, open_dock
from napari_nic.plugin.widgets.export_section import ExportSection
from napari_nic.plugin.widgets.overlay_section import OverlaySection
from napari_nic.plugin.widgets.slide_section import SlideSection
from napari_nic.plugin.widgets.train_dock import TrainDock
from napari_nic.plugin.widgets.waiting import wait_with_token
from napari_nic.plugin.widgets.window_rest import resting_window
from napari_nic.plugin.worker import Runner
from napari_nic.slides import slide_suffixes

if TYPE_CHECKING:
    import napari

SAMPLE = "synthetic"
LOOK_MS = 5_000
"""So often what could not be kept is tried again, and how long ago something was is said anew."""

FOLDER_SETTING = "slide_folder"
"""Setting: where the last slide was opened from."""


class NicDock(WindowDock):
    """The one dock of the daily work.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    least_height: ClassVar[int] = 240
    """Above the other docks it would be left next to nothing: slide, encoder and the button shall be seen."""

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        self.session = Session(self.viewer, Settings(), Dialogs(self))
        self.tissue = TissueController(self.session, self.runner)
        self.compressing = CompressController(self.session, self.runner, self.tissue)
        self.encoders = EncoderController(self.session, self.runner)
        self.models = ModelController(self.session)
        self.overlays = OverlayController(
            self.session, self.compressing, self.models, self.runner, resting=partial(resting_window, self)
        )
        self.reliability = ReliabilityController(self.session, self.overlays, self.models, self.runner)
        self.documents = DocumentController(self.session, self.runner)
        self.annotating = AnnotationController(
            self.session,
            self.overlays,
            self.runner,
            lambda title, work: wait_with_token(title, work, self),
            self.documents,
        )
        self.importing = ImportController(
            self.session,
            lambda title, work: wait_with_token(title, work, self),
            self.annotating.open_once,
        )
        self.exporting = ExportController(self.session, self.compressing, self.runner)
        self.painted_names = PaintedNames(self.session, self.documents)
        self._build()
        self._connect()
        soon(self, DESK_NEWS.changed.emit)  # once it is in the window

    def _build(self) -> None:
        self.slide_section = SlideSection(self.session, self.compressing, self.tissue, self.encoders)
        self.compress_section = CompressSection(self.session, self.compressing)
        self.overlay_section = OverlaySection(self.session, self.overlays, self.models, self.reliability)
        self.annotation_section = AnnotationSection(self.session, self.annotating)
        self.export_section = ExportSection(self.exporting)
        self.show_sections(self.sections)

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
        self.slide_section.chooser.train_clicked.connect(self._open_training)
        self.session.slide_changed.connect(self._show_scale_bar)
        self.session.slide_changed.connect(self.compressing.load_ahead)
        self.session.encoder_changed.connect(self.compressing.load_ahead)
        self.session.pixel_size_wanted.connect(self._ask_pixel_size_soon)
        self.annotating.shift_wanted.connect(self._ask_shift_soon)
        self.annotating.rescue_wanted.connect(self._ask_removed_soon)
        self.documents.views.sync_wanted.connect(self._sync_soon)
        self._look_again = QTimer(self)
        self._look_again.setInterval(LOOK_MS)
        self._look_again.timeout.connect(self.documents.look_again)
        self._look_again.start()
        MODEL_NEWS.features_opened.connect(self._import_soon)
        self.viewer.events.theme.connect(self._on_theme)
        self._paint_main_button()
        if self.session.slide is not None:
            self._show_scale_bar()
            self.compressing.load_ahead()
            self._ask_pixel_size_soon()

    def _paint_main_button(self) -> None:
        stand_out(self.compress_section.button, self.viewer.theme)

    def escape(self) -> bool:
        """Cancel the compression; what is finished is kept."""
        stop = self.compress_section.stop
        can_stop: bool = stop.isEnabled()
        stop.click()
        return can_stop

    def _on_theme(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self._paint_main_button()

    # -- what needs the window ---------------------------------------------------------------------------

    def _open_slide(self) -> None:
        slides = patterns(slide_suffixes())
        start = str(self.session.settings.get(FOLDER_SETTING, ""))
        path, _ = QFileDialog.getOpenFileName(self, "Open slide", start, f"Slides ({slides});;All files (*)")
        if path:
            self.session.settings.set(FOLDER_SETTING, str(Path(path).parent))
            self.viewer.open(path, plugin=PLUGIN)

    def _open_sample(self) -> None:
        self.viewer.open_sample(PLUGIN, SAMPLE)

    def _open_training(self) -> None:
        open_dock(self.viewer, TrainDock, TRAINING, tabify=True)

    def _show_scale_bar(self) -> None:
        if self.session.slide is not None:
            self.viewer.canvas.overlays.scale_bar.visible = True

    # -- the end -----------------------------------------------------------------------------------------

    def may_close(self) -> bool:
        """Ask about annotations that are not saved."""
        return self.annotating.may_close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 -- Qt's name
        """Look whether other programs changed files when the user comes back to the window."""
        if event.type() == QEvent.Type.WindowActivate and watched is self._window and not self.is_shut_down:
            soon(self, self.annotating.files.check)
        return super().eventFilter(watched, event)

    def close_down(self) -> None:
        """Stop all work, store what is finished, and let the viewer go."""
        DESK_NEWS.changed.emit()  # while all that others took of it is there to be let go
        self._look_again.stop()
        super().close_down()
        self.compress_section.close_down()
        self.painted_names.close()
        self.annotating.close()
        self.reliability.close()
        self.overlays.close()
        self.models.close()
        self.tissue.close()
        self.session.close()
        self.viewer.events.theme.disconnect(self._on_theme)
        MODEL_NEWS.features_opened.disconnect(self._import_soon)
        silence(self.session, self.tissue, self.compressing, self.encoders, self.models)
        silence(self.overlays, self.annotating, self.exporting, self.documents, self.reliability)
        silence(self.documents.views, self.documents.keeping)

    def _ask_pixel_size_soon(self) -> None:
        # Not now: napari is still adding the layer, and a dialog would halt it half-way.
        soon(self, self.session.ask_pixel_size)

    def _ask_shift_soon(self) -> None:
        soon(self, self.annotating.ask_shift)  # for the same reason

    def _ask_removed_soon(self) -> None:
        soon(self, self.annotating.ask_removed)  # likewise

    def _sync_soon(self) -> None:
        soon(self, self.documents.views.sync_all)  # when the layer has come to rest

    def _import_soon(self, path: Path) -> None:
        """Import what was dropped on this window; not now, since dialogs would hold up the drop."""
        if plain_viewer(current_viewer()) is self.viewer:
            soon(self, partial(self.importing.import_features, path))
