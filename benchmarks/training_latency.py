"""How much a training in the window holds the window up: stalls of its event loop, before and meanwhile.

xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/training_latency.py [--seconds 30]

The dock's button is clicked with a mouse event on an open slide; nothing else is done in the window, so that
what stalls it is the training and the painting of its progress.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gui_latency import SOURCE, Probe

PATIENCE_SECONDS = 600.0
STEPS = 100_000
"""More than are done while it is measured."""


class PatientProbe(Probe):
    """Sleeps between events as a window does; one that never does would starve the training."""

    def until(self, condition: Callable[[], bool], limit: float = PATIENCE_SECONDS) -> float:
        """Run the event loop, which the ticks wake, until `condition` holds; return the seconds."""
        from qtpy.QtCore import QEventLoop

        start = time.perf_counter()
        while not condition():
            self.app.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
            if time.perf_counter() - start > limit:
                raise TimeoutError(f"nothing happened within {limit:g} s")
        return time.perf_counter() - start


def stalls(probe: Probe, seconds: float) -> tuple[float, float]:
    """Return the longest stall, and the most processor time in one turn of the event loop, ms."""
    probe.forget_stalls()
    probe.settle(seconds)
    return probe.longest * 1e3, probe.most_work * 1e3


def measure(slide: Path, seconds: float) -> dict[str, float]:
    """Open, wait, train and cancel."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    probe = PatientProbe()
    layer = probe.viewer.open(slide, plugin="napari-nic")[0]
    probe.until(lambda: layer.loaded)
    _, dock = probe.viewer.window.add_plugin_dock_widget("napari-nic", "Train encoder")
    dock.training.fill_in(name="benchmark", steps=STEPS)
    probe.settle(1)
    idle = stalls(probe, seconds)
    probe.forget_stalls()
    QTest.mouseClick(dock.progress_section.button, Qt.MouseButton.LeftButton)
    probe.until(lambda: bool(dock.training.curve))
    starting = probe.longest * 1e3
    done = dock.training.state.done
    training = stalls(probe, seconds)
    rate = (dock.training.state.done - done) / seconds
    dock.shut_down()
    probe.viewer.close()
    return {
        "longest_stall_idle_ms": idle[0],
        "most_work_in_one_turn_idle_ms": idle[1],
        "longest_stall_from_click_to_step_1_ms": starting,
        "longest_stall_training_ms": training[0],
        "most_work_in_one_turn_training_ms": training[1],
        "steps_per_second": rate,
    }


def main() -> None:
    """Parse the command line and print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slide", type=Path, default=SOURCE)
    parser.add_argument("--seconds", type=float, default=30.0, help="to watch the window for")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nic-bench-") as folder:
        os.environ["NAPARI_NIC_HOME"] = folder
        for name, value in measure(args.slide, args.seconds).items():
            print(f"{name:<40}{value:.2f}")


if __name__ == "__main__":
    main()
