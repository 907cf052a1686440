"""A slide of separate channels was dropped or opened: ask which ones to show, and show them."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_nic.plugin.controllers.channels import ChannelChooser
from napari_nic.plugin.layers import slide_layer
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.dialogs import Dialogs, napari_window
from napari_nic.plugin.widgets.first_look import is_ready
from napari_nic.slides import Slide


def choose_soon(path: Path) -> bool:
    """Ask once the present event is dealt with, and add the slide; False where there is no window.

    Readers run inside drop events, where a dialog would hold up the desktop.
    """
    if QApplication.instance() is None:
        return False
    QTimer.singleShot(0, lambda: _choose(path))
    return True


def _choose(path: Path) -> None:
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:  # closed in the meantime
        return

    def show(slide: Slide) -> None:
        layer = slide_layer(slide)
        if is_ready(layer, napari_window()):
            viewer.add_image(layer[0], **layer[1])

    parent = napari_window()
    if parent is not None:
        ChannelChooser(Dialogs(parent), Settings(), show).open(path)
