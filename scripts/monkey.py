"""Do thousands of random things in the real window, and look whether it bears them.

    scripts/with-screen.sh .venv/bin/python scripts/monkey.py                    # 10,000 actions
    scripts/with-screen.sh .venv/bin/python scripts/monkey.py --seed 7 --actions 300

The monkey clicks, types, drags, opens and closes slides, annotations, models and docks, compresses, pauses,
cancels, trains, exports, and deletes layers. Dialogs are answered at random. It fails at the first exception,
error that is none of ours, critical message of Qt or deadlock, and at the end if a thread is left or memory is
not given back; then it prints the seed and the last actions, and the same seed does the same again. Slides
are small and made by code; settings and files go to a temporary folder.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

ACTIONS = 10_000
SHOWN = 30
"""Actions that are printed when something fails."""

HANG_SECONDS = 120.0
"""An action that takes longer is a deadlock: all threads are printed, and the program ends."""

TURN_SECONDS = 0.05
"""Longest stay in the event loop between two actions."""

REST_SECONDS = 300.0
ALLOWED_MB = 200
MOST_SLIDES = 3
MOST_LAYERS = 14
SIZE = (1500, 950)
REPORTED = 100
"""Actions between two lines of progress."""


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


class World:
    """Small slides, annotations, a cohort, a model and tiles, all made by code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slides = [self._slide(seed) for seed in range(3)]
        self.unscaled = self._unscaled()
        self.broken = folder / "slides" / "broken.tif"
        self.broken.write_bytes(self.slides[0].read_bytes()[:20_000])
        self.outlines = [slide.with_suffix(".geojson") for slide in self.slides]
        self.cohort = folder / "slides" / "cohort.csv"
        names = [*(slide.name for slide in self.slides), "gone.tif"]
        self.cohort.write_text("slide,label\n" + "".join(f"{name},a\n" for name in names[:-1]), "utf-8")
        self.model = self._model()
        self.tiles = self._tiles()

    def _slide(self, seed: int) -> Path:
        from napari_nic.synthetic import Lesion, SyntheticSlideSpec, write_slide

        spec = SyntheticSlideSpec(height=900, width=1200 + 100 * seed, seed=seed, lesions=(Lesion(0.12),))
        path = self.folder / "slides" / f"slide-{seed}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_slide(path, spec).path

    def _unscaled(self) -> Path:
        import numpy as np
        import tifffile

        path = self.folder / "slides" / "unscaled.tif"
        picture = np.full((400, 500, 3), (200, 120, 180), np.uint8)
        tifffile.imwrite(path, picture, tile=(256, 256), photometric="rgb")
        return path

    def _model(self) -> Path:
        import numpy as np
        import torch

        from napari_nic.encoders import get_spec
        from napari_nic.slide_models import BundleCard, ModelBundle, SlideNetConfig, Standardiser
        from napari_nic.slide_models.network import SlideNet

        torch.manual_seed(3)
        config = SlideNetConfig.compact(3, 1, crop_size=16, width=8)
        weights = {name: value.numpy() for name, value in SlideNet(config).state_dict().items()}
        card = BundleCard(
            name="made-model",
            task="classification",
            class_names=("normal", "lesion"),
            encoder=get_spec("mean-rgb").to_dict(),
            network=config,
            not_for="anything",
        )
        spread = Standardiser(np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32))
        return ModelBundle(card, weights, spread).save(self.folder / "made-model")

    def _tiles(self) -> Path:
        import numpy as np
        from PIL import Image

        rng = np.random.default_rng(0)
        for index in range(8):
            folder = self.folder / "tiles" / "ab"[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(90, 200, (160, 160, 3), np.uint8)).save(folder / f"{index}.png")
        return self.folder / "tiles"


