"""The dock of comparing: readers and models against each other, and objects to look at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.plugin.controllers.doctoring import DoctorController
from napari_nic.plugin.controllers.reader_comparing import ReaderComparing
from napari_nic.plugin.widgets.compare_section import CompareSection
from napari_nic.plugin.widgets.dock_base import ClosingDock, silence
from napari_nic.plugin.widgets.docking import NIC, open_dock, plain_viewer
from napari_nic.plugin.widgets.doctor_section import DoctorSection
from napari_nic.plugin.widgets.nic_dock import NicDock

if TYPE_CHECKING:
    import napari

LEAST_HEIGHT = 260


class CompareDock(ClosingDock):
    """Works with what the NIC dock holds, which is made if it is not there yet.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        desk = open_dock(plain_viewer(napari_viewer), NicDock, NIC, show=False)
        self.comparing = ReaderComparing(desk)
        self.doctor = DoctorController(desk)
        self.compare_section = CompareSection(self.comparing)
        self.doctor_section = DoctorSection(self.doctor)
        self.show_sections((self.compare_section, self.doctor_section))
        self.setMinimumHeight(LEAST_HEIGHT)
        self.first_control = self.compare_section.first

    def escape(self) -> bool:
        """Cancel what runs."""
        running = self.comparing.is_running or self.doctor.is_running
        self.comparing.cancel()
        self.doctor.cancel()
        return running

    def close_down(self) -> None:
        """Let the window go."""
        self.comparing.close()
        self.doctor.close()
        silence(self.comparing, self.doctor)
