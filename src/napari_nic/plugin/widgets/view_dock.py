"""The dock of looking: where one is on the slide, how near, and what helps to see."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_nic.plugin.controllers.associated import AssociatedImages
from napari_nic.plugin.controllers.displaying import DisplayController
from napari_nic.plugin.controllers.keys import Key, KeyMap
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.associated_row import AssociatedRow
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.display_section import DisplaySection
from napari_nic.plugin.widgets.dock_base import ClosingDock, silence
from napari_nic.plugin.widgets.docking import plain_viewer
from napari_nic.plugin.widgets.key_list import KeyList
from napari_nic.plugin.widgets.overview_section import OverviewSection
from napari_nic.plugin.worker import Runner, ThreadRunner
from napari_nic.viewing import MAGNIFICATIONS, format_magnification

if TYPE_CHECKING:
    import napari

LEAST_HEIGHT = 300
"""Below another dock it would be given next to nothing: the minimap and the magnification shall be seen."""


class ViewDock(ClosingDock):
    """What every viewer of slides has, and napari has not.

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
        self._viewer = viewer
        self.runner = runner or ThreadRunner()
        self.asking = Dialogs(self)
        self.watch = SlideWatch(viewer)
        self.navigator = Navigator(self.watch, self.runner, self.asking)
        self.associated = AssociatedImages(self.watch, self.runner, self.asking)
        self.displaying = DisplayController(self.watch, Settings(), self.asking)
        self.key_map = KeyMap(viewer, self._keys())
        self._build()

    def _build(self) -> None:
        self.overview = OverviewSection(self.navigator)
        self.associated_row = AssociatedRow(self.associated)
        self.overview.body.addWidget(self.associated_row)
        self.display_section = DisplaySection(self.displaying)
        self.key_list = KeyList(self.key_map.bound)
        self.show_sections((self.overview, self.display_section, self.key_list))
        self.setMinimumHeight(LEAST_HEIGHT)
        self.first_control = self.overview.minimap

    def _keys(self) -> list[Key]:
        navigator = self.navigator
        steps = [
            Key(
                f"Alt-{number}",
                f"magnification {format_magnification(value)}",
                partial(navigator.magnify, value),
            )
            for number, value in enumerate(MAGNIFICATIONS, 1)
        ]
        return [
            Key("Alt-0", "whole slide", navigator.fit),
            *steps,
            Key("Alt-7", "native magnification", navigator.show_native),
            Key("Alt-8", "next stain", self.displaying.next_stain),
            Key("Alt-9", "as scanned", self.displaying.reset),
        ]

    def close_down(self) -> None:
        """Stop all work and let the viewer go."""
        self.runner.shutdown()
        self.key_map.close()
        self.displaying.close()
        self.associated.close()
        self.navigator.close()
        self.watch.close()
        silence(self.watch, self.navigator, self.associated, self.displaying)
