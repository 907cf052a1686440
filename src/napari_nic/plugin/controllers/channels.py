"""A slide of channels or scenes: the user chooses what to see, once for each slide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_nic.errors import ChannelsError, NicError
from napari_nic.plugin.controllers.asking import Asking
from napari_nic.plugin.settings import Settings
from napari_nic.slides import Selection, Slide, open_slide, read_channels


class ChannelChooser:
    """Asks until a slide opens, and remembers the answer.

    Parameters
    ----------
    asking : Asking
    settings : Settings
        Where the choice is kept, by the slide's path.
    show : callable
        Is given the slide that was opened.
    """

    def __init__(self, asking: Asking, settings: Settings, show: Callable[[Slide], None]) -> None:
        self._asking, self._settings, self._show = asking, settings, show

    def open(self, path: Path) -> bool:
        """Ask for scene and channels of a slide and show it; False when the user would not say."""
        try:
            slide = self._open(path)
        except NicError as error:
            self._asking.tell_error(error)
            return False
        if slide is None:
            return False
        self._settings.remember_choice(path, slide.choice)
        for notice in slide.notices:
            self._asking.tell(f"{path.name}: {notice}")
        self._show(self._settings.apply_to(slide))
        return True

    def _open(self, path: Path) -> Slide | None:
        selection = None
        try:
            channels = read_channels(path)
        except ChannelsError as error:
            if not error.scenes:
                raise
            scene = self._asking.scene(path, error.scenes)
            if scene is None:
                return None
            selection = Selection(scene=scene + 1)
            channels = read_channels(path, selection=selection)
        if not channels:
            return open_slide(path, selection=selection)
        chosen = self._asking.channels(path, channels)
        if not chosen:
            return None
        return open_slide(path, channels=[place + 1 for place in chosen], selection=selection)
