"""How does the window bear very many outlines: first pixels, panning, recolouring, hit test, memory.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/outlines.py
    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/outlines.py --count 1000000
    python benchmarks/outlines.py --core       # without a window: processor time of each part

GeoJSON of round outlines of 20 corners in three classes, as QuPath writes detections, is opened in a napari
window over a slide: as the dock opens it, in the background, while the window lives. First pixels are there
when a frame shows all tiles of the view drawn. The window's own thread waits in Qt's event loop and does not
spin, since that would take processor time from the reading.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gigapixel import make_gigapixel
from gui_latency import PAN_STEP_PX, SOURCE, Probe
from napari_nic.outlines.cache import SETTLED_SECONDS

CLASSES = ("Tumor", "Immune", "Stroma")
CORNERS = 20
FRAMES = 150
CLOSE_ZOOM = 24
"""Times the zoom at which the whole slide is shown: outlines are seen one by one."""

HITS = 1000
RECOLOURS = 20
EDITS = 20


def write_outlines(path: Path, count: int, side: int, seed: int = 0) -> None:
    """Write round outlines of 5 to 15 px radius."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    unit = np.stack([np.cos(angles), np.sin(angles)], 1)
    with path.open("w") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number in range(count):
            ring = np.round(rng.uniform(20, side - 20, 2) + unit * rng.uniform(5, 15), 1).tolist()
            feature = {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
                "properties": {
                    "objectType": "detection",
                    "classification": {"name": CLASSES[number % len(CLASSES)]},
                },
            }
            file.write((",\n" if number else "\n") + json.dumps(feature))
        file.write("\n]}\n")


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

    def open(self, path: Path) -> tuple[float, float, float]:
        """Open outlines; return seconds to a frame with all tiles, the longest stall, processor seconds."""
        self.probe.forget_stalls()
        start, worked = time.perf_counter(), time.process_time()
        self.dock.annotating.open(path)
        self.wait(lambda: bool(self.dock.annotating.layers()))
        self.settle_tiles()
        return time.perf_counter() - start, self.probe.longest, time.process_time() - worked

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
        classes = [replace(one, color=color) if one.name == CLASSES[0] else one for one in document.classes]
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=60_000, help="of the slide, in pixels")
    parser.add_argument("--core", action="store_true", help="without a window")
    parser.add_argument("--slide", type=Path, help="a slide instead of the one that is made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_NIC_HOME"] = str(Path(folder) / "home")
        path, slide = Path(folder) / "outlines.geojson", args.slide or Path(folder) / "slide.tif"
        write_outlines(path, args.count, args.side)
        if args.slide is None and not args.core:
            make_gigapixel(SOURCE, slide, args.side)
        time.sleep(SETTLED_SECONDS)  # what was written just now may be written again, and is not kept yet
        print(f"{args.count:,} outlines of {CORNERS} corners, {path.stat().st_size / 1e6:,.0f} MB of GeoJSON")
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        results = measure_core(path, args.side) if args.core else _measure(Window(slide), path, args.side)
        for name, value in results.items():
            print(f"{name:<55} {value:10.2f}")
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")


def _measure(window: Window, path: Path, side: int) -> dict[str, float]:
    before = rss_mb()
    # napari and Python import what a first layer of labels needs once a session.
    warm = path.with_name("warm.geojson")
    write_outlines(warm, 3_000, side)
    window.open(warm)
    window.clear()
    first = window.open(path)
    grown = rss_mb() - before
    window.clear()
    again = window.open(path)
    results = {
        "GeoJSON to first pixels: s (aim 2)": first[0],
        "GeoJSON, longest stall of the window: s": first[1],
        "GeoJSON, processor time: s": first[2],
        "from the cache: s (aim 1)": again[0],
        "from the cache, longest stall: s": again[1],
        "from the cache, processor time: s": again[2],
        "memory growth: MB": grown,
    }
    for part in (measure_places(window, side), measure_colours(window), measure_pan(window)):
        results |= part
    window.dock.session.asking.leaving = lambda *_: "discard"
    window.viewer.close()
    return results


if __name__ == "__main__":
    main()
