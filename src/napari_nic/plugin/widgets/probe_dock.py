"""The dock *Learn while drawing*: strokes in, a map of the whole slide out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.plugin.controllers.probe_files import ProbeFiles
from napari_nic.plugin.controllers.probing import ProbeController
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.dock_base import ClosingDock, silence
from napari_nic.plugin.widgets.docking import NIC, open_dock, plain_viewer
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.probe_section import ProbeSection
from napari_nic.plugin.widgets.probe_use_section import ProbeUseSection
from napari_nic.plugin.worker import Runner, ThreadRunner

if TYPE_CHECKING:
    import napari

LEAST_HEIGHT = 300
"""Below another dock it would be given next to nothing: classes, map and accuracy shall be seen."""


class ProbeDock(ClosingDock):
    """Learns from the annotations of the window's slides; opens the NIC dock, whose slide and codes it uses.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__()
        viewer = plain_viewer(napari_viewer)
        self.runner = runner or ThreadRunner()
        self._desk = open_dock(viewer, NicDock, NIC, show=False)
        self.probing = ProbeController(self._desk, self.runner)
        self.files = ProbeFiles(Dialogs(self), self.runner)
        self.section = ProbeSection(self.probing, self._desk.annotating)
        self.use_section = ProbeUseSection(self.probing, self.files)
        self.show_sections((self.section, self.use_section))
        self.setMinimumHeight(LEAST_HEIGHT)
        self.first_control = self.section.label
        self.probing.learn()

    def close_down(self) -> None:
        """Stop learning and let the viewer go."""
        self.runner.shutdown()
        self.section.close_down()
        self.probing.close()
        silence(self.probing, self.files)
