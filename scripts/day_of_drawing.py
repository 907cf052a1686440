"""Annotate for half an hour in the real window, mostly by the keyboard, and tell what got in the way.

    scripts/with-screen.sh .venv/bin/python scripts/day_of_drawing.py
    scripts/with-screen.sh .venv/bin/python scripts/day_of_drawing.py --minutes 5 --seed 3 --slides A.svs

Slides are copied to a temporary folder and compressed. Then keys are pressed and the mouse is moved as a
user does it: tools, classes, undo, brush sizes, splits, napari's own shapes and labels, strokes that are
learned, questions for what is similar, the next slide. Every few minutes all is saved, the window is closed
and opened again, and what was drawn must be there. It fails at the first exception, error that is none of
ours, or object that is lost, and prints which actions took longest, by the clock and in processor time of the
window's thread, the memory between two windows, the files in the end, and what the program said.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from day_hands import Hands, leftovers, rss_mb, slowest_of
from monkey_window import Failures

DATA = Path(os.environ.get("NAPARI_NIC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SLIDES = (DATA / "slides" / "CMU-1-Small-Region.svs", DATA / "slides_real" / "svs" / "luna_1065626.svs")
MINUTES = 30.0
REOPEN_SECONDS = 300.0
SIZE = (1300, 900)
CLASSES = ("tumor", "stroma", "necrosis", "glass")
TOOLS = dict(
    zip(
        ("P", "F", "R", "E", "L", "A", "T", "B", "X", "W", "Shift+W", "K", "M", "S"),
        (5, 6, 3, 3, 2, 2, 4, 8, 3, 4, 2, 3, 2, 3),
        strict=True,
    )
)
"""Keys of tools, and how often each is taken."""

OPERATIONS = (
    "J",
    "Shift+J",
    "Shift+F",
    "O",
    "Shift+O",
    "I",
    "D",
    "Shift+T",
    "Ctrl+C",
    "Ctrl+V",
    "Q",
    "H",
    "N",
    "Shift+N",
)


class Day(Hands):
    """A user, a window, and what happened."""

    def __init__(self, slides: list[Path], seed: int, pictures: Path | None = None) -> None:
        super().__init__(seed)
        self.slides, self.pictures = slides, pictures
        self.failures, self.said = Failures(), Counter[str]()
        self.drawn = 0
        self.took: dict[str, list[float]] = defaultdict(list)
        self.worked: dict[str, list[float]] = defaultdict(list)
        self.memory_mb: list[float] = []
        self.viewer: Any = None
        self.lost = 0

    # -- the window --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the window with its docks and the first slide."""
        from napari_nic.plugin.launch import ViewRequest, open_viewer
        from napari_nic.plugin.widgets.dialogs import Dialogs

        Dialogs.tell = lambda _, text: self.said.update([text])
        Dialogs.tell_error = lambda _, error: self._tell_error(error)
        Dialogs.leaving = lambda *_: "cancel" if self.viewer is not None and not self.closing else "save"
        Dialogs.save_to = lambda _, __, start: start.with_name("saved.geojson")
        Dialogs.confirm = lambda *_, **__: True
        Dialogs.which_side = lambda *_: "both"
        self.closing = False
        self.viewer, self.nic = open_viewer(ViewRequest(tuple(self.slides[:1])))
        self.viewer.window._qt_window.resize(*SIZE)
        self.annotator_dock = self._dock("Annotator")
        self.annotator_dock.pointing.operations._ask = lambda *_: self.rng.choice([None, 5.0, 20.0])
        self.annotator_dock.annotator.told.connect(lambda text: self.said.update([text]))
        self.canvas = self.viewer.window._qt_viewer.canvas.native
        self.turn(20)
        self.add_classes()

    def add_classes(self) -> None:
        """Let the slide have the classes, in the order of their keys."""
        for name in CLASSES:
            if self.nic.documents.document.class_named(name) is None:
                self.annotator_dock.classes.add(name)

    def _dock(self, title: str) -> Any:
        return self.viewer.window.add_plugin_dock_widget("napari-nic", title, tabify=True)[1]

    def _tell_error(self, error: Exception) -> None:
        self.said[f"error: {error}"] += 1
        self.failures.tell_error(error)

    def close(self) -> None:
        """Close the window as a user does, and let what it showed go."""
        slides = [tag.slide for layer in self.viewer.layers if (tag := layer.metadata.get("napari_nic"))]
        self.closing = True
        self.viewer.close()
        self.viewer = None
        for slide in slides:
            if slide is not None:
                slide.close()

    def reopen(self) -> None:
        """Close and open the window: what was drawn is there."""
        self.until_saved()
        self.take()
        documents = self.nic.documents
        slides = [layer.metadata["napari_nic"].slide for layer in self.nic.session.slide_layers]
        kept = {slide.path: list(documents.document_of(slide)) for slide in slides}
        self.close()
        gc.collect()
        self.memory_mb.append(rss_mb())
        self.open()
        document = self.nic.documents.document
        self.until(lambda: len(document) or not kept[self.slides[0]], 30)
        missing = set(kept[self.slides[0]]) - set(document)
        if missing:
            self.lost += len(missing)
            self.failures.add(f"{len(missing)} of {len(kept[self.slides[0]])} objects are not there again")

    def take(self) -> None:
        """Keep a picture of the window, to be looked at."""
        if self.pictures is not None:
            path = self.pictures / f"day-{len(self.memory_mb)}.png"
            self.viewer.screenshot(path, canvas_only=False, flash=False)

    def until_saved(self) -> None:
        """Wait until nothing is under way."""
        runners = [self.nic.runner, self.annotator_dock.runner]
        if not self.until(lambda: not any(runner.jobs for runner in runners), 60):
            self.failures.add(f"jobs do not end: {[j.title for r in runners for j in r.jobs]}")

    # -- what is done ------------------------------------------------------------------------------------

    def take_tool(self, key: str) -> None:
        """Take a tool by its key; the first one by its button, since all keys are napari's until then."""
        annotator = self.annotator_dock.annotator
        if annotator.tool is None:
            self.annotator_dock.tool_section.buttons["select"].click()
            self.turn()
        self.key(key)
        self.expect(
            annotator.tool is not None and annotator.tool.key == key.replace("+", "-"), f"no tool by {key}"
        )

    def expect(self, holds: bool, fault: str) -> None:
        """Note a fault unless something is so."""
        if not holds:
            self.failures.add(fault)

    def draw(self) -> str:
        """Take a tool by its key and draw."""
        tool = self.rng.choices(list(TOOLS), list(TOOLS.values()))[0]
        self.take_tool(tool)
        number = self.rng.randint(1, len(CLASSES))
        self.key(str(number))
        self.expect(
            self.annotator_dock.annotator.label == CLASSES[number - 1], f"key {number} chose no class"
        )
        if tool in "PLMK" and self.rng.random() < 0.5:
            for corner in self.loop(6)[:-1]:
                self.drag(corner)
            self.key("Enter")
        elif tool == "T":
            self.drag(self.place())
        elif tool in ("B", "F", "X", "W", "Shift+W"):
            self.drag(*self.loop(), modifier=self.rng.choice(["", "", "", "Shift", "Alt"]))
        else:
            self.drag(self.place(), self.place(), self.place())
        return f"draw {tool}"

    def operate(self) -> str:
        """Select what lies in a box, and press the key of an operation."""
        self.take_tool("S")
        middle = self.place()
        self.drag(middle - 90, middle, middle + 90)
        key = self.rng.choice(OPERATIONS)
        self.key(key)
        if key == "H":
            self.key("H")
        return f"operate {key}"

    def undo(self) -> str:
        """Take steps back and make some of them anew."""
        for key in ["Ctrl+Z"] * self.rng.randint(1, 4) + ["Ctrl+Shift+Z"] * self.rng.randint(0, 3):
            self.key(key)
        return "undo"

    def resize(self) -> str:
        """Another brush."""
        self.take_tool("B")
        for _ in range(self.rng.randint(1, 3)):
            self.key(self.rng.choice("[]"))
        return "brush size"

    def delete(self) -> str:
        """Select and delete; most of it is wanted back."""
        self.take_tool("S")
        middle = self.place()
        self.drag(middle - 60, middle, middle + 60)
        self.key("Delete")
        if self.rng.random() < 0.6:
            self.key("Ctrl+Z")
        return "delete"

    def look(self) -> str:
        """Another place and magnification."""
        camera = self.viewer.scene.camera
        height, width = self.nic.session.slide.levels[0].shape
        pixel = self.nic.session.slide.pixel_size
        camera.center = (
            0.0,
            self.rng.uniform(0.2, 0.8) * height * pixel.y,
            self.rng.uniform(0.2, 0.8) * width * pixel.x,
        )
        camera.zoom = 10 ** self.rng.uniform(-0.5, 0.8)
        self.turn(4)
        return "look"

    def napari_shapes(self) -> str:
        """Draw with napari's own shapes."""
        from napari._app_model.actions._file import new_shapes

        self.key("Escape")
        self.annotator_dock.annotator.set_tool("")
        layers = [one for one in self.nic.annotating.layers() if hasattr(one, "shape_type")]
        if not layers:
            self.viewer.layers.selection.active = self.nic.session.layer
            new_shapes(self.viewer)
            layers = [self.viewer.layers.selection.active]
        layer = self.rng.choice(layers)
        self.viewer.layers.selection.active = layer
        mode = self.rng.choice(
            ["add_rectangle", "add_ellipse", "add_polygon_lasso", "direct", "select", "add_path"]
        )
        layer.mode = mode
        self.drag(*self.loop(8))
        layer.mode = "pan_zoom"
        return f"napari {mode}"

    def napari_labels(self) -> str:
        """Paint with napari's own labels; one layer of them is enough."""
        self.annotator_dock.annotator.set_tool("")
        layer = next((one for one in self.viewer.layers if type(one).__name__ == "Labels"
                      and getattr(one.metadata.get("napari_nic"), "labels", None)), None)  # fmt: skip
        if layer is None:
            self.viewer.layers.selection.active = self.nic.session.layer
            self.viewer._new_labels()
            layer = self.viewer.layers.selection.active
        self.viewer.layers.selection.active = layer
        layer.brush_size = self.rng.randint(10, 60)
        layer.mode = self.rng.choice(["paint", "paint", "erase", "fill"])
        self.drag(*self.loop(8))
        layer.mode = "pan_zoom"
        return "napari labels"

    def learn(self) -> str:
        """Open *Learn while drawing* once; later look at the least certain place."""
        dock = self._find("ProbeDock") or self._dock("Learn while drawing")
        dock.probing.go_to_least_certain()
        dock.probing.show(self.rng.random() < 0.7)
        self.turn()
        return "learn"

    def ask(self) -> str:
        """Ask for what is similar to a place."""
        dock = self._find("SimilarDock") or self._dock("Find similar")
        pixel, (height, width) = self.nic.session.slide.pixel_size, self.nic.session.slide.levels[0].shape
        dock.similar.ask_world((self.rng.random() * height * pixel.y, self.rng.random() * width * pixel.x))
        self.until(lambda: not dock.runner.jobs, 30)
        return "find similar"

    def next_slide(self) -> str:
        """Go to the other slide, and back."""
        path = self.rng.choice(self.slides)
        layer = next((one for one in self.nic.session.slide_layers
                      if one.metadata["napari_nic"].slide.path == path), None)  # fmt: skip
        self.annotator_dock.annotator.set_tool("")
        if layer is None:
            self.viewer.open(path, plugin="napari-nic")
        else:
            self.nic.session.look_at(layer)
        self.turn(4)
        self.add_classes()
        return "next slide"

    def save(self) -> str:
        """Save a file for other programs."""
        self.nic.annotating.save(self.nic.session.slide.path.with_name("work.geojson"))
        return "save"

    def _edits(self) -> int:
        document = self.nic.documents.document
        return 0 if document is None else document.revision

    def _find(self, name: str) -> Any:
        docks = self.viewer.window._qt_window.findChildren(object)
        return next((d for d in docks if type(d).__name__ == name and not d.is_shut_down), None)

    def run(self, minutes: float) -> None:
        """Work."""
        doings: dict[Callable[[], str], int] = {
            self.draw: 50,
            self.operate: 12,
            self.undo: 10,
            self.resize: 4,
            self.delete: 5,
            self.look: 8,
            self.napari_shapes: 5,
            self.napari_labels: 5,
        }
        doings |= dict.fromkeys((self.learn, self.ask, self.next_slide, self.save), 1)
        begun = last = time.monotonic()
        while time.monotonic() - begun < 60 * minutes and not self.failures.found:
            do = self.rng.choices(list(doings), list(doings.values()))[0]
            edits = self._edits()
            start, worked = time.monotonic(), time.thread_time()
            try:
                name = do()
            except Exception:  # noqa: BLE001 -- whatever it is, it is a finding
                self.failures.add(traceback.format_exc())
                break
            self.took[name].append(time.monotonic() - start)
            self.worked[name].append(time.thread_time() - worked)
            self.drawn += self._edits() != edits
            if time.monotonic() - last > REOPEN_SECONDS:
                self.reopen()
                last = time.monotonic()
                done = sum(map(len, self.took.values()))
                print(
                    f"{(last - begun) / 60:.0f} min, {done} actions, {self.memory_mb[-1]:.0f} MB", flush=True
                )

    def report(self) -> dict[str, Any]:
        """Say what was done, what took long, and what the program said."""
        return {
            "actions_that_changed_the_document": self.drawn,
            "actions": sum(map(len, self.took.values())),
            "median_work_ms": {name: round(1e3 * float(np.median(t))) for name, t in self.worked.items()},
            "most_work_s": slowest_of(self.worked),
            "slowest_s": slowest_of(self.took),
            "memory_mb_with_no_window": [round(mb) for mb in self.memory_mb],
            "files": leftovers(self.slides[0].parent),
            "said": dict(self.said.most_common(25)),
            "lost": self.lost,
            "failures": self.failures.found[:3],
        }


def main() -> int:
    """Parse the command line, work, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slides", type=Path, nargs="+", default=SLIDES)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each window before it closes")
    args = parser.parse_args()
    if args.pictures is not None:
        args.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nic-day-", ignore_cleanup_errors=True) as home:
        os.environ["NAPARI_NIC_HOME"] = str(Path(home) / "home")
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        from napari_nic.cli.main import main as nic

        (Path(home) / "slides").mkdir()
        slides = [Path(shutil.copy(slide, Path(home) / "slides")) for slide in args.slides]
        if nic(["compress", "-q", str(Path(home) / "slides"), "--encoder", "mean-rgb", "--no-tissue"]):
            raise SystemExit("the slides could not be compressed")
        day = Day(slides, args.seed, args.pictures)
        day.failures.listen()
        day.open()
        try:
            day.run(args.minutes)
            if not day.failures.found:
                day.reopen()
            day.close()
        finally:
            sys.excepthook = sys.__excepthook__
        print(json.dumps(day.report(), indent=1, ensure_ascii=False))
    return int(bool(day.failures.found))


if __name__ == "__main__":
    sys.exit(main())
