"""Levels of a pyramid of outlines as napari reads them, and the drawing of their tiles beside the window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Self

import numpy as np

from napari_nic.jobs import CancellationToken
from napari_nic.outlines import TILE, OutlinePyramid, Tile
from napari_nic.plugin.worker import UPDATE_SECONDS, Callbacks, Job, Runner

Want = Callable[[list[Tile]], None]
"""Takes the tiles that are looked at and not drawn."""


class OutlineLevel:
    """One level of a pyramid, as an array that napari takes parts of.

    Attributes
    ----------
    want : callable, optional
        If there is one, what is drawn already is given at once, and it is called with the tiles that are not.
        Without it all is drawn before it is given.
    """

    ndim = 2
    chunks = (TILE, TILE)

    def __init__(self, pyramid: OutlinePyramid, level: int) -> None:
        self._pyramid, self._level = pyramid, level
        self.dtype = pyramid.dtype
        self.shape = pyramid.shapes[level]
        self.want: Want | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # napari copies the data of a layer that is duplicated.
        return self

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = key if isinstance(key, tuple) else (key,)
        keys = (*keys, *(slice(None),) * (2 - len(keys)))
        sides = [
            part.indices(side) if isinstance(part, slice) else (int(part) % side, int(part) % side + 1, 1)
            for part, side in zip(keys, self.shape, strict=True)
        ]
        area = slice(*sides[0][:2]), slice(*sides[1][:2])
        if self.want is None:
            picture = self._pyramid.read(self._level, area)
        else:
            picture, missing = self._pyramid.peek(self._level, area)
            if missing:
                self.want(_from_the_middle(missing))
        steps = tuple(
            slice(None, None, side[2]) if isinstance(part, slice) else 0
            for part, side in zip(keys, sides, strict=True)
        )
        return picture[steps]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        height, width = self.shape
        return self._pyramid.read(self._level, (slice(0, height), slice(0, width))).astype(
            dtype or self.dtype
        )


def levels_of(pyramid: OutlinePyramid) -> list[Any]:
    """Return what napari is given as the data of a layer.

    The last level is the pyramid's own array: napari keeps that level of a layer for its thumbnail, and
    changes are to be seen in it.
    """
    return [*(OutlineLevel(pyramid, level) for level in range(len(pyramid) - 1)), pyramid.coarsest]


class TileDrawing:
    """Draws the tiles that are looked at, in a job; those that were wanted last come first, and no others.

    Parameters
    ----------
    pyramid : OutlinePyramid
    runner : Runner
    ready : callable
        Called in the main thread when tiles were drawn, a few times a second and at the end.
    """

    def __init__(self, pyramid: OutlinePyramid, runner: Runner, ready: Callable[[], None]) -> None:
        self._pyramid, self._runner, self._ready = pyramid, runner, ready
        self._lock = threading.Lock()
        self._wanted: deque[Tile] = deque()
        self._job: Job | None = None
        self._is_closed = False

    @property
    def busy(self) -> bool:
        """Whether tiles are being drawn."""
        return self._job is not None

    def want(self, tiles: Iterable[Tile]) -> None:
        """Draw these, and no longer what was wanted before."""
        with self._lock:
            self._wanted = deque(tiles)
        if self._job is None and self._wanted and not self._is_closed:
            self._start()

    def close(self) -> None:
        """Draw nothing more."""
        self._is_closed = True
        with self._lock:
            self._wanted.clear()
        if self._job is not None:
            self._job.cancel()

    def _start(self) -> None:
        callbacks = Callbacks(yielded=lambda _: self._ready(), finished=self._finish)
        job = self._runner.start("Drawing outlines", self._draw, callbacks)
        self._job = job if job.running else None

    def _draw(self, token: CancellationToken) -> Generator[None, None, None]:
        told = time.monotonic()
        while (tile := self._next()) is not None:
            token.checkpoint()
            self._pyramid.draw(tile)
            if time.monotonic() - told > UPDATE_SECONDS:
                told = time.monotonic()
                yield

    def _next(self) -> Tile | None:
        with self._lock:
            return self._wanted.popleft() if self._wanted else None

    def _finish(self) -> None:
        self._job = None
        if self._is_closed:
            return
        self._ready()  # which wants what is looked at and still not drawn
        if self._wanted and self._job is None:
            self._start()


def _from_the_middle(tiles: list[Tile]) -> list[Tile]:
    """Order tiles by how far they are from the middle of them all."""
    row, col = (tiles[0].row + tiles[-1].row) / 2, (tiles[0].col + tiles[-1].col) / 2
    return sorted(tiles, key=lambda tile: (tile.row - row) ** 2 + (tile.col - col) ** 2)
