"""How does the window bear very many outlines: first pixels, panning, recolouring, hit test, memory.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/outlines.py
    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/outlines.py --count 1000000
    python benchmarks/outlines.py --core       # without a window: processor time of each part

GeoJSON of nuclei in five classes (wavy ellipses of 20 to 30 corners, one in a hundred with a hole), with ids,
as QuPath writes detections, is opened in a napari window over a slide: as the dock opens it, in the
background, while the window lives. First pixels are there in the first frame whose picture differs from that
of the slide alone, which is read back from the canvas; all outlines when the file's own layer shows all tiles
of the view. The window's own thread waits in Qt's event loop and does not spin, since that would take
processor time from the reading.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson

from gigapixel import make_gigapixel
from gui_latency import PAN_STEP_PX, SOURCE, Probe
from napari_nic.outlines.cache import SETTLED_SECONDS

CLASSES = {
    "Tumor": (200, 0, 0),
    "Immune": (160, 90, 160),
    "Stroma": (150, 200, 150),
    "Necrosis": (50, 50, 50),
    "Other": (255, 200, 0),
}
CORNERS = (20, 30)
WITH_HOLE = 0.01
WRITTEN_AT_ONCE = 10_000

FRAMES = 150
CLOSE_ZOOM = 24
"""Times the zoom at which the whole slide is shown: outlines are seen one by one."""

HITS = 1000
RECOLOURS = 20
EDITS = 20

SEEN_CHANGE, SEEN_PIXELS = 30, 200
"""Outlines are seen where so many pixels of the canvas changed by so much in a channel."""

RESTING = 4.0
"""Seconds after the last outline in which the window is still looked at for stalls."""


def write_outlines(path: Path, count: int, side: int, seed: int = 0) -> None:
    """Write nuclei of 5 to 15 px radius, as QuPath writes detections."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        for start in range(0, count, WRITTEN_AT_ONCE):
            features = [_nucleus(rng, side) for _ in range(min(WRITTEN_AT_ONCE, count - start))]
            file.write((b",\n" if start else b"\n") + orjson.dumps(features)[1:-1])
        file.write(b"\n]}\n")


def _nucleus(rng: np.random.Generator, side: int) -> dict[str, Any]:
    angles = np.linspace(0, 2 * np.pi, rng.integers(*CORNERS, endpoint=True), endpoint=False)
    wavy = 1 + 0.08 * np.sin(3 * angles + rng.uniform(0, 6))
    radii, turn = rng.uniform(5, 15) * np.array([1, rng.uniform(0.6, 1)]), rng.uniform(0, np.pi)
    local = np.stack([np.cos(angles), np.sin(angles)], 1) * wavy[:, None] * radii
    turned = local @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = rng.uniform(20, side - 20, 2)
    rings = [turned, turned[::-3] * 0.4] if rng.random() < WITH_HOLE else [turned]
    closed = [np.round(middle + ring, 2).tolist() for ring in rings]
    name = list(CLASSES)[rng.integers(len(CLASSES))]
    return {
        "type": "Feature",
        "id": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]] for ring in closed]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": name, "color": list(CLASSES[name])},
        },
    }


class Opened(NamedTuple):
    """How a file was opened.

    Attributes
    ----------
    first, all : float
        Seconds to the first frame with pixels of outlines, and to one with all tiles of all outlines.
    stall : float
        Longest turn of the event loop until some seconds after that, seconds.
    work : float
        Most processor time of the window's thread in one turn, seconds.
    processor : float
        Processor time of the process until all outlines were there, seconds.
    """

    first: float
    all: float
    stall: float
    work: float
    processor: float

    def results(self, name: str, aim: float) -> dict[str, float]:
        """As they are printed."""
        return {
            f"{name} to first pixels: s (aim {aim:g})": self.first,
            f"{name} to all outlines: s": self.all,
            f"{name}, processor time: s": self.processor,
            f"{name}, longest stall of the window: s": self.stall,
            f"{name}, most work in one turn: s": self.work,
        }


