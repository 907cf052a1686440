"""The dock *Paint labels*: class labels by brush, on a slide of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_nic.plugin.controllers.label_painting import LabelPainting
from napari_nic.plugin.controllers.painted_exchange import PaintedExchange
from napari_nic.plugin.widgets.dock_base import ClosingDock, silence
from napari_nic.plugin.widgets.docking import NIC, open_dock, plain_viewer
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.painting_section import PaintingSection
from napari_nic.plugin.worker import Runner, ThreadRunner

if TYPE_CHECKING:
    import napari

LEAST_HEIGHT = 220


class PaintingDock(ClosingDock):
    """Paints on the slide that the NIC dock works on, in the classes of its annotations.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__()
        desk = open_dock(plain_viewer(napari_viewer), NicDock, NIC, show=False)
        self.runner = runner or ThreadRunner()
        self.painting = LabelPainting(desk, self.runner)
        self.exchange = PaintedExchange(self.painting, self.runner)
        self.section = PaintingSection(self.painting, self.exchange)
        self.show_sections((self.section,))
        self.setMinimumHeight(LEAST_HEIGHT)
        self.first_control = self.section.button

    def close_down(self) -> None:
        """Save what was painted and let the viewer go."""
        self.painting.close()
        self.runner.shutdown()
        silence(self.painting, self.exchange)
