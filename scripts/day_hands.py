"""Keys and the mouse over the canvas of a window, as a user has them, and what is kept of a day with them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SLOW_SECONDS = 1.0
"""An action that takes longer got in the way, or needs so much of a processor."""


class Hands:
    """Presses, moves and waits.

    Attributes
    ----------
    canvas : QWidget
        Of the window.
    rng : random.Random
        Chooses places.
    """

    canvas: Any

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 -- no secret

    def turn(self, times: int = 2) -> None:
        """Let the window live."""
        from qtpy.QtWidgets import QApplication

        for _ in range(times):
            QApplication.processEvents()

    def until(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Wait for something."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.turn()
            time.sleep(0.01)
        return bool(condition())

    def key(self, name: str) -> None:
        """Press a key over the canvas."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        *held, last = name.split("+")
        modifiers = Qt.KeyboardModifier.NoModifier
        for one in held:
            modifiers |= getattr(Qt.KeyboardModifier, {"Ctrl": "Control"}.get(one, one) + "Modifier")
        names = {"[": "BracketLeft", "]": "BracketRight", "Enter": "Return"}
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{names.get(last, last)}"), modifiers)
        self.turn()

    def place(self, spread: float = 0.35) -> np.ndarray:
        """Choose a place on the canvas, about its middle."""
        size = np.array([self.canvas.width(), self.canvas.height()])
        return size / 2 + size * [self.rng.uniform(-spread, spread) for _ in range(2)]

    def drag(self, *places: np.ndarray, modifier: str = "") -> None:
        """Press, move and let go."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        held = getattr(Qt.KeyboardModifier, f"{modifier or 'No'}Modifier")
        points = [QPoint(*np.rint(place).astype(int).tolist()) for place in places]
        QTest.mouseMove(self.canvas, points[0])
        self.turn(1)
        QTest.mousePress(self.canvas, Qt.MouseButton.LeftButton, held, points[0])
        for point in points[1:]:
            QTest.mouseMove(self.canvas, point)
            self.turn(1)
        QTest.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, held, points[-1])
        self.turn()

    def loop(self, steps: int = 16) -> list[np.ndarray]:
        """A wobbly closed line around a place."""
        middle, radius = self.place(0.3), self.rng.uniform(20, 120)
        turn = np.linspace(0, 2 * np.pi, steps)
        wobble = radius * (1 + 0.2 * np.sin(3 * turn + self.rng.uniform(0, 6)))
        return list(middle + np.stack([np.cos(turn), np.sin(turn)], axis=1) * wobble[:, None])


def slowest_of(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Return actions that took long, the slowest first."""
    found = sorted(((max(some), name) for name, some in seconds.items()), reverse=True)[:12]
    return {name: round(most, 2) for most, name in found if most > SLOW_SECONDS}


def leftovers(folder: Path) -> list[str]:
    """Names of what lies beside the slides in the end."""
    return sorted(path.name for path in folder.iterdir())


def rss_mb() -> float:
    """Memory of this process now; 0 where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