class Window:
    """A window with a slide and the NIC dock."""

    def __init__(self, slide: Path) -> None:
        from qtpy.QtCore import QEventLoop, QTimer

        self.probe = Probe()
        self.viewer = self.probe.viewer
        self._loop, self._look = QEventLoop(), QTimer()
        self._condition: Callable[[], bool] = lambda: True
        self._look.setInterval(5)
        self._look.timeout.connect(lambda: self._loop.quit() if self._condition() else None)
        self._before: np.ndarray | None = None
        self._seen = 0.0
        self.probe.canvas.events.draw.connect(self._on_draw, position="last")
        self.slide = self.viewer.open(slide, plugin="napari-nic")[0]
        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-nic", "NIC")
        self.dock.session.select_encoder("mean-rgb")
        self.wait(lambda: bool(self.slide.loaded))
        self.settle(3)

    def wait(self, condition: Callable[[], bool]) -> float:
        """Wait in Qt's event loop until `condition` holds; return the seconds."""
        start = time.perf_counter()
        self._condition = condition
        self._look.start()
        self._loop.exec()
        self._look.stop()
        return time.perf_counter() - start

    def settle(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.perf_counter() + seconds
        self.wait(lambda: time.perf_counter() > end)

    def _on_draw(self, _event: object) -> None:
        """Note when a frame shows something else than the slide alone did."""
        if self._before is None:
            return
        change = np.abs(self._pixels().astype(np.int16) - self._before).max(axis=2)
        if (change > SEEN_CHANGE).sum() > SEEN_PIXELS:
            self._before, self._seen = None, time.perf_counter()

    def _pixels(self) -> np.ndarray:
        from vispy.gloo import read_pixels

        return np.asarray(read_pixels(alpha=False))

    def _look_out(self) -> None:
        """Look for the first frame with other pixels than the next one has."""
        pictures: list[np.ndarray] = []

        def take(_event: object) -> None:
            pictures.append(self._pixels())

        self.probe.canvas.events.draw.connect(take, position="last")
        self.frame()
        self.probe.canvas.events.draw.disconnect(take)
        self._before, self._seen = pictures[-1].astype(np.int16), 0.0

    def open(self, path: Path) -> Opened:
        """Open outlines as the dock does, and wait until all are there and the window rests."""
        self._look_out()
        self.probe.forget_stalls()
        start, worked = time.perf_counter(), time.process_time()
        self.dock.annotating.open(path)
        self.wait(lambda: bool(self.dock.annotating.layers()))
        self.settle_tiles()
        all_there, processor = time.perf_counter() - start, time.process_time() - worked
        assert self._seen, "no outlines were seen"
        self.settle(RESTING)
        return Opened(self._seen - start, all_there, self.probe.longest, self.probe.most_work, processor)

    def cancel(self, path: Path, after: float) -> float:
        """Open outlines and cancel after some seconds; return the seconds until the reading has ended."""
        self._before = None
        self.dock.annotating.open(path)
        self.settle(after)
        assert self.dock.annotating.opening, "it was read before it could be cancelled"
        start = time.perf_counter()
        self.dock.annotating.cancel_opening()
        self.wait(lambda: not self.dock.annotating.opening)
        assert not self.dock.annotating.layers(), "what was cancelled is shown"
        return time.perf_counter() - start

    def settle_tiles(self) -> None:
        """Wait until a frame shows all tiles of the view."""
        self.frame()
        self.wait(lambda: not self.view.busy)
        self.frame()

    def frame(self) -> None:
        """Wait for a frame that is drawn after now."""
        seen = self.probe.frames
        self.probe.canvas.update()
        self.wait(lambda: self.probe.frames > seen)

    @property
    def layer(self) -> Any:
        """The layer of the outlines."""
        return self.dock.annotating.layers()[0]

    @property
    def view(self) -> Any:
        """What shows the outlines."""
        from napari_nic.plugin.annotation_layers import annotation_tag

        return annotation_tag(self.layer).view

    def clear(self) -> None:
        """Take the outlines away."""
        for layer in list(self.dock.annotating.layers()):
            self.viewer.layers.remove(layer)
        self.settle(1)


def measure_pan(window: Window) -> dict[str, float]:
    """Pan over the slide alone and with outlines, in turns."""
    window.viewer.scene.camera.zoom *= CLOSE_ZOOM
    window.settle(2)
    window.settle_tiles()
    step = PAN_STEP_PX / window.viewer.scene.camera.zoom
    times: dict[bool, list[np.ndarray]] = {False: [], True: []}
    window.probe.pan(FRAMES, step)  # both then pan over ground whose slide tiles are there
    window.settle_tiles()
    for _ in range(3):
        for with_outlines in (False, True):
            window.layer.visible = with_outlines
            window.settle(0.5)
            times[with_outlines].append(window.probe.pan(FRAMES, step))
    alone, both = (np.concatenate(times[key]) for key in (False, True))
    return {
        "pan, slide alone: p95 ms": float(np.percentile(alone, 95)),
        "pan, with outlines: p95 ms": float(np.percentile(both, 95)),
        "pan, ratio of p95 (aim 1.25)": float(np.percentile(both, 95) / np.percentile(alone, 95)),
        "pan, ratio of medians": float(np.median(both) / np.median(alone)),
    }


def measure_colours(window: Window) -> dict[str, float]:
    """Recolour a class by the document, as a dock does, until the frame that shows it."""
    from dataclasses import replace

    document = window.dock.documents.document
    calls, frames = [], []
    for number in range(RECOLOURS):
        color = (number * 10, 255 - number * 10, 40)
        classes = [replace(one, color=color) if one.name == "Tumor" else one for one in document.classes]
        start = time.perf_counter()
        document.set_classes("recolour", classes)
        calls.append(time.perf_counter() - start)
        window.probe.next_frame()
        frames.append(time.perf_counter() - start)
    return {
        "recolour a class, call: median ms": float(np.median(calls) * 1e3),
        "recolour a class, to the frame: median ms (aim 100)": float(np.median(frames) * 1e3),
    }


def measure_places(window: Window, side: int) -> dict[str, float]:
    """Hit test, and the change of one outline until its tiles are drawn."""
    rng, index = np.random.default_rng(1), window.view.index
    times = []
    for x, y in rng.uniform(0, side, (HITS, 2)):
        start = time.perf_counter()
        index.at(x, y, 3.0)
        times.append(time.perf_counter() - start)
    edits = []
    for number in rng.integers(0, len(index), EDITS):
        moved = index.geometry(int(number)).buffer(1)
        start = time.perf_counter()
        window.view.replace({int(number): (moved, index.label(int(number)))})
        edits.append(time.perf_counter() - start)
    return {
        "hit test: p95 ms (aim 5)": float(np.percentile(times, 95) * 1e3),
        "change of one outline: median ms": float(np.median(edits) * 1e3),
    }


def measure_core(path: Path, side: int) -> dict[str, float]:
    """Read, keep, index and draw without a window; seconds of this process's processor time.

    They depend less on what else the machine does than the clock, and not at all on how much of a processor
    was to be had.
    """
    from napari_nic.jobs import result_of
    from napari_nic.outlines import OutlineIndex, OutlinePyramid, Tile
    from napari_nic.outlines.cache import OutlineCache, content_key
    from napari_nic.outlines.reading import iter_read_outlines

    results: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        before, start, worked = rss_mb(), time.perf_counter(), time.process_time()
        found = work()
        results[f"{name}: processor s"] = time.process_time() - worked
        results[f"{name}: s by the clock"] = time.perf_counter() - start
        results[f"{name}: memory growth MB"] = rss_mb() - before
        return found

    cache = OutlineCache()
    annotations = timed("GeoJSON read and kept", lambda: result_of(iter_read_outlines(path, cache=cache)))
    again = timed("the same from the cache", lambda: cache.load(content_key(path), path.name))
    assert again is not None, "it was not kept"
    assert again.annotations == annotations.annotations
    index = timed("index", lambda: OutlineIndex.of(annotations))
    pyramid = timed("coarsest picture", lambda: OutlinePyramid(index, (side, side)))
    for level, (height, width) in enumerate(pyramid.shapes[:-1]):
        start = time.process_time()
        pyramid.draw(Tile(level, height // 1024, width // 1024))
        results[f"tile of 512 px, level {level}: processor ms"] = (time.process_time() - start) * 1e3
    return results


def rss_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_mb() -> float:
    """Most memory of this process since :func:`forget_peak`."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def forget_peak() -> None:
    """Look for the most memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=60_000, help="of the slide, in pixels")
    parser.add_argument("--core", action="store_true", help="without a window")
    parser.add_argument("--slide", type=Path, help="a slide instead of the one that is made")
    parser.add_argument(
        "--parts", nargs="*", default=("rest", "cancel"), choices=("rest", "cancel"), help="beside opening"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_NIC_HOME"] = str(Path(folder) / "home")
        path, slide = Path(folder) / "outlines.geojson", args.slide or Path(folder) / "slide.tif"
        write_outlines(path, args.count, args.side)
        if args.slide is None and not args.core:
            make_gigapixel(SOURCE, slide, args.side)
        time.sleep(SETTLED_SECONDS)  # what was written just now may be written again, and is not kept yet
        print(f"{args.count:,} outlines of 20 to 30 corners, {path.stat().st_size / 1e6:,.0f} MB of GeoJSON")
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        results = (
            measure_core(path, args.side)
            if args.core
            else _measure(Window(slide), path, args.side, args.parts)
        )
        for name, value in results.items():
            print(f"{name:<55} {value:10.2f}")
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def _measure(window: Window, path: Path, side: int, parts: Sequence[str]) -> dict[str, float]:
    # napari and Python import what a first layer of labels needs once a session.
    warm = path.with_name("warm.geojson")
    write_outlines(warm, 3_000, side, seed=1)
    window.open(warm)
    window.clear()
    forget_peak()
    before = rss_mb()
    first = window.open(path)
    grown, peak = rss_mb() - before, peak_mb() - before
    window.clear()
    again = window.open(path)
    results = first.results("GeoJSON", 2) | again.results("from the cache", 1)
    results |= {"memory growth: MB": grown, "memory growth at most, while reading: MB": peak}
    if "rest" in parts:
        for found in (measure_places(window, side), measure_colours(window), measure_pan(window)):
            results |= found
    if "cancel" in parts:
        window.clear()
        path.write_bytes(path.read_bytes() + b"\n")  # another content, which is not kept
        results["cancelled, until the reading has ended: s (aim 0.3)"] = window.cancel(path, first.all / 2)
    window.dock.session.asking.leaving = lambda *_: "discard"
    window.viewer.close()
    return results


if __name__ == "__main__":
    main()
