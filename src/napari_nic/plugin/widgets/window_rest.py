"""A window that rests while layers are changed, and is drawn in a turn of the event loop of its own."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from napari_nic.plugin.widgets.dock_base import soon

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

FRAME_MS = 16
"""One frame of the screen: so long the window rests after the change, and takes other events meanwhile."""


@contextmanager
def resting_window(dock: QWidget) -> Iterator[None]:
    """Draw nothing of napari's window during the body and for a frame after it.

    napari takes some 60 ms to add a layer. To draw it for the first time, with the layer's controls and a
    canvas done in software, takes as long again. Qt would do both in one go, in which nothing is answered.
    """
    if is_resting(dock):  # whoever began that ends it
        yield
        return
    window = main_window(dock)
    window.setUpdatesEnabled(False)
    try:
        yield
    finally:
        soon(window, partial(_wake, weakref.ref(window)), after_ms=FRAME_MS)


def _wake(window: weakref.ref[QWidget]) -> None:
    # Not the window itself: a timer of the window that held its last reference would delete it, and with it
    # itself, while it is being deleted.
    alive = window()
    if alive is not None:
        alive.setUpdatesEnabled(True)


def is_resting(dock: QWidget) -> bool:
    """Whether the dock's window still shows what was there before the last change of layers."""
    return not main_window(dock).updatesEnabled()


def main_window(dock: QWidget) -> QWidget:
    """Return the window that a dock belongs to, be it in place or floating."""
    window = dock.window()
    while (parent := window.parentWidget()) is not None:
        window = parent.window()
    return window
