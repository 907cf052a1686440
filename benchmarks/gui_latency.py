"""How does the viewer feel: time to first pixels and first colours, stalls, and pan frames while compressing.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gui_latency.py --side 30000
    python benchmarks/gui_latency.py --slide my.svs

A real napari window is opened with the NIC dock; the button is clicked with a mouse event and the view is
panned as a user does, one step a frame, in the same way with nothing running and while compressing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gigapixel import make_gigapixel

DATA = Path(os.environ.get("NAPARI_NIC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SOURCE = DATA / "slides" / "CMU-1-Small-Region.svs"
TICK_MS = 5
FRAMES = 150
PAN_STEP_PX = 40


class Probe:
    """A napari window with ears for drawn frames and for the event loop's ticks."""

    def __init__(self) -> None:
        import napari
        from qtpy.QtCore import Qt, QTimer
        from qtpy.QtWidgets import QApplication

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1600, 1000)
        self.app = QApplication.instance()
        self.canvas = self.viewer.window._qt_viewer.canvas._scene_canvas
        self.frames = 0
        self.canvas.events.draw.connect(self._on_draw, position="last")
        self.forget_stalls()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._on_tick)
        self.timer.start(TICK_MS)

    def _on_draw(self, _event: object) -> None:
        self.frames += 1

    def _on_tick(self) -> None:
        now, worked = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now - self.last)
        self.most_work = max(self.most_work, worked - self.worked)
        self.last, self.worked = now, worked

    def forget_stalls(self) -> None:
        """Look for the longest stall from now on.

        Beside its length the processor time of this thread is kept: what the thread itself did in one turn
        of the event loop depends little on what else the machine does, and a long stall with little of it
        was spent waiting for a processor.
        """
        self.last, self.longest = time.perf_counter(), 0.0
        self.worked, self.most_work = time.thread_time(), 0.0

    def until(self, condition: Callable[[], bool], limit: float = 120.0) -> float:
        """Run the event loop until `condition` holds; return the seconds that it took."""
        start = time.perf_counter()
        while not condition():
            self.app.processEvents()
            if time.perf_counter() - start > limit:
                raise TimeoutError(f"nothing happened within {limit:g} s")
        return time.perf_counter() - start

    def settle(self, seconds: float) -> None:
        """Run the event loop for a while."""
        end = time.perf_counter() + seconds
        self.until(lambda: time.perf_counter() > end)

    def next_frame(self) -> None:
        """Wait for a frame that is drawn after now."""
        seen = self.frames
        self.canvas.update()
        self.until(lambda: self.frames > seen)

    def pan(self, frames: int, step: float) -> np.ndarray:
        """Pan by `step` um a frame, there and back; return milliseconds of each frame."""
        times = []
        for number in range(frames):
            start = time.perf_counter()
            z, y, x = self.viewer.scene.camera.center
            direction = 1 if number // 50 % 2 == 0 else -1
            self.viewer.scene.camera.center = (z, y, x + direction * step)
            self.next_frame()
            times.append((time.perf_counter() - start) * 1e3)
        return np.array(times)


def measure(slide: Path, encoder: str | None) -> dict[str, float]:
    """Open, pan, compress and pan again."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    probe = Probe()
    probe.settle(1)
    start = time.perf_counter()
    layer = probe.viewer.open(slide, plugin="napari-nic")[0]
    probe.until(lambda: layer.loaded)
    probe.next_frame()
    first_pixels = time.perf_counter() - start
    picture = probe.viewer.screenshot(canvas_only=True, flash=False)
    assert picture[..., :3].std() > 5, "the slide is not on the screen"
    _, dock = probe.viewer.window.add_plugin_dock_widget("napari-nic", "NIC")
    if encoder:
        dock.session.select_encoder(encoder)
    probe.viewer.scene.camera.zoom *= 12
    probe.settle(3)
    step = PAN_STEP_PX / probe.viewer.scene.camera.zoom
    probe.pan(FRAMES, step)  # both runs then pan over the same, already cached ground
    idle = probe.pan(FRAMES, step)

    painted: list[float] = []
    dock.compressing.painted.connect(lambda *_: painted.append(time.perf_counter()))
    dock.slide_section.whole.click()
    probe.until(lambda: not dock.runner.jobs)  # the encoder is loaded while a user still looks
    probe.settle(0.5)
    button = dock.compress_section.button
    assert button.isEnabled(), button.toolTip()
    probe.forget_stalls()
    start = time.perf_counter()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    probe.until(lambda: bool(painted))
    probe.next_frame()
    first_colours = time.perf_counter() - start
    probe.settle(5)
    stall, work = probe.longest, probe.most_work
    assert dock.compressing.state.busy, "the slide is too small to pan while it is compressed"
    busy = probe.pan(FRAMES, step)
    assert dock.compressing.state.busy, "the slide is too small to pan while it is compressed"
    dock.compressing.cancel()
    probe.until(lambda: not dock.compressing.state.busy)
    probe.viewer.close()
    return {
        "open_to_first_pixels_s": first_pixels,
        "click_to_first_colours_s": first_colours,
        "longest_stall_from_click_on_ms": stall * 1e3,
        "most_work_in_one_turn_ms": work * 1e3,
        "pan_frame_p50_idle_ms": float(np.percentile(idle, 50)),
        "pan_frame_p95_idle_ms": float(np.percentile(idle, 95)),
        "pan_frame_p50_compressing_ms": float(np.percentile(busy, 50)),
        "pan_frame_p95_compressing_ms": float(np.percentile(busy, 95)),
        "pan_p95_compressing_over_idle": float(np.percentile(busy, 95) / np.percentile(idle, 95)),
    }


def main() -> None:
    """Parse the command line; make the slide that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=30000)
    parser.add_argument("--slide", type=Path, help="measure with this slide instead of a made one")
    parser.add_argument("--source", type=Path, default=SOURCE, help="small slide whose tiles are copied")
    parser.add_argument("--encoder", help="name; the remembered or default one otherwise")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nic-bench-") as folder:
        os.environ.setdefault("NAPARI_NIC_HOME", folder)
        slide = args.slide
        if slide is None:
            slide = Path(folder) / f"tissue-{args.side}.tif"
            make_gigapixel(args.source, slide, args.side)
        for name, value in measure(slide, args.encoder).items():
            print(f"{name:<38}{value:.2f}")


if __name__ == "__main__":
    main()
