"""The dock of comparing: readers and models against each other, and objects to look at again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from napari_nic.plugin.controllers.doctoring import DoctorController
from napari_nic.plugin.controllers.reader_comparing import ReaderComparing
from napari_nic.plugin.widgets.compare_section import CompareSection
from napari_nic.plugin.widgets.desk_dock import BoundDock
from napari_nic.plugin.widgets.dock_base import silence
from napari_nic.plugin.widgets.doctor_section import DoctorSection

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_nic.plugin.widgets.nic_dock import NicDock


class CompareDock(BoundDock):
    """Compares what the NIC dock holds of a slide."""

    least_height: ClassVar[int] = 260

    def bind(self, desk: NicDock) -> Sequence[QWidget]:
        """Make what compares the NIC dock's annotations and model."""
        self.comparing = ReaderComparing(desk, self.runner)
        self.doctor = DoctorController(desk, self.runner)
        self.compare_section = CompareSection(self.comparing)
        self.doctor_section = DoctorSection(self.doctor)
        self.first_control = self.compare_section.first
        return self.compare_section, self.doctor_section

    def unbind(self) -> None:
        """Stop what runs and let the slide go."""
        self.comparing.close()
        self.doctor.close()
        silence(self.comparing, self.doctor)

    def escape(self) -> bool:
        """Cancel what runs."""
        if not self.is_bound:
            return False
        running = self.comparing.is_running or self.doctor.is_running
        self.comparing.cancel()
        self.doctor.cancel()
        return running
