"""Where one is on a slide and how near: the field of view, the magnification, a thumbnail."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.turning import Turning
from napari_nic.plugin.layers import pixel_of, tag_of
from napari_nic.plugin.worker import Callbacks, Job
from napari_nic.slides import RgbArray, Slide
from napari_nic.viewing import (
    iter_thumbnail,
    magnification_at,
    native_magnification,
    um_per_px_at,
)

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.plugin.worker import Runner

THUMBNAIL_SIDE = 600
"""Of the thumbnail in pixels: the dock's width on a screen of double density."""

PAN_SHARE = 0.25
"""Share of the view by which a key moves it."""

ZOOM_STEP = 1.25
FIT_SHARE = 0.95
"""Share of the canvas that a whole slide takes; napari's own."""


class Navigator:
    """Moves the camera over the slide that is seen, in its own terms.

    Places are level-0 pixels (y, x), corner-based.

    Parameters
    ----------
    watch : SlideWatch
    runner : Runner
        Makes thumbnails.
    asking : Asking
    turning : Turning, optional
        How the view is turned; upright by default.
    """

    moved = Signal()
    """Emitted when another part is seen, nearer or further."""

    thumbnail_changed = Signal()

    def __init__(
        self, watch: SlideWatch, runner: Runner, asking: Asking, turning: Turning | None = None
    ) -> None:
        self.watch, self._runner, self._asking = watch, runner, asking
        self._turning = turning or Turning(watch.viewer)
        self._turning.changed.connect(self._on_turn)
        self.thumbnail: RgbArray | None = None
        self._pictured: Slide | None = None
        self._job: Job | None = None
        self._made: weakref.WeakKeyDictionary[Slide, RgbArray] = weakref.WeakKeyDictionary()
        self._camera = watch.viewer.scene.camera
        self._camera.events.connect(self._on_camera)
        watch.viewer.canvas.events.size.connect(self._on_camera)
        watch.changed.connect(self._on_slide)
        self._on_slide()

    def close(self) -> None:
        """Let the viewer and the slide go."""
        self._camera.events.disconnect(self._on_camera)
        self.watch.viewer.canvas.events.size.disconnect(self._on_camera)
        self.watch.changed.disconnect(self._on_slide)
        self._turning.changed.disconnect(self._on_turn)
        self.thumbnail = self._pictured = None

    @property
    def slide(self) -> Slide | None:
        """The slide that is seen."""
        return self.watch.slide

    # -- magnification -----------------------------------------------------------------------------------

    @property
    def magnification(self) -> float | None:
        """At which the slide is seen; None where its um/px is not known."""
        if self.slide is None or self.slide.pixel_size is None or self._camera.zoom <= 0:
            return None
        return magnification_at(1 / self._camera.zoom)

    @property
    def native(self) -> float | None:
        """Magnification at which each pixel of level 0 is one of the screen; None where it is not known."""
        if self.slide is None or self.slide.pixel_size is None:
            return None
        return native_magnification(self.slide.pixel_size)

    def magnify(self, magnification: float) -> None:
        """Look from this magnification at what is in the middle; nothing happens without um/px.

        Raises
        ------
        InvalidParameterError
            If it is not positive.
        """
        if self.slide is not None and self.slide.pixel_size is not None:
            self._camera.zoom = 1 / um_per_px_at(magnification)

    def show_native(self) -> None:
        """Show each pixel of the slide as one of the screen."""
        self.set_downsample(1)

    @property
    def downsample(self) -> float | None:
        """Level-0 pixels on a pixel of the screen; None without a slide."""
        if self.slide is None or self._camera.zoom <= 0:
            return None
        return float(1 / self._camera.zoom / pixel_of(self.slide).mean)

    def set_downsample(self, downsample: float) -> None:
        """Show so many level-0 pixels on a pixel of the screen."""
        if self.slide is not None and downsample > 0:
            self._camera.zoom = 1 / (pixel_of(self.slide).mean * downsample)

    def fit(self) -> None:
        """Show the whole slide."""
        if self.watch.layer is not None:
            self.watch.viewer.reset_view(layers=[self.watch.layer])
            self._fit_turned()

    def _fit_turned(self) -> None:
        """Give the turned slide the room that it needs: napari fits it as if it were upright."""
        slide = self.slide
        if slide is None or self._turning.angle == 0:
            return
        pixel = pixel_of(slide)
        height, width = (
            side * step for side, step in zip(slide.levels[0].shape, (pixel.y, pixel.x), strict=True)
        )
        tall, wide = np.abs(self._turning.to_world()).T @ (height, width)
        rows, cols = self.watch.viewer.canvas.size
        self._camera.zoom = FIT_SHARE * min(rows / tall, cols / wide)

    def zoom_by(self, steps: int) -> None:
        """Go nearer, or further with a negative number."""
        self._camera.zoom *= ZOOM_STEP**steps

    # -- place -------------------------------------------------------------------------------------------

    def field_of_view(self) -> np.ndarray | None:
        """Return the corners of what is seen, in order around it, (4, 2) of level-0 (y, x); None if nothing.

        May reach beyond the slide.
        """
        layer = self.watch.layer
        if layer is None or self._camera.zoom <= 0:
            return None
        center = np.array(self._camera.center[-2:])
        half = np.array(self.watch.viewer.canvas.size) / self._camera.zoom / 2
        offsets = half * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
        corners = center + offsets @ self._turning.to_world().T
        return np.array([_to_px(layer, corner) for corner in corners])

    def center(self) -> tuple[float, float] | None:
        """Return the place in the middle of the view; None without a slide."""
        if self.watch.layer is None:
            return None
        y, x = _to_px(self.watch.layer, self._camera.center[-2:])
        return float(y), float(x)

    def look_at(self, y_px: float, x_px: float) -> None:
        """Bring a place into the middle of the view."""
        layer = self.watch.layer
        if layer is not None:
            y, x = layer.data_to_world((y_px - 0.5, x_px - 0.5))[-2:]
            self._camera.center = (0.0, float(y), float(x))

    def pan(self, down: int, right: int) -> None:
        """Move by a quarter of the view."""
        height, width = self.watch.viewer.canvas.size
        _, y, x = (0.0, *self._camera.center)[-3:]
        step = PAN_SHARE / self._camera.zoom * np.array([down * height, right * width])
        dy, dx = self._turning.to_world() @ step
        self._camera.center = (0.0, float(y + dy), float(x + dx))

    # -- thumbnail ---------------------------------------------------------------------------------------

    def _on_camera(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.moved.emit()

    def _on_turn(self) -> None:
        self.moved.emit()

    def _on_slide(self) -> None:
        shown = self._shown()
        if shown is not self._pictured:
            self._pictured = shown
            self.thumbnail = None if shown is None else self._made.get(shown)
            if self._job is not None:
                self._job.cancel()
            if shown is not None and self.thumbnail is None:
                self._make_thumbnail(shown)
            self.thumbnail_changed.emit()
        self.moved.emit()

    def _shown(self) -> Slide | None:
        """Return the slide with what the screen keeps of it: damage is hatched and not an error."""
        tag = None if self.watch.layer is None else tag_of(self.watch.layer)
        return None if tag is None else tag.twin

    def _make_thumbnail(self, slide: Slide) -> None:
        def make(token: CancellationToken) -> Generator[None, None, RgbArray]:
            job = iter_thumbnail(slide, THUMBNAIL_SIDE, token=token)
            while True:
                try:
                    next(job)
                except StopIteration as end:
                    picture: RgbArray = end.value
                    return picture
                yield

        def take(picture: RgbArray) -> None:
            self._made[slide] = picture
            if slide is self._pictured:
                self.thumbnail = picture
                self.thumbnail_changed.emit()

        self._job = self._runner.start(
            "Thumbnail", make, Callbacks(returned=take, failed=self._asking.tell_error)
        )


def _to_px(layer: Layer, world: Any) -> np.ndarray:
    return np.asarray(layer.world_to_data(tuple(world))[-2:]) + 0.5
