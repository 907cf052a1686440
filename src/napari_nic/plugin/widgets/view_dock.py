"""The dock of looking: where one is on the slide, how near, and what helps to see."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari import current_viewer

from napari_nic.plugin.controllers.associated import AssociatedImages
from napari_nic.plugin.controllers.bookmarking import Bookmarks
from napari_nic.plugin.controllers.displaying import DisplayController
from napari_nic.plugin.controllers.figuring import FigureController
from napari_nic.plugin.controllers.keys import Key, KeyMap
from napari_nic.plugin.controllers.linking import LinkedView
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.overlay_kinds import KINDS
from napari_nic.plugin.controllers.projecting import ProjectController
from napari_nic.plugin.controllers.slide_list import SlideList
from napari_nic.plugin.controllers.turning import STEP, Turning
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.associated_row import AssociatedRow
from napari_nic.plugin.widgets.desk_dock import DeskDock
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.display_section import DisplaySection
from napari_nic.plugin.widgets.dock_base import PLUGIN, plain_viewer, silence, soon
from napari_nic.plugin.widgets.figure_section import FigureSection, write_text
from napari_nic.plugin.widgets.key_list import KeyList
from napari_nic.plugin.widgets.overview_section import OverviewSection
from napari_nic.plugin.widgets.places_section import PlacesSection
from napari_nic.plugin.widgets.project_section import ProjectSection
from napari_nic.plugin.widgets.second_screen import SplitScreen
from napari_nic.plugin.widgets.second_section import SecondSection
from napari_nic.plugin.widgets.slide_choice import choose_slides
from napari_nic.plugin.widgets.slides_section import SlidesSection
from napari_nic.plugin.widgets.turn_section import TurnSection
from napari_nic.plugin.widgets.turned_canvas import TurnedCanvas
from napari_nic.plugin.worker import Runner
from napari_nic.viewing import MAGNIFICATIONS, format_magnification

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget

    from napari_nic.plugin.projects import OpenedProject


class ViewDock(DeskDock):
    """What every viewer of slides has, and napari has not.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    runner : Runner, optional
        Starts background work; napari's threads by default.
    """

    def __init__(self, napari_viewer: napari.Viewer, runner: Runner | None = None) -> None:
        super().__init__(napari_viewer, runner)
        viewer = self.viewer
        self.asking = Dialogs(self)
        self.watch = SlideWatch(viewer)
        self._turned = TurnedCanvas.of(viewer)
        self.turning = Turning(viewer, None if self._turned is None else self._turned.turn)
        self.navigator = Navigator(self.watch, self.runner, self.asking, self.turning)
        self.associated = AssociatedImages(self.watch, self.runner, self.asking)
        self._screen: SplitScreen | None = None
        settings = Settings()
        self.displaying = DisplayController(self.watch, settings, self.asking)
        self.bookmarks = Bookmarks(self.navigator, settings)
        self.slides = SlideList(
            self.watch,
            settings,
            self.asking,
            open_slide=partial(viewer.open, plugin=PLUGIN),
            choose=lambda folder, slides: choose_slides(folder, slides, self),
        )
        self.figuring = FigureController(self.navigator, self.runner, self.asking, write_text)
        self.projecting = ProjectController(
            self.navigator, self.bookmarks, settings, self.asking, show_overlays=self._show_overlays
        )
        self.linking = LinkedView(self.watch, self.asking, self._make_screen)
        MODEL_NEWS.folder_opened.connect(self._open_folder_soon)
        MODEL_NEWS.project_opened.connect(self._restore_soon)
        self.key_map = KeyMap(viewer, self._keys())
        self._build()

    def _build(self) -> None:
        self.overview = OverviewSection(self.navigator)
        self.associated_row = AssociatedRow(self.associated)
        self.overview.body.addWidget(self.associated_row)
        self.display_section = DisplaySection(self.displaying)
        self.places_section = PlacesSection(self.bookmarks)
        self.slides_section = SlidesSection(self.slides)
        self.figure_section = FigureSection(self.figuring, Settings())
        self.second_section = SecondSection(self.linking)
        self.linking.changed.connect(self._show_crosses)
        self.turn_section = TurnSection(self.turning)
        self.project_section = ProjectSection(self.projecting, Settings())
        self.project_section.open_wanted.connect(lambda path: self.viewer.open(path, plugin=PLUGIN))
        self.watch.slides_changed.connect(self.project_section.refresh)
        self.key_list = KeyList(self.key_map.bound)
        self.show_sections(self.sections)
        self.first_control = self.overview.minimap

    @property
    def sections(self) -> tuple[QWidget, ...]:
        """Top to bottom, in the order of use."""
        return (
            self.overview,
            self.display_section,
            self.places_section,
            self.slides_section,
            self.figure_section,
            self.project_section,
            self.second_section,
            self.turn_section,
            self.key_list,
        )

    def _open_folder_soon(self, folder: Path) -> None:
        """Choose from a folder that was dropped on this window; not now, a dialog would hold up the drop."""
        if plain_viewer(current_viewer()) is self.viewer:
            soon(self, partial(self.slides.open_folder, folder))

    def _make_screen(self) -> SplitScreen:
        self._screen = SplitScreen(self.viewer)
        return self._screen

    def _toggle_link(self) -> None:
        if self.linking.is_open:
            self.linking.set_linked(not self.linking.linked)

    def _show_crosses(self) -> None:
        """Mark the middle of both views while each moves by itself: a landmark is taken there."""
        if not self.linking.is_open:
            self._screen = None
        elif self._screen is not None:
            self._screen.show_crosses(not self.linking.linked)

    def _restore_soon(self, opened: OpenedProject) -> None:
        """Show what was seen of a project once its layers, which come next, are there."""
        if plain_viewer(current_viewer()) is self.viewer:
            soon(self, partial(self.projecting.restore, opened))

    def _show_overlays(self, kinds: tuple[str, ...]) -> None:
        """Show overlays that the NIC dock has of the slide; those that cannot be shown are left out."""
        self.link.look()
        overlays = self.link.overlays
        for kind in () if overlays is None else KINDS:
            if kind in kinds and overlays is not None and overlays.is_ready(kind):
                overlays.show(kind, on=True)

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
            Key("Alt-Enter", "add a bookmark", self.bookmarks.add),
            Key("Alt-Right", "next bookmark", partial(self.bookmarks.step, 1)),
            Key("Alt-Left", "previous bookmark", partial(self.bookmarks.step, -1)),
            Key("Alt-PageDown", "next slide", partial(self.slides.step, 1)),
            Key("Alt-PageUp", "previous slide", partial(self.slides.step, -1)),
            Key("Alt-Shift-Right", "turn right by 15\N{DEGREE SIGN}", partial(self.turning.turn, STEP)),
            Key("Alt-Shift-Left", "turn left by 15\N{DEGREE SIGN}", partial(self.turning.turn, -STEP)),
            Key("Alt-Shift-Home", "mirror", self.turning.mirror),
            Key("Alt-Shift-End", "upright", self.turning.reset),
            Key("Alt-End", "link or unlink the second view", self._toggle_link),
            Key("Alt-Home", "add a place of both views", self.linking.add_landmark),
        ]

    def escape(self) -> bool:
        """Stop the figure that is being made; nothing is written."""
        if self.figuring.progress is None:
            return False
        self.figuring.cancel()
        return True

    def close_down(self) -> None:
        """Stop all work and let the viewer go."""
        super().close_down()
        self.key_map.close()
        MODEL_NEWS.folder_opened.disconnect(self._open_folder_soon)
        MODEL_NEWS.project_opened.disconnect(self._restore_soon)
        self.linking.close()
        self._screen = None
        self.figuring.close()
        self.slides.close()
        self.bookmarks.close()
        self.displaying.close()
        self.associated.close()
        self.navigator.close()
        self.turning.reset()
        self._turned = None
        self.watch.close()
        silence(self.watch, self.navigator, self.associated)
        silence(self.displaying, self.bookmarks, self.slides, self.figuring, self.linking, self.turning)
