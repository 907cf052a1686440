"""The dock that asks the codes: what is like this, here and elsewhere, which groups, what is unusual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt

from napari_nic.plugin.controllers.code_maps import CodeMaps
from napari_nic.plugin.controllers.grouping import GroupController
from napari_nic.plugin.controllers.similar import SimilarController
from napari_nic.plugin.controllers.similar_search import SearchController
from napari_nic.plugin.controllers.unusual import AnomalyController
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.desk_dock import DeskDock
from napari_nic.plugin.widgets.dock_base import silence
from napari_nic.plugin.widgets.groups_section import GroupsSection, UnusualSection
from napari_nic.plugin.widgets.search_section import SearchSection
from napari_nic.plugin.widgets.similar_section import MapSection, SimilarSection
from napari_nic.plugin.widgets.slide_table import MOVING_KEYS, OPENING_KEYS
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QKeyEvent


class SimilarDock(DeskDock):
    """Similarity, search, groups and unusual cells of the slide that the NIC dock works on.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        self.link.look()
        viewer = self.viewer
        self.maps = CodeMaps(self.link)
        self.similar = SimilarController(viewer, self.link, self.maps, self.runner)
        self.search = SearchController(viewer, self.link, self.similar, Settings(), self.runner)
        self.groups = GroupController(self.link, self.maps, self.runner)
        self.unusual = AnomalyController(self.link, self.maps, self.runner)
        self._build()
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.mouse_move_callbacks.append(self._on_mouse)

    def _build(self) -> None:
        self.similar_section = SimilarSection(self.similar)
        self.map_section = MapSection(self.maps)
        self.search_section = SearchSection(self.search)
        self.groups_section = GroupsSection(self.groups)
        self.unusual_section = UnusualSection(self.unusual)
        self.show_sections(
            (
                self.similar_section,
                self.map_section,
                self.search_section,
                self.groups_section,
                self.unusual_section,
            )
        )
        self.first_control = self.similar_section.pick

    def escape(self) -> bool:
        """Leave picking, or else stop what runs."""
        if self.similar.picking.is_on:
            self.similar.pick(on=False)
            return True
        running = self.search.busy or self.groups.busy
        self.search.cancel()
        self.groups.cancel()
        return running

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Keep the keys of the list of matches from napari."""
        in_list = self.search_section.list.hasFocus()
        if not (in_list and Qt.Key(event.key()) in MOVING_KEYS + OPENING_KEYS):
            super().keyPressEvent(event)

    def close_down(self) -> None:
        """Stop all work and let the viewer go."""
        super().close_down()
        self.viewer.layers.events.inserted.disconnect(self._on_layers)
        self.viewer.mouse_move_callbacks.remove(self._on_mouse)
        self.similar.close()
        self.maps.close()
        silence(self.link, self.maps, self.similar, self.search, self.groups, self.unusual)

    def _on_layers(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.link.look()

    def _on_mouse(self, viewer: Any, event: Any) -> None:  # noqa: ARG002 -- napari's signature
        self.map_section.point(viewer.cursor.position)
