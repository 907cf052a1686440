"""What becomes a figure: which part of the slide, how fine, with what on it; and making it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.plugin.figure_layers import FigureLayers, figure_layers
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.plugin.worker import Callbacks, Job
from napari_nic.slides import RgbArray
from napari_nic.viewing import (
    MM_PER_INCH,
    FigureFacts,
    FigureFrame,
    draw_scale_bar,
    iter_figure,
    legend_strip,
    um_per_px_at,
    write_figure,
)

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.navigating import Navigator
    from napari_nic.plugin.worker import Runner
    from napari_nic.viewing import Write

Region = Literal["visible", "rectangle", "whole"]
DEFAULT_DPI = 300
NO_RECTANGLE = "Select a rectangle in a layer of shapes first"


@dataclass(frozen=True)
class FigureOptions:
    """What is wanted.

    Attributes
    ----------
    region : {"visible", "rectangle", "whole"}
    magnification : float or None
        None is that of the screen; 0 the slide's own.
    dpi : int
        In print.
    scale_bar, legend : bool
    """

    region: Region = "visible"
    magnification: float | None = None
    dpi: int = DEFAULT_DPI
    scale_bar: bool = True
    legend: bool = True


class FigureController:
    """Exports what is shown as a figure.

    Parameters
    ----------
    navigator : Navigator
    runner : Runner
    asking : Asking
    write : callable
        Paints text, see :data:`~napari_nic.viewing.Write`.
    """

    changed = Signal()

    def __init__(self, navigator: Navigator, runner: Runner, asking: Asking, write: Write) -> None:
        self._navigator, self._runner, self._asking, self._write = navigator, runner, asking, write
        self.options = FigureOptions()
        self.progress: Progress | None = None
        """How far the figure is that is being made; None if none is."""
        self._job: Job | None = None
        navigator.moved.connect(self.changed.emit)

    def close(self) -> None:
        """Stop following the view."""
        self._navigator.moved.disconnect(self.changed.emit)

    def set_options(self, **options: Any) -> None:
        """Take other options."""
        self.options = replace(self.options, **options)
        self.changed.emit()

    def frame(self) -> FigureFrame:
        """Return what the figure would show.

        Raises
        ------
        InvalidParameterError
            If there is nothing to show, or too much.
        """
        slide = self._navigator.slide
        if slide is None:
            raise InvalidParameterError("open a slide first")
        return FigureFrame(self._region().intersect(slide.levels[0].region), self._downsample())

    def describe(self) -> tuple[str, bool]:
        """Say how large the figure would be, or why there is none; and whether there is one."""
        try:
            rows, cols = self.frame().shape
        except NicError as error:
            hint = f": {error.hint}" if error.hint else ""
            return f"{error.problem[:1].upper()}{error.problem[1:]}{hint}", False
        cm = [side / self.options.dpi * MM_PER_INCH / 10 for side in (cols, rows)]
        return f"{cols:,} x {rows:,} px, {cm[0]:.1f} x {cm[1]:.1f} cm in print", True

    def export(self, path: Path) -> None:
        """Compose and write the figure in the background; what went wrong is told."""
        try:
            frame, made = self.frame(), self._layers()
            legends = made.legends if self.options.legend else []
            strip = legend_strip(legends, frame.shape[1], self._write, self.options.dpi)
        except NicError as error:
            self._asking.tell_error(error)
            return
        if made.left_out:
            self._asking.tell(f"Not in the figure: {', '.join(made.left_out)}")
        self._start(path, frame, made, strip)

    def cancel(self) -> None:
        """Stop making the figure; nothing is written."""
        if self._job is not None:
            self._job.cancel()

    def _start(self, path: Path, frame: FigureFrame, made: FigureLayers, strip: RgbArray) -> None:
        facts, bar_um_per_px = self._facts(frame), self._um_per_px(frame)
        background = self._navigator.slide.background if self._navigator.slide is not None else (255,) * 3
        dpi, write, has_bar = self.options.dpi, self._write, self.options.scale_bar

        def make(token: CancellationToken) -> Generator[Progress, None, Path]:
            figure = yield from iter_figure(frame, made.parts, background=background, token=token)
            if has_bar and bar_um_per_px is not None:
                draw_scale_bar(figure, bar_um_per_px, write, dpi)
            token.checkpoint()
            write_figure(path, np.concatenate([figure, strip]), facts)
            return path

        self.progress = Progress(0, 1)
        self._job = self._runner.start(
            f"Figure {path.name}",
            make,
            Callbacks(
                yielded=self._on_progress,
                returned=lambda written: self._asking.tell(f"{written.name} is written"),
                failed=self._asking.tell_error,
                finished=self._on_end,
            ),
        )
        self.changed.emit()

    def _on_progress(self, progress: Progress) -> None:
        self.progress = progress
        self.changed.emit()

    def _on_end(self) -> None:
        self.progress = self._job = None
        self.changed.emit()

    # -- what is shown -----------------------------------------------------------------------------------

    def _layers(self) -> FigureLayers:
        frame = SlideFrame(self._navigator.slide, self._navigator.watch.layer)
        without = self._rectangle() if self.options.region == "rectangle" else None
        return figure_layers(list(self._navigator.watch.viewer.layers), frame, without=without)

    def _region(self) -> RegionPx:
        slide, corners = self._navigator.slide, None
        if self.options.region == "whole" and slide is not None:
            return slide.levels[0].region
        if self.options.region == "visible":
            corners = self._navigator.field_of_view()
        elif (found := self._rectangle()) is not None:
            layer, number = found
            frame = SlideFrame(slide, self._navigator.watch.layer)
            corners = frame.to_px(layer.data[number], layer)
        if corners is None:
            raise InvalidParameterError(NO_RECTANGLE[:1].lower() + NO_RECTANGLE[1:])
        low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
        return RegionPx(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))

    def _rectangle(self) -> tuple[Layer, int] | None:
        """Return the shape that is selected, of the active layer before others."""
        layers = self._navigator.watch.viewer.layers
        found = [one for one in layers if type(one).__name__ == "Shapes" and len(one.selected_data) == 1]
        found.sort(key=lambda one: one is layers.selection.active)
        return (found[-1], next(iter(found[-1].selected_data))) if found else None

    def _downsample(self) -> float:
        slide, wanted = self._navigator.slide, self.options.magnification
        if wanted is None:
            return self._navigator.downsample or 1.0
        if wanted == 0 or slide is None:
            return 1.0
        return um_per_px_at(wanted) / slide.require_pixel_size().mean

    def _um_per_px(self, frame: FigureFrame) -> float | None:
        slide = self._navigator.slide
        if slide is None or slide.pixel_size is None:
            return None
        return frame.downsample * slide.pixel_size.mean

    def _facts(self, frame: FigureFrame) -> FigureFacts:
        slide, region = self._navigator.slide, frame.region
        name = "" if slide is None else slide.path.name
        place = (region.y, region.x, region.height, region.width)
        return FigureFacts(self.options.dpi, self._um_per_px(frame), name, place)
