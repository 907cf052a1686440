"""The annotator's dock: tools, classes, objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QInputDialog

from napari_nic.plugin import shortcuts
from napari_nic.plugin.controllers.annotator import Annotator
from napari_nic.plugin.controllers.class_list import ClassList
from napari_nic.plugin.controllers.object_list import ObjectList
from napari_nic.plugin.controllers.object_operations import ObjectOperations
from napari_nic.plugin.controllers.surroundings import Surroundings
from napari_nic.plugin.controllers.tool_pointing import ToolPointing
from napari_nic.plugin.widgets.class_section import ClassSection
from napari_nic.plugin.widgets.dock_base import ClosingDock, silence
from napari_nic.plugin.widgets.docking import NIC, open_dock, plain_viewer
from napari_nic.plugin.widgets.nic_dock import NicDock
from napari_nic.plugin.widgets.object_section import ObjectSection
from napari_nic.plugin.widgets.tool_section import ToolSection

if TYPE_CHECKING:
    import napari

LEAST_HEIGHT = 300
MOST_UM = 1e6


class AnnotatorDock(ClosingDock):
    """Draws on the slide that the NIC dock works on.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = plain_viewer(napari_viewer)
        desk = open_dock(self._viewer, NicDock, NIC, show=False)
        shortcuts.register()
        self.surroundings = Surroundings(desk.session, desk.tissue, desk.runner)
        self.annotator = Annotator(desk.documents, self.surroundings)
        self.operations = ObjectOperations(self.annotator, self._ask_number)
        self.listed = ObjectList(self.annotator)
        self.classes = ClassList(self.annotator)
        self.pointing = ToolPointing(self.annotator, self.operations, self.listed)
        self.tool_section = ToolSection(self.annotator)
        self.class_section = ClassSection(self.annotator, self.classes)
        self.object_section = ObjectSection(self.annotator, self.listed, self.operations)
        self.show_sections((self.tool_section, self.class_section, self.object_section))
        self.setMinimumHeight(LEAST_HEIGHT)
        self.first_control = self.tool_section.buttons["select"]

    def escape(self) -> bool:
        """Lay the tool down; False if none is active."""
        is_active = self.annotator.tool is not None
        if is_active:
            self.annotator.escape()
        return is_active

    def close_down(self) -> None:
        """Lay the tool down and let the viewer go."""
        self.pointing.close()
        self.annotator.close()
        self.listed.close()
        self.classes.close()
        self.surroundings.close()
        self.tool_section.close_down()
        self.object_section.close_down()
        silence(self.annotator, self.listed)

    def _ask_number(self, title: str, question: str, default: float) -> float | None:
        number, agreed = QInputDialog.getDouble(self, title, question, default, -MOST_UM, MOST_UM, 2)
        value: Any = number
        return float(value) if agreed else None
