"""The second dock: trains a small encoder on the open slides or on tiles, and shows how it learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_nic.plugin.controllers.training import TrainController
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.dock_base import WindowDock, silence, stand_out
from napari_nic.plugin.widgets.train_form import TrainFormSection
from napari_nic.plugin.widgets.train_progress import TrainProgressSection
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    import napari


class TrainDock(WindowDock):
    """What to train, the button, and the picture of a running training.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        self.training = TrainController(self.viewer, Settings(), Dialogs(self), self.runner)
        self.form_section = TrainFormSection(self.training)
        self.progress_section = TrainProgressSection(self.training)
        self.show_sections((self.form_section, self.progress_section))
        self.first_control = self.form_section.method
        self.viewer.events.theme.connect(self._on_theme)
        stand_out(self.progress_section.button, self.viewer.theme)

    def escape(self) -> bool:
        """Stop the training, which keeps a checkpoint."""
        stop = self.progress_section.stop
        can_stop: bool = stop.isEnabled()
        stop.click()
        return can_stop

    def close_down(self) -> None:
        """Stop the training, which keeps a checkpoint, and let the viewer go."""
        super().close_down()
        self.training.close()
        self.viewer.events.theme.disconnect(self._on_theme)
        silence(self.training)

    def _on_theme(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        stand_out(self.progress_section.button, self.viewer.theme)
