"""The window that the monkey plays in: opened, closed, listened to, its dialogs answered at random."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import random
import sys
import threading
import time
import traceback
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monkey_world import World

SHOWN = 30
"""Actions that are printed when something fails."""

TURN_SECONDS = 0.02
"""Longest stay in the event loop between two actions."""

REST_SECONDS = 300.0
PATIENCE_SECONDS = 30.0
"""After so long, what is under way is cancelled."""

HANG_SECONDS = 120.0
"""An action that takes longer is a deadlock: all threads are printed, and the program ends."""

SIZE = (1100, 700)
"""Small, since every action draws it, and OpenGL is done in software on a virtual screen."""


def give_back() -> None:
    """Let the C library give free memory back to the system, which it else keeps for the next use."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


class Failures:
    """Whatever must not happen."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, what: str) -> None:
        """Remember a failure."""
        self.found.append(what)

    def listen(self) -> None:
        """Hear of exceptions in slots and threads, of napari's errors and of Qt's."""
        from napari.utils.notifications import NotificationSeverity, notification_manager
        from qtpy.QtCore import QtMsgType, qInstallMessageHandler

        sys.excepthook = lambda *error: self.add("".join(traceback.format_exception(*error)))
        threading.excepthook = lambda args: self.add(
            "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        )

        def on_notification(notification: Any) -> None:
            if notification.severity >= NotificationSeverity.ERROR:
                self.add(f"napari: {notification.message}")

        self._keep = on_notification
        notification_manager.notification_ready.connect(on_notification)
        bad = (QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg)
        qInstallMessageHandler(lambda kind, _, text: self.add(f"Qt: {text}") if kind in bad else None)

    def tell_error(self, error: Exception) -> None:
        """Stands for the dialog of an error: ours are for the user, any other is a fault."""
        from napari_nic.errors import NicError

        if not isinstance(error, NicError):
            self.add("".join(traceback.format_exception(error)))


class Window:
    """A window, what was done in it, and who answers its dialogs."""

    def __init__(self, world: World, rng: random.Random, failures: Failures) -> None:
        self.world, self.rng, self.failures = world, rng, failures
        self.log: deque[str] = deque(maxlen=SHOWN)
        self.done: Counter[str] = Counter()
        self.viewer: Any = None
        self.closing = False
        self._stub_dialogs()

    # -- the window --------------------------------------------------------------------------------------

    def open_window(self) -> None:
        """Open a window with the NIC dock."""
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window._qt_window.resize(*SIZE)
        self.open_dock()
        self.turn()

    def close_window(self) -> None:
        """Close the window, and every slide that was opened."""
        slides = [tag.slide for layer in self.viewer.layers if (tag := layer.metadata.get("napari_nic"))]
        self.closing = True
        self.viewer.close()
        self.closing, self.viewer = False, None
        for slide in slides:
            if slide is not None:
                slide.close()
        self.turn()
        for _ in range(3):
            gc.collect()
            self.turn()
        give_back()

    def rest(self, seconds: float = REST_SECONDS) -> None:
        """Let everything that is under way end."""
        end = time.monotonic() + seconds
        while self.jobs():
            late = time.monotonic() > end - seconds + PATIENCE_SECONDS
            for dock in self.docks():
                # A paused run may be one of a slide that is not looked at; then it can only be cancelled.
                paused = hasattr(dock, "runner") and any(job.token.paused for job in dock.runner.jobs)
                if hasattr(dock, "compressing") and (paused or late):
                    dock.compressing.cancel()
                if hasattr(dock, "training") and late:
                    dock.training.cancel()  # of 3,000 steps, if it was begun by a click
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)  # the window lives meanwhile
            self.turn()
            if time.monotonic() > end:
                self.failures.add(f"jobs do not end: {self.jobs()}")
                return

    def jobs(self) -> list[str]:
        """What is under way."""
        runners = [dock.runner for dock in self.docks() if hasattr(dock, "runner")]
        return [job.title for runner in runners for job in runner.jobs]

    def turn(self) -> None:
        """Let the window live for a moment."""
        from qtpy.QtCore import QEvent, QEventLoop
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, round(1000 * TURN_SECONDS))
        # What is to be deleted "later" waits for a loop that runs, which there is none here.
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def open_dock(self, title: str = "NIC") -> None:
        """Open or find a dock, by napari's way."""
        self.viewer.window.add_plugin_dock_widget("napari-nic", title)

    def docks(self) -> list[Any]:
        """Our docks that are in the window."""
        from napari_nic.plugin.widgets.dock_base import ClosingDock

        found = self.viewer.window._qt_window.findChildren(ClosingDock)
        return [dock for dock in found if not dock.is_shut_down]

    def dock(self, name: str) -> Any:
        """Our dock of this class, or None."""
        return next((dock for dock in self.docks() if type(dock).__name__ == name), None)

    def widgets(self, *kinds: type) -> list[Any]:
        """Controls of our docks that a user can reach."""
        found = [w for dock in self.docks() for kind in kinds for w in dock.findChildren(kind)]
        return [w for w in found if w.isVisible() and w.isEnabled()]

    # -- dialogs -----------------------------------------------------------------------------------------

    def _stub_dialogs(self) -> None:
        from napari_nic.training import publish
        from napari_nic.training.objectives import metric

        publish.EVALUATION_PATCHES, metric.SENSITIVITY_PATCHES = 32, 4  # of a training: quicker at its end
        from qtpy.QtWidgets import QDialog, QFileDialog, QMenu, QMessageBox

        from napari_nic.plugin.widgets.dialogs import Dialogs

        rng, world = self.rng, self.world
        Dialogs.tell_error = lambda _, error: self.failures.tell_error(error)
        Dialogs.tell = lambda *_: None
        Dialogs.pixel_size = lambda *_: rng.choice([None, 0.5])
        Dialogs.confirm = lambda *_, **__: rng.random() < 0.5
        Dialogs.folder = lambda *_: rng.choice([None, world.folder / "elsewhere", world.tiles, world.model])
        leave = ("save", "discard", "cancel")
        Dialogs.leaving = lambda *_: "discard" if self.closing else rng.choice(leave)
        Dialogs.scene = lambda *_: None
        Dialogs.channels = lambda *_: None
        QMessageBox.exec = lambda *_: 0
        for name in ("information", "warning", "critical", "about"):
            setattr(QMessageBox, name, lambda *_, **__: None)
        QMessageBox.question = lambda *_, **__: rng.choice(
            [QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No, QMessageBox.StandardButton.Cancel]
        )
        QDialog.exec = lambda dialog: self._answer(dialog)
        QMenu.popup = lambda menu, *_: self._choose(menu)
        QFileDialog.getOpenFileName = lambda *_: (str(rng.choice([*world.slides, *world.outlines, ""])), "")
        QFileDialog.getExistingDirectory = lambda *_: rng.choice(["", str(world.folder / "slides")])
        QFileDialog.getSaveFileName = lambda *_: (
            rng.choice(["", str(world.folder / f"saved-{rng.randrange(3)}")]),
            rng.choice(["ASAP XML (*.xml)", "QuPath GeoJSON (*.geojson)"]),
        )

    def _answer(self, dialog: Any) -> int:
        if type(dialog).__name__ == "ExportDialog":
            dialog.format.value = self.rng.choice(dialog.format.choices)
            name = dialog.path.value.name if self.rng.random() < 0.8 else "odd.name"
            dialog.path.value = self.world.folder / "exports" / name
            return int(self.rng.random() < 0.7)
        return 0

    def _choose(self, menu: Any) -> None:
        actions = [action for action in menu.actions() if action.isEnabled() and not action.menu()]
        if actions and self.rng.random() < 0.7:
            self.rng.choice(actions).trigger()
