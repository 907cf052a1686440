"""The annotator's dock: tools, classes, objects."""

from __future__ import annotations

from collections.abc import Sequence
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
from napari_nic.plugin.widgets.desk_dock import BoundDock
from napari_nic.plugin.widgets.dock_base import silence
from napari_nic.plugin.widgets.object_section import ObjectSection
from napari_nic.plugin.widgets.tool_section import ToolSection

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_nic.plugin.widgets.nic_dock import NicDock

MOST_UM = 1e6


class AnnotatorDock(BoundDock):
    """Draws on the slide that the NIC dock works on."""

    def bind(self, desk: NicDock) -> Sequence[QWidget]:
        """Make the tools, and the lists of what the NIC dock's documents hold."""
        shortcuts.register()
        self.surroundings = Surroundings(desk.session, desk.tissue, self.runner)
        self.annotator = Annotator(desk.documents, self.surroundings)
        self.operations = ObjectOperations(self.annotator, self._ask_number)
        self.listed = ObjectList(self.annotator)
        self.classes = ClassList(self.annotator)
        self.pointing = ToolPointing(self.annotator, self.operations, self.listed)
        self.tool_section = ToolSection(self.annotator)
        self.class_section = ClassSection(self.annotator, self.classes)
        self.object_section = ObjectSection(self.annotator, self.listed, self.operations)
        self.first_control = self.tool_section.buttons["select"]
        return self.tool_section, self.class_section, self.object_section

    def unbind(self) -> None:
        """Lay the tool down and let the documents go."""
        self.pointing.close()
        self.annotator.close()
        self.listed.close()
        self.classes.close()
        self.surroundings.close()
        self.tool_section.close_down()
        self.object_section.close_down()
        silence(self.annotator, self.listed)

    def escape(self) -> bool:
        """Lay the tool down; False if none is active."""
        is_active = self.is_bound and self.annotator.tool is not None
        if is_active:
            self.annotator.escape()
        return is_active

    def _ask_number(self, title: str, question: str, default: float) -> float | None:
        number, agreed = QInputDialog.getDouble(self, title, question, default, -MOST_UM, MOST_UM, 2)
        value: Any = number
        return float(value) if agreed else None