class Monkey:
    """Does one random thing after another."""

    def __init__(self, world: World, rng: random.Random, failures: Failures) -> None:
        self.world, self.rng, self.failures = world, rng, failures
        self.log: deque[str] = deque(maxlen=SHOWN)
        self.done: Counter[str] = Counter()
        self.viewer: Any = None
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
        from qtpy.QtWidgets import QApplication

        slides = [tag.slide for layer in self.viewer.layers if (tag := layer.metadata.get("napari_nic"))]
        self.viewer.close()
        self.viewer = None
        for slide in slides:
            if slide is not None:
                slide.close()
        self.turn()
        for _ in range(3):
            gc.collect()
            QApplication.processEvents()

    def rest(self, seconds: float = REST_SECONDS) -> None:
        """Let everything that is under way end."""
        end = time.monotonic() + seconds
        while self.jobs():
            for dock in self.docks():
                if hasattr(dock, "compressing") and dock.compressing.state.phase == "paused":
                    dock.compressing.pause()
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
        from qtpy.QtCore import QEventLoop
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, round(1000 * TURN_SECONDS))

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

        publish.JUDGED_PATCHES, metric.SENSITIVITY_PATCHES = 32, 4  # of a training: quicker at its end
        from qtpy.QtWidgets import QDialog, QFileDialog, QMenu, QMessageBox

        from napari_nic.plugin.widgets.dialogs import Dialogs

        rng, world = self.rng, self.world
        Dialogs.tell_error = lambda _, error: self.failures.tell_error(error)
        Dialogs.tell = lambda *_: None
        Dialogs.pixel_size = lambda *_: rng.choice([None, 0.5])
        Dialogs.confirm = lambda *_, **__: rng.random() < 0.5
        Dialogs.folder = lambda *_: rng.choice([None, world.folder / "elsewhere", world.tiles, world.model])
        QMessageBox.exec = lambda *_: 0
        QDialog.exec = self._answer
        QMenu.popup = self._choose
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

    def _choose(self, menu: Any, *_: Any) -> None:
        actions = [action for action in menu.actions() if action.isEnabled() and not action.menu()]
        if actions and self.rng.random() < 0.7:
            self.rng.choice(actions).trigger()

    # -- actions -----------------------------------------------------------------------------------------

    def act(self, number: int) -> None:
        """Do one random thing."""
        name = self.rng.choices(list(ACTIONS_BY_WEIGHT), list(ACTIONS_BY_WEIGHT.values()))[0]
        action: Callable[[], str | None] = getattr(self, name)
        self.log.append(f"{number} {name}")
        what = action()
        self.log[-1] += f" {what or ''}"
        self.done[name] += 1
        self.turn()

    def click(self) -> str | None:
        """Click a button, a tick or a radio button."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QAbstractButton

        if not (buttons := self.widgets(QAbstractButton)):
            return None
        button = self.rng.choice(buttons)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        return button.text() or button.toolTip()

    def choose(self) -> str | None:
        """Choose an entry."""
        from qtpy.QtWidgets import QComboBox

        combos = [combo for combo in self.widgets(QComboBox) if combo.count()]
        if not combos:
            return None
        combo = self.rng.choice(combos)
        if combo.accessibleName() == "Encoder":  # the others take seconds for a slide
            combo.setCurrentIndex(max(0, combo.findData("mean-rgb")))
        else:
            combo.setCurrentIndex(self.rng.randrange(combo.count()))
        return f"{combo.accessibleName()}: {combo.currentText()}"

    def set_value(self) -> str | None:
        """Move a slider or a spin box."""
        from qtpy.QtWidgets import QDoubleSpinBox, QSlider, QSpinBox

        boxes = self.widgets(QSlider, QSpinBox, QDoubleSpinBox)
        train = self.dock("TrainDock")
        boxes = [box for box in boxes if train is None or not train.isAncestorOf(box)]
        if not boxes:
            return None
        box = self.rng.choice(boxes)
        share = self.rng.random()
        box.setValue(type(box.value())(box.minimum() + share * (box.maximum() - box.minimum())))
        return f"{box.accessibleName()} {box.value()}"

    def type_text(self) -> str | None:
        """Type into a field."""
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QLineEdit

        if not (edits := [edit for edit in self.widgets(QLineEdit) if not edit.isReadOnly()]):
            return None
        text = self.rng.choice(["a", "slide", "0.5", "3", "\N{MICRO SIGN}", "tiny", ""])
        edit = self.rng.choice(edits)
        edit.selectAll()
        QTest.keyClicks(edit, text)
        return text

    def press_key(self) -> str | None:
        """Press a key where the focus is, or on the canvas."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        window = self.viewer.window._qt_window
        target = QApplication.focusWidget()
        if target is None or not window.isAncestorOf(target) or self.rng.random() < 0.2:
            target = self.viewer.window._qt_viewer
        name = self.rng.choice(
            "Tab Backtab Space Escape Up Down Left Right Return Home End C P R S E V T".split()
        )
        alt = self.rng.random() < 0.15 and len(name) == 1 and name not in "FVLPWH"
        modifier = Qt.KeyboardModifier.AltModifier if alt else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(target, getattr(Qt.Key, f"Key_{name}"), modifier)
        return f"{'Alt+' if alt else ''}{name} on {type(target).__name__}"

    def drag(self) -> None:
        """Press, drag and release on the canvas."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        canvas = self.viewer.window._qt_viewer.canvas.native
        places = [
            QPoint(self.rng.randrange(20, canvas.width() - 20), self.rng.randrange(20, canvas.height() - 20))
            for _ in range(3)
        ]
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
        QTest.mouseMove(canvas, places[1])
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[1])
        QTest.mouseMove(canvas, places[2])

    def look(self) -> None:
        """Zoom and move."""
        camera = self.viewer.scene.camera
        camera.zoom = 10 ** self.rng.uniform(-1, 1.5)
        camera.center = (self.rng.uniform(0, 450), self.rng.uniform(0, 600))
        if self.rng.random() < 0.3:
            self.viewer.reset_view()

    def open_file(self) -> str | None:
        """Open a slide, a store, annotations, a model or a cohort as a drop would."""
        world = self.world
        stores = sorted((world.folder / "slides").glob("*.nic.zarr"))
        slides = [layer for layer in self.viewer.layers if _kind(layer) == "slide"]
        few = len(self.viewer.layers) < MOST_LAYERS
        choices = [world.model, world.cohort, *(world.outlines if few else [])]
        if len(slides) < MOST_SLIDES:
            choices += [*world.slides * 3, world.unscaled, world.broken, *stores]
        path = self.rng.choice(choices)
        if path == world.cohort:
            self.open_dock("Cohort browser")
            self.dock("CohortDock").cohort.open(path)
        else:
            from napari_nic.errors import NicError

            try:
                self.viewer.open(path, plugin="napari-nic")
            except NicError:
                return f"{path.name}: refused"
        return path.name

    def remove_layer(self) -> str | None:
        """Delete a layer in napari's list."""
        if not len(self.viewer.layers):
            return None
        layer = self.rng.choice(list(self.viewer.layers))
        self.viewer.layers.selection = {layer}
        self.viewer.layers.remove_selected()
        return layer.name

    def change_layer(self) -> str | None:
        """Show, hide, fade, rename, move or select a layer."""
        if not len(self.viewer.layers):
            return None
        layers = self.viewer.layers
        layer = self.rng.choice(list(layers))
        what = self.rng.choice(["visible", "opacity", "name", "move", "select", "undo"])
        if what == "visible":
            layer.visible = not layer.visible
        elif what == "opacity":
            layer.opacity = self.rng.random()
        elif what == "name":
            layer.name = f"{layer.name[:20]} x"
        elif what == "move":
            layers.move(layers.index(layer), self.rng.randrange(len(layers)))
        elif what == "select":
            layers.selection.active = layer
        elif hasattr(layer, "undo"):
            layer.undo()
        return f"{what} {layer.name}"

    def draw(self) -> str | None:
        """Draw a shape, set a point, or paint tissue."""
        y, x = self.rng.uniform(0, 800), self.rng.uniform(0, 1100)
        for layer in self.viewer.layers:
            kind = type(layer).__name__
            if kind == "Shapes" and self.rng.random() < 0.5:
                layer.add([[y, x], [y, x + 90], [y + 70, x + 90]], shape_type="polygon")
            elif kind == "Points" and self.rng.random() < 0.5:
                layer.add([y, x])
            elif kind == "Labels" and self.rng.random() < 0.5:
                layer.paint((y / 40, x / 40), self.rng.randrange(2))
            else:
                continue
            return f"{kind} {layer.name}"
        return None

    def compress(self) -> str | None:
        """Compress, pause, go on or cancel."""
        dock = self.dock("NicDock")
        if dock is None:
            return None
        what = self.rng.choice(["start", "start", "pause", "cancel", "rest"])
        if what == "rest":
            self.rest()
        else:
            getattr(dock.compressing, what)()
        return f"{what}: {dock.compressing.state.phase}"

    def browse(self) -> str | None:
        """Choose a slide in the cohort browser."""
        browser = self.dock("CohortDock")
        if browser is None or browser.cohort.listing is None or browser.table.order.rowCount() == 0:
            return None
        row = self.rng.randrange(browser.table.order.rowCount())
        browser.table.selectRow(row)
        browser.table.clicked.emit(browser.table.order.index(row, 0))
        self.keep_few_slides()
        return browser.table.slide_at(row).name

    def keep_few_slides(self) -> None:
        """Delete slides that nobody could look at any more."""
        slides = [layer for layer in self.viewer.layers if _kind(layer) == "slide"]
        for layer in slides[: max(0, len(slides) - MOST_SLIDES)]:
            self.viewer.layers.remove(layer)

    def train(self, source: str = "") -> str | None:
        """Train a tiny encoder, or stop."""
        dock = self.dock("TrainDock")
        if dock is None:
            return None
        if dock.training.state.busy:
            dock.training.cancel()
            return "cancel"
        source = source or self.rng.choice(["slides", "tiles"])
        dock.training.fill_in(
            name="tiny", code_size=4, steps=2, device="cpu", source=source, paths=(str(self.world.tiles),)
        )
        dock.training.start()
        return dock.training.state.phase

    def open_dock(self, title: str = "NIC") -> None:
        """Open or find a dock, by napari's way."""
        self.viewer.window.add_plugin_dock_widget("napari-nic", title)

    def toggle_dock(self) -> str | None:
        """Open, hide, float or take away a dock."""
        title = self.rng.choice(["NIC", "Train encoder", "Cohort browser"])
        what = self.rng.choice(["open", "open", "menu", "hide", "float", "remove"])
        if what == "open":
            self.open_dock(title)
        elif what == "menu":
            from napari._app_model import get_app_model

            commands = {"NIC": "dock", "Train encoder": "train", "Cohort browser": "cohort"}
            get_app_model().commands.execute_command(f"napari-nic.{commands[title]}")
        elif self.docks():
            dock = self.rng.choice(self.docks())
            frame = dock.parentWidget()
            if what == "hide":
                frame.setVisible(not frame.isVisible())
            elif what == "float":
                frame.setFloating(not frame.isFloating())
            elif self.rng.random() < 0.3:
                self.viewer.window.remove_dock_widget(dock)
        return f"{what} {title}"

    def change_window(self) -> None:
        """Another theme or another size."""
        if self.rng.random() < 0.3:
            self.viewer.theme = self.rng.choice(["dark", "light"])
        else:
            size = self.rng.choice([SIZE, (1100, 700), (900, 1000)])
            self.viewer.window._qt_window.resize(*size)


