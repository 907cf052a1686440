"""Bookmarks of the slide that is seen, kept in the user's settings by the slide's fingerprint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.errors import InvalidParameterError
from napari_nic.viewing import Bookmark

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.navigating import Navigator
    from napari_nic.plugin.settings import Settings

BOOKMARKS_SETTING = "bookmarks"
"""Setting: bookmarks of a slide, by the slide's fingerprint."""

MOST_NAME = 200


class Bookmarks:
    """Adds, names, removes and finds places.

    Parameters
    ----------
    navigator : Navigator
    settings : Settings
    """

    changed = Signal()

    def __init__(self, navigator: Navigator, settings: Settings) -> None:
        self._navigator, self._settings = navigator, settings
        self.current = -1
        """Place in :attr:`all` of the bookmark that was gone to last; -1 for none."""
        self.all: tuple[Bookmark, ...] = ()
        navigator.watch.changed.connect(self.reload)
        self.reload()

    def close(self) -> None:
        """Stop following the viewer."""
        self._navigator.watch.changed.disconnect(self.reload)

    def reload(self) -> None:
        """Take the bookmarks of the slide that is seen."""
        slide = self._navigator.slide
        self.all = () if slide is None else bookmarks_of(slide.fingerprint, self._settings)
        self.current = -1
        self.changed.emit()

    def why_not(self) -> str:
        """Why there are no bookmarks; empty if there can be."""
        return "" if self._navigator.slide is not None else "Open a slide first"

    def add(self, name: str = "") -> None:
        """Remember what is seen now."""
        center, downsample = self._navigator.center(), self._navigator.downsample
        if center is None or downsample is None:
            return
        taken = {mark.name for mark in self.all}
        number = next(n for n in range(1, len(taken) + 2) if f"Place {n}" not in taken)
        mark = Bookmark(_clean(name) or f"Place {number}", *center, downsample)
        self.current = len(self.all)
        self._set((*self.all, mark))

    def rename(self, index: int, name: str) -> None:
        """Call a bookmark otherwise; an empty name leaves it as it is."""
        if 0 <= index < len(self.all) and _clean(name):
            self._set(
                (*self.all[:index], replace(self.all[index], name=_clean(name)), *self.all[index + 1 :])
            )

    def remove(self, index: int) -> None:
        """Forget a bookmark."""
        if 0 <= index < len(self.all):
            self.current = min(self.current, len(self.all) - 2)
            self._set((*self.all[:index], *self.all[index + 1 :]))

    def go_to(self, index: int) -> None:
        """Look at a bookmark's place, as near as it was seen."""
        if 0 <= index < len(self.all):
            mark = self.all[index]
            self._navigator.set_downsample(mark.downsample)
            self._navigator.look_at(mark.y_px, mark.x_px)
            self.current = index
            self.changed.emit()

    def step(self, by: int) -> None:
        """Go to the next bookmark, or the one before; after the last comes the first."""
        if self.all:
            start = self.current if self.current >= 0 else (-1 if by > 0 else 0)
            self.go_to((start + by) % len(self.all))

    def _set(self, marks: tuple[Bookmark, ...]) -> None:
        slide = self._navigator.slide
        if slide is None:
            return
        self.all = marks
        remember_bookmarks(slide.fingerprint, marks, self._settings)
        self.changed.emit()


def bookmarks_of(fingerprint: str, settings: Settings) -> tuple[Bookmark, ...]:
    """Return what is remembered of a slide; what is damaged is left out."""
    known = settings.get(BOOKMARKS_SETTING)
    entries = known.get(fingerprint) if isinstance(known, dict) else None
    found = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(Bookmark.from_dict(entry))
        except InvalidParameterError:
            continue
    return tuple(found)


def remember_bookmarks(fingerprint: str, marks: tuple[Bookmark, ...], settings: Settings) -> None:
    """Keep the bookmarks of a slide."""
    known = settings.get(BOOKMARKS_SETTING)
    others = dict(known) if isinstance(known, dict) else {}
    others.pop(fingerprint, None)
    if marks:
        others[fingerprint] = [mark.to_dict() for mark in marks]
    settings.set(BOOKMARKS_SETTING, others)


def _clean(name: str) -> str:
    return "".join(char if char.isprintable() else " " for char in name).strip()[:MOST_NAME]
