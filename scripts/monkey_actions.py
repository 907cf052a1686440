"""What the monkey can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monkey_window import SIZE, Window

MOST_SLIDES = 3
MOST_LAYERS = 14
KEYS = (
    *("Tab", "Backtab", "Space", "Escape", "Up", "Down", "Left", "Right", "Return", "Home", "End"),
    *"CPRSEVT",
)


class Monkey(Window):
    """Does one random thing after another."""

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
        name = self.rng.choice(KEYS)
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
            size = self.rng.choice([SIZE, (900, 600), (800, 900)])
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
