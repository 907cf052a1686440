"""The window that pictures are taken of, and what is done in it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import napari

    from napari_nic.plugin.controllers.overlays import Kind
    from napari_nic.plugin.widgets.nic_dock import NicDock
    from napari_nic.plugin.widgets.similar_dock import SimilarDock

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("NAPARI_NIC_TEST_DATA", ROOT.parent / "shared" / "data"))
SLIDE = DATA / "slides" / "CMU-1-Small-Region.svs"
OTHER_SLIDE = DATA / "slides_real" / "svs" / "luna_1065626.svs"
ANNOTATION = DATA / "annotations" / "CMU-1-Small-Region-tissue.geojson"

SIZE = (1500, 950)
MARGIN = 0.03
"""Free share of the canvas around the slide."""

PATIENCE_SECONDS = 900.0
TURN_MS = 50
"""Longest sleep between two looks at whether something is so."""

STILL_SECONDS = 1.0
"""How long nothing must be left to do before a picture is taken: tiles arrive, labels are laid out."""

PALETTE = 256

NICE_PLACE_PX = (1250.0, 1150.0)
"""(y, x) where epithelium, stroma and keratin lie side by side."""

STROKES = {
    "epidermis": (
        [(1125, 1680), (1155, 1920), (1170, 2100)],
        [(690, 2580), (645, 2760), (615, 2925)],
        [(1275, 1170), (1215, 1350), (1185, 1500)],
    ),
    "dermis": (
        [(930, 1320), (900, 1560)],
        [(990, 2040), (990, 2280), (900, 2580)],
        [(1500, 1980), (1560, 2220), (1380, 2400)],
    ),
    "glass": ([(180, 600), (360, 900)], [(1920, 180), (1860, 480)], [(180, 2400), (360, 2850)]),
}
"""Three a class on the slide of skin, level-0 (x, y)."""

ASKED_UM = (800.0, 540.0)
"""Place (y, x) on the first slide that is asked for, in micrometres."""

SHOWN_FROM = 0.65
"""Cells are shown from this share of the range of similarities on."""

COLORS = {"dermis": (0, 158, 115), "keratin": (240, 228, 66), "epidermis": (86, 180, 233)}
"""Told from the stain, and from each other."""


@dataclass(frozen=True, eq=False)
class Desk:
    """An open window with its dock."""

    viewer: napari.Viewer
    dock: NicDock

    def wait(self, condition: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        from qtpy.QtCore import QEventLoop, QTimer
        from qtpy.QtWidgets import QApplication

        alarm = QTimer()
        alarm.start(TURN_MS)  # wakes the loop below where nothing else does
        end = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if time.monotonic() > end:
                raise TimeoutError(f"nothing happened within {PATIENCE_SECONDS:g} s")

    def settle(self) -> None:
        """Let everything that is under way be finished."""
        self.wait(lambda: not self.dock.runner.jobs)
        end = time.monotonic() + STILL_SECONDS
        self.wait(lambda: time.monotonic() > end)

    def frame_slide(self) -> None:
        """Show the whole slide, and make it the active layer: its controls are the same in all pictures."""
        self.viewer.layers.selection.active = self.dock.session.layer
        self.settle()
        self.viewer.reset_view(margin=MARGIN)

    def point_at(self, y_um: float, x_um: float) -> None:
        """Rest the pointer on a place, so that its value is told."""
        self.viewer.cursor.position = (y_um, x_um)
        for callback in self.viewer.mouse_move_callbacks:
            callback(self.viewer, None)

    def rest_at(self, place_px: tuple[float, float]) -> None:
        """Rest the mouse on a place, level-0 (x, y): napari draws the ring of a brush there."""
        from qtpy.QtCore import QPoint
        from qtpy.QtTest import QTest

        canvas = self.viewer.window._qt_viewer.canvas.native
        pixel, camera = self.dock.session.slide.pixel_size, self.viewer.scene.camera
        from_middle = np.array(place_px) * (pixel.x, pixel.y) - camera.center[:0:-1]
        at = np.array([canvas.width(), canvas.height()]) / 2 + from_middle * camera.zoom
        QTest.mouseMove(canvas, QPoint(*np.rint(at).astype(int).tolist()))
        self.settle()

    def compress(self) -> None:
        """Compress the whole slide."""
        self.dock.slide_section.whole.click()
        self.dock.compress_section.button.click()
        self.wait(lambda: self.dock.compressing.state.complete and not self.dock.compressing.state.busy)

    def show_only(self, kind: Kind) -> None:
        """Show one overlay."""
        from napari_nic.plugin.launch import show_overlays

        if why_not := self.dock.overlays.state(kind).why_not:
            raise SystemExit(f"{kind} cannot be shown: {why_not}")
        show_overlays(self.dock, (kind,))
        self.settle()

    def take(self, path: Path) -> None:
        """Keep a picture of the window."""
        self.viewer.screenshot(path, canvas_only=False, flash=False)
        print(path)

    def take_small(self, path: Path) -> None:
        """Keep a picture of the window in so few colours that nobody sees it, and a third of the bytes."""
        window = Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        window.quantize(PALETTE, dither=Image.Dither.NONE).save(path, optimize=True)
        print(path)

    def take_part(self, path: Path, *, left: int, bottom: int) -> None:
        """Keep a picture of the window right of the column `left` and above the row `bottom`."""
        window = self.viewer.screenshot(canvas_only=False, flash=False)
        Image.fromarray(window[:bottom, left:, :3]).save(path, optimize=True)
        print(path)


@contextmanager
def opened(slide: Path | None = None, annotation: Path | None = None) -> Iterator[Desk]:
    """Open a window, on a slide or an empty one; closed at the end."""
    from napari_nic.plugin.launch import ViewRequest, open_viewer

    annotations = () if annotation is None else (annotation,)
    slides = () if slide is None else (slide,)
    viewer, dock = open_viewer(ViewRequest(slides, annotations=annotations))
    viewer.window._qt_window.resize(*SIZE)  # the public `resize` refuses a window that is not laid out yet
    desk = Desk(viewer, dock)
    try:
        desk.settle()
        desk.frame_slide()
        yield desk
    finally:
        dock.shut_down()
        viewer.close()


def learn_strokes(desk: Desk, dock: Any) -> None:
    """Draw three strokes a class for *Learn while drawing*, and wait for what follows."""
    from napari_nic.plugin.probe_texts import class_lines

    for label, strokes in STROKES.items():
        dock.section.label.setCurrentText(label)
        dock.section.take_up("line")
        layer = desk.viewer.layers.selection.active
        for stroke in strokes:
            layer.add_paths(np.array(stroke, float)[:, ::-1])
        layer.mode = "pan_zoom"
    desk.wait(lambda: len(class_lines(dock.probing.learned)) >= len(STROKES))
    desk.wait(lambda: not dock.runner.jobs)


def ask_similar(desk: Desk, dock: SimilarDock, folder: Path, *, top: int, per_slide: int) -> None:
    """Ask what is like a place, on the slide and in a folder, and wait for map and matches."""
    dock.search.set_folder(folder)
    dock.search.options = replace(dock.search.options, top=top, per_slide=per_slide)
    dock.similar.ask_world(ASKED_UM)
    desk.wait(lambda: dock.similar.query is not None and not dock.runner.jobs)
    low, high = dock.similar.limits()
    dock.similar.set_threshold(low + SHOWN_FROM * (high - low))
    desk.wait(dock.search_section.button.isEnabled)
    dock.search_section.button.click()
    desk.wait(lambda: bool(dock.search.crops) and not dock.runner.jobs)


@contextmanager
def home_of_pictures() -> Iterator[Path]:
    """Let settings, samples and stores go to a temporary folder; nothing of the user's is read or written."""
    with tempfile.TemporaryDirectory(prefix="nic-pictures-") as home:
        os.environ["NAPARI_NIC_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        yield Path(home)


def copy_of(slide: Path, folder: Path) -> Path:
    """Copy a slide into a folder."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(slide, folder))
