"""The dock *Paint labels*: class labels by brush, on a slide of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from napari_nic.plugin.controllers.label_painting import LabelPainting
from napari_nic.plugin.controllers.painted_exchange import PaintedExchange
from napari_nic.plugin.widgets.desk_dock import BoundDock
from napari_nic.plugin.widgets.dock_base import silence
from napari_nic.plugin.widgets.painting_section import PaintingSection

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_nic.plugin.widgets.nic_dock import NicDock


class PaintingDock(BoundDock):
    """Paints on the slide that the NIC dock works on, in the classes of its annotations."""

    least_height: ClassVar[int] = 220

    def bind(self, desk: NicDock) -> Sequence[QWidget]:
        """Make what paints on the NIC dock's slide."""
        self.painting = LabelPainting(desk, self.runner)
        self.exchange = PaintedExchange(self.painting, self.runner)
        self.section = PaintingSection(self.painting, self.exchange)
        self.first_control = self.section.button
        return (self.section,)

    def unbind(self) -> None:
        """Save what was painted and let the slide go."""
        self.painting.close()
        silence(self.painting, self.exchange)
