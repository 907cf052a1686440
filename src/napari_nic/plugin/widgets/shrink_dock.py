"""The dock that makes slides smaller: how, what comes of it on the screen, and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_nic.plugin.controllers.shrink_preview import ShrinkPreview
from napari_nic.plugin.controllers.shrinking import ShrinkController
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.dock_base import WindowDock, silence, stand_out
from napari_nic.plugin.widgets.shrink_form_section import ShrinkFormSection
from napari_nic.plugin.widgets.shrink_preview_section import ShrinkPreviewSection
from napari_nic.plugin.widgets.shrink_run_section import ShrinkRunSection
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    import napari


class ShrinkDock(WindowDock):
    """Works on the slide that is seen, whichever dock opened it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        self.watch = SlideWatch(self.viewer)
        self.shrinking = ShrinkController(self.watch, Settings(), Dialogs(self), self.runner)
        self.preview = ShrinkPreview(self.shrinking, self.runner)
        self.form_section = ShrinkFormSection(self.shrinking)
        self.preview_section = ShrinkPreviewSection(self.preview)
        self.run_section = ShrinkRunSection(self.shrinking)
        self.show_sections((self.form_section, self.preview_section, self.run_section))
        self.first_control = self.form_section.mode
        self.viewer.events.theme.connect(self._on_theme)
        stand_out(self.run_section.button, self.viewer.theme)

    def escape(self) -> bool:
        """Stop what runs."""
        running = self.shrinking.state.busy or self.preview.is_running
        self.shrinking.cancel()
        self.preview.cancel()
        return running

    def close_down(self) -> None:
        """Stop all work, take the preview away, and let the viewer go."""
        super().close_down()
        self.preview.close()
        self.shrinking.close()
        self.watch.close()
        self.viewer.events.theme.disconnect(self._on_theme)
        silence(self.preview, self.shrinking, self.watch)

    def _on_theme(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        stand_out(self.run_section.button, self.viewer.theme)
