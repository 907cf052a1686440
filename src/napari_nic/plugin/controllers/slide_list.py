"""From one slide to the next: those of a folder, those that were open lately."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.plugin.controllers.looking import show_alone
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.opening import slides_in

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.plugin.settings import Settings

RECENT_SETTING = "recent_slides"
"""Setting: paths of slides that were open, the last one first."""

MOST_RECENT = 12

Choose = Callable[[Path, Sequence[Path]], Sequence[Path] | None]
"""``choose(folder, slides)`` asks which to open; None if none."""


class SlideList:
    """Steps through the slides of a folder, one at a time.

    Parameters
    ----------
    watch : SlideWatch
    settings : Settings
    asking : Asking
    open_slide : callable
        ``open_slide(path)`` adds the slide's layer to the viewer, or tells why not.
    choose : callable
        See :data:`Choose`.
    """

    changed = Signal()

    def __init__(
        self,
        watch: SlideWatch,
        settings: Settings,
        asking: Asking,
        *,
        open_slide: Callable[[Path], object],
        choose: Choose,
    ) -> None:
        self._watch, self._settings, self._asking = watch, settings, asking
        self._open_slide, self._choose = open_slide, choose
        self._chosen: tuple[Path, ...] = ()
        self._listed: tuple[Path | None, tuple[Path, ...]] = (None, ())
        self._stepped: weakref.WeakSet[Layer] = weakref.WeakSet()
        watch.changed.connect(self._on_slide)
        self._on_slide()

    def close(self) -> None:
        """Stop following the viewer."""
        self._watch.changed.disconnect(self._on_slide)

    @property
    def path(self) -> Path | None:
        """The slide that is seen."""
        return None if self._watch.slide is None else self._watch.slide.path.absolute()

    @property
    def slides(self) -> tuple[Path, ...]:
        """The list that is stepped through: a folder's that was opened, else of the folder of the slide."""
        path = self.path
        if path is None or path in self._chosen:
            return self._chosen
        # The folder is read once for each slide: this is asked at every change of the screen.
        if self._listed[0] != path:
            self._listed = (path, tuple(slides_in(path.parent, depth=1)))
        return self._listed[1]

    @property
    def recent(self) -> tuple[Path, ...]:
        """Slides that were open lately, the last one first."""
        paths = self._settings.get(RECENT_SETTING)
        return tuple(Path(path) for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()

    def describe(self) -> str:
        """Which slide of how many is seen."""
        path, slides = self.path, self.slides
        if path is None:
            return "No slide is open"
        place = f"{slides.index(path) + 1} of {len(slides)}: " if path in slides else ""
        return f"{place}{path.name}"

    def why_not(self, by: int) -> str:
        """Why there is no next slide (1), or none before (-1); empty if there is."""
        path, slides = self.path, self.slides
        if not slides or (path is not None and path not in slides):
            return "Open a slide first" if path is None else "No other slide lies in this folder"
        index = slides.index(path) + by if path is not None else 0
        if len(slides) < 2 and path is not None:
            return "No other slide lies in this folder"
        if not 0 <= index < len(slides):
            return "This is the last slide" if by > 0 else "This is the first slide"
        return ""

    def step(self, by: int) -> None:
        """Show the next slide (1) or the one before (-1); at the ends it is told."""
        self._listed = (None, ())  # slides may have come into the folder
        if why_not := self.why_not(by):
            self._asking.tell(why_not)
            return
        path, slides = self.path, self.slides
        left = self._watch.layer
        self.open(slides[slides.index(path) + by] if path is not None else slides[0])
        seen = self._watch.layer
        if seen is not None and seen is not left:
            self._stepped.add(seen)
            if left is not None:
                self._leave(left)

    def open(self, path: Path) -> None:
        """Show a slide alone; it is opened unless it is open."""
        layer = next((one for one in self._watch.slide_layers if _is_of(one, path)), None)
        if layer is None:
            count = len(self._watch.slide_layers)
            self._open_slide(path)
            if len(self._watch.slide_layers) == count:
                return  # it could not be opened, and that was told
            layer = self._watch.slide_layers[-1]
        show_alone(layer, self._watch.viewer)
        self._watch.viewer.layers.selection.active = layer

    def open_folder(self, folder: Path) -> None:
        """Let the user choose from the slides of a folder; all of them are stepped through."""
        slides = tuple(slides_in(folder))
        if not slides:
            self._asking.tell(f"There are no slides in {folder.name}")
            return
        chosen = self._choose(folder, slides)
        if chosen:
            self._chosen = slides
            for path in reversed(chosen):  # the first one is seen at the end
                self.open(path)
            self.changed.emit()

    def _leave(self, layer: Layer) -> None:
        """Close a slide that was only stepped over: hundreds are looked at in a day."""
        tag = tag_of(layer)
        layers = self._watch.viewer.layers
        others = [one for one in layers if one is not layer and _lies_on(one, tag.slide if tag else None)]
        if layer in self._stepped and not others:
            layers.remove(layer)

    def _on_slide(self) -> None:
        path = self.path
        if path is not None:
            known = [path, *(one for one in self.recent if one != path)]
            self._settings.set(RECENT_SETTING, [str(one) for one in known[:MOST_RECENT]])
        self.changed.emit()


def _is_of(layer: Layer, path: Path) -> bool:
    tag = tag_of(layer)
    return tag is not None and tag.slide is not None and tag.slide.path.absolute() == path.absolute()


def _lies_on(layer: Layer, slide: object) -> bool:
    tag = tag_of(layer)
    return tag is not None and tag.slide is slide
