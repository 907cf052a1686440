"""The dock *Learn while drawing*: strokes in, a map of the whole slide out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_nic.plugin.controllers.probe_files import ProbeFiles
from napari_nic.plugin.controllers.probing import ProbeController
from napari_nic.plugin.probe_job import Pupil
from napari_nic.plugin.widgets.desk_dock import BoundDock
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.dock_base import silence
from napari_nic.plugin.widgets.probe_section import ProbeSection
from napari_nic.plugin.widgets.probe_use_section import ProbeUseSection

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_nic.plugin.widgets.nic_dock import NicDock
    from napari_nic.probe import Probe


class ProbeDock(BoundDock):
    """Learns from the annotations of the window's slides, by the codes of the NIC dock's slide."""

    pupil: Pupil | None = None
    """Knows the strokes of all slides; it outlives the NIC dock that they were learned with."""

    opened: Probe | None = None
    """A probe that was saved and is applied; it does so too."""

    def bind(self, desk: NicDock) -> Sequence[QWidget]:
        """Make what learns from the NIC dock's annotations."""
        self.probing = ProbeController(desk, self.runner, self.pupil)
        self.probing.opened = self.opened
        self.files = ProbeFiles(Dialogs(self), self.runner)
        self.section = ProbeSection(self.probing, desk.annotating)
        self.use_section = ProbeUseSection(self.probing, self.files)
        self.first_control = self.section.label
        self.probing.learn()
        return self.section, self.use_section

    def unbind(self) -> None:
        """Stop learning and let the slide go."""
        self.pupil, self.opened = self.probing.pupil, self.probing.opened
        self.section.close_down()
        self.probing.close()
        silence(self.probing, self.files)