ACTIONS_BY_WEIGHT = {
    "click": 30,
    "choose": 6,
    "set_value": 6,
    "type_text": 3,
    "press_key": 12,
    "drag": 6,
    "look": 5,
    "open_file": 8,
    "remove_layer": 5,
    "change_layer": 8,
    "draw": 6,
    "compress": 8,
    "browse": 5,
    "train": 1,
    "toggle_dock": 6,
    "change_window": 2,
}


def _kind(layer: Any) -> str:
    tag = layer.metadata.get("napari_nic")
    return "" if tag is None else tag.kind


def rss_mb() -> float:
    """Memory of this process that is in RAM."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def warm_up(monkey: Monkey) -> None:
    """Load all that is loaded only once: libraries, fonts, shaders."""
    monkey.open_window()
    for path in (monkey.world.slides[0], monkey.world.outlines[0], monkey.world.model):
        monkey.viewer.open(path, plugin="napari-nic")
    dock = monkey.dock("NicDock")
    dock.compressing.start(whole=True)
    monkey.rest()
    for kind in ("pca", "prediction", "saliency"):
        dock.overlays.show(kind, on=True)
        monkey.rest()
    for title in ("Train encoder", "Cohort browser"):
        monkey.open_dock(title)
    monkey.train(source="tiles")
    monkey.rest()
    monkey.close_window()


def left_threads() -> list[str]:
    """Threads of ours, or of Qt's pool, that have not ended."""
    from qtpy.QtCore import QThreadPool

    ours = [t.name for t in threading.enumerate() if t.name.startswith(("nic-", "napari-nic"))]
    active = QThreadPool.globalInstance().activeThreadCount()
    return ours + ([f"{active} of Qt's pool"] if active else [])


