"""What does a move of the pointer cost while the annotator's tools draw: processor time of its thread.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/drawing.py
    python benchmarks/drawing.py --slide my.svs --moves 200 --objects 500

A real napari window with the Annotator dock is given Qt's own mouse events; each tool draws along a wavy
line. A move is what its event does; the frame that shows it is drawn after it, by software here, and is
counted apart. Processor time depends little on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from gigapixel import make_gigapixel
from gui_latency import SOURCE, Probe

TOOLS = ("polygon", "freehand", "rectangle", "ellipse", "line", "brush", "eraser", "wand", "select")
CLOSE_ZOOM = 12
"""Times the zoom at which the whole slide is shown."""


class Hand:
    """The mouse over the canvas of a window with the annotator."""

    def __init__(self, slide: Path) -> None:
        self.probe = Probe()
        viewer = self.probe.viewer
        self.layer = viewer.open(slide, plugin="napari-nic")[0]
        self.probe.until(lambda: bool(self.layer.loaded))
        _, self.dock = viewer.window.add_plugin_dock_widget("napari-nic", "Annotator")
        viewer.scene.camera.zoom *= CLOSE_ZOOM
        self.native = viewer.window._qt_viewer.canvas.native
        self.probe.settle(2)

    @property
    def annotator(self) -> Any:
        """Its tools."""
        return self.dock.annotator

    def line(self, moves: int) -> np.ndarray:
        """Places of a wavy line on the canvas, (n, 2) as (x, y)."""
        width, height = self.native.width(), self.native.height()
        turn = np.linspace(0, 2 * np.pi, moves)
        return np.stack(
            [
                width * (0.5 + 0.35 * np.cos(turn)),
                height * (0.5 + 0.3 * np.sin(turn) + 0.04 * np.sin(9 * turn)),
            ],
            axis=1,
        ).round()

    def draw(self, name: str, moves: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Draw once with a tool.

        Returns
        -------
        ndarray, ndarray, float
            Milliseconds of processor time of this thread: of each move, of each frame, of letting go.
        """
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.annotator.set_tool(name)
        self.probe.settle(0.2)
        places = [QPoint(int(x), int(y)) for x, y in self.line(moves)]
        QTest.mousePress(self.native, left, none, places[0])
        moved, drawn = [], []
        for place in places[1:]:
            start = time.thread_time()
            QTest.mouseMove(self.native, place)
            between = time.thread_time()
            self.probe.next_frame()
            moved.append(between - start)
            drawn.append(time.thread_time() - between)
        start = time.thread_time()
        QTest.mouseRelease(self.native, left, none, places[-1])
        self.probe.app.processEvents()
        let_go = time.thread_time() - start
        self.annotator.escape()
        self.probe.settle(0.2)
        return np.array(moved) * 1e3, np.array(drawn) * 1e3, let_go * 1e3

    def snap(self) -> None:
        """Let corners snap to the tissue, once it is found."""
        self.annotator.set_snaps(snaps=True)
        self.probe.until(lambda: self.dock.surroundings.outline.ready)

    def put_objects(self, count: int, corners: int) -> None:
        """Let the slide have objects, and a selected one of very many corners."""
        from shapely.geometry import Point, Polygon

        from napari_nic.annotations import Annotation
        from napari_nic.editing import AnnotationObject

        rng = np.random.default_rng(0)
        height, width = self.annotator.session.slide.levels[0].shape
        items = [
            AnnotationObject.new(Annotation("tumor", "polygon", Point(x, y).buffer(rng.uniform(20, 200))))
            for x, y in rng.uniform(0, (width, height), (count, 2))
        ]
        self.annotator.document.put("draw", *items)
        if corners:
            turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
            radius = min(height, width) * (
                0.3 + 0.02 * np.sin(turn * corners / 40) + 0.01 * rng.random(corners)
            )
            ring = np.stack([width / 2 + radius * np.cos(turn), height / 2 + radius * np.sin(turn)], axis=1)
            large = AnnotationObject.new(Annotation("tumor", "polygon", Polygon(ring).buffer(0)))
            self.annotator.document.put("draw", large)
            self.annotator.select([large.id])
        self.probe.settle(2)


def measure(hand: Hand, moves: int, tools: tuple[str, ...] = TOOLS) -> None:
    """Draw with each tool and print."""
    print("processor ms  move p50     p95   worst  frame p50   let go")
    for name in tools:
        moved, drawn, let_go = hand.draw(name, moves)
        p50, p95 = np.percentile(moved, (50, 95))
        print(
            f"{name:<12}{p50:10.1f}{p95:8.1f}{moved.max():8.1f}{np.median(drawn):11.1f}{let_go:9.1f}",
            flush=True,
        )


def main() -> None:
    """Parse the command line; make the slide that was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slide", type=Path, help="instead of the one that is made")
    parser.add_argument("--side", type=int, default=30_000, help="of the slide that is made, in pixels")
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--objects", type=int, default=300, help="that the slide has already")
    parser.add_argument("--corners", type=int, default=0, help="of a large object that is selected")
    parser.add_argument("--snap", action="store_true", help="snap to the tissue, which is found first")
    parser.add_argument("--tools", nargs="+", default=TOOLS, choices=TOOLS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("NAPARI_NIC_HOME", str(Path(folder) / "home"))
        slide = args.slide or Path(folder) / "slide.tif"
        if args.slide is None:
            make_gigapixel(SOURCE, slide, args.side)
        hand = Hand(slide)
        hand.put_objects(args.objects, args.corners)
        if args.snap:
            hand.snap()
        measure(hand, args.moves, tuple(args.tools))
        hand.probe.viewer.close()


if __name__ == "__main__":
    main()