def run(seed: int, actions: int, folder: Path) -> dict[str, Any]:
    """Let the monkey loose; returns what it did and found."""
    failures, rng = Failures(), random.Random(seed)  # noqa: S311 -- nothing is kept secret by it
    monkey = Monkey(World(folder), rng, failures)
    failures.listen()
    warm_up(monkey)
    before, began, number = rss_mb(), time.monotonic(), 0
    most = before
    monkey.open_window()
    while number < actions and not failures.found:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        try:
            monkey.act(number)
        except Exception:  # noqa: BLE001 -- whatever it is, it is a finding
            failures.add(traceback.format_exc())
        number += 1
        if number % REPORTED == 0:
            most = max(most, rss_mb())
            print(f"{number} actions, {time.monotonic() - began:.0f} s, {rss_mb():.0f} MB", file=sys.stderr)
    faulthandler.dump_traceback_later(2 * HANG_SECONDS, exit=True)
    if not failures.found:
        monkey.rest()
    monkey.close_window()
    if threads := left_threads():
        failures.add(f"threads are left: {threads}")
    after = rss_mb()
    if after - before > ALLOWED_MB:
        failures.add(f"{after - before:.0f} MB are not given back")
    faulthandler.cancel_dump_traceback_later()
    return {
        "seed": seed,
        "actions": number,
        "seconds": round(time.monotonic() - began, 1),
        "rss_before_mb": round(before),
        "rss_most_mb": round(most),
        "rss_after_mb": round(after),
        "done": dict(monkey.done),
        "failures": failures.found,
        "last": list(monkey.log),
    }


def main() -> int:
    """Parse the command line, run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--actions", type=int, default=ACTIONS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nic-monkey-", ignore_cleanup_errors=True) as home:
        os.environ["NAPARI_NIC_HOME"] = str(Path(home) / "home")
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        settings = Path(home) / "home" / "plugin.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"encoder": "mean-rgb"}), "utf-8")
        try:
            found = run(args.seed, args.actions, Path(home))
        finally:
            sys.excepthook = sys.__excepthook__  # else an error of the monkey itself would be heard by nobody
    failures, last = found.pop("failures"), found.pop("last")
    print(json.dumps(found))
    if failures:
        print(f"seed {args.seed}, the last actions:\n" + "\n".join(last), file=sys.stderr)
        print("\n".join(failures[:5]), file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
