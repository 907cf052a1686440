"""What is seen of a slide before and after: a layer on it with a swipe, and what the file would come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_nic.geometry import Placement, RegionPx
from napari_nic.plugin.layers import frame, pixel_of, visible_region
from napari_nic.plugin.shrink_jobs import Asked, Tried, try_job
from napari_nic.plugin.worker import Callbacks, Job
from napari_nic.recompression.reporting.page import difference_map

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_nic.plugin.controllers.shrinking import ShrinkController
    from napari_nic.plugin.worker import Runner
    from napari_nic.recompression.glass import KeptArea
    from napari_nic.recompression.reporting.preview import Preview, SizeEstimate
    from napari_nic.slides import RgbArray, Slide

Shown = Literal["after", "difference"]

LAYER = "Shrink slide: preview"
HALF = 0.5
LINE = (0, 90, 255)
"""Of the swipe: blue, which no stain is."""


class ShrinkPreview:
    """Shows the middle of the view after the codec, right of the swipe; left of it the slide itself.

    Parameters
    ----------
    shrinking : ShrinkController
    runner : Runner

    Attributes
    ----------
    found : Preview or None
    size : SizeEstimate or None
        What the whole file would come to.
    swipe : float
        Where the swipe is, 0 (all after) to 1 (all before).
    shown : {"after", "difference"}
    """

    changed = Signal()

    def __init__(self, shrinking: ShrinkController, runner: Runner) -> None:
        self.shrinking, self._runner = shrinking, runner
        self.found: Preview | None = None
        self.size: SizeEstimate | None = None
        self.swipe: float = HALF
        self.shown: Shown = "after"
        self._map: RgbArray | None = None
        self._slide: Slide | None = None
        self._layer: Image | None = None
        self._job: Job | None = None
        self._kept: tuple[Slide, float, KeptArea] | None = None
        self._form = shrinking.form
        self._viewer = shrinking.watch.viewer
        shrinking.changed.connect(self._on_changed)
        shrinking.watch.changed.connect(self._on_slide)
        self._viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Take the layer away and let the slide go."""
        self.shrinking.changed.disconnect(self._on_changed)
        self.shrinking.watch.changed.disconnect(self._on_slide)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self.clear()
        self._kept = None

    @property
    def is_running(self) -> bool:
        """Whether a preview is being made."""
        return self._job is not None and self._job.running

    def why_not(self) -> str:
        """Why nothing can be shown; empty when it can."""
        if self.shrinking.watch.slide is None:
            return "Open a slide first"
        return "" if self._seen() is not None else "Nothing of the slide is on the screen"

    def start(self) -> None:
        """Make a preview of what is on the screen."""
        asked, seen = self.shrinking.asked(), self._seen()
        if self.why_not() or asked is None or seen is None:
            return
        self.cancel()
        self.size = None
        self._form = asked.form
        level = self._level(asked.slide)
        # A painted mask may have changed since: what is kept is found anew.
        kept = None if asked.mask is not None else self._known_area(asked.slide, asked.form.margin_um)
        slide = asked.slide
        job = self._runner.start(
            f"Preview of {slide.name}",
            lambda token: try_job(asked, seen, level, kept, token),
            Callbacks(
                yielded=lambda tried: self._on_tried(asked, tried),
                failed=self.shrinking.asking.tell_error,
                finished=self.changed.emit,
            ),
        )
        if job.running:
            self._job = job
        self.changed.emit()

    def cancel(self) -> None:
        """Stop making a preview."""
        if self._job is not None:
            self._job.cancel()

    def clear(self) -> None:
        """Take the preview off the screen."""
        self.cancel()
        self.found = self.size = self._map = self._slide = None
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        self.changed.emit()

    def set_swipe(self, swipe: float) -> None:
        """Move the swipe; 0 shows all of the preview, 1 none."""
        swipe = min(max(swipe, 0.0), 1.0)
        if swipe != self.swipe:
            self.swipe = swipe
            self._paint()

    def set_shown(self, shown: Shown) -> None:
        """Show the picture after, or how far it is from the one before."""
        if shown != self.shown:
            self.shown = shown
            self._paint()
            self.changed.emit()

    def is_outdated(self) -> bool:
        """Whether something else is filled in than what is shown."""
        return self.found is not None and self._form != self.shrinking.form

    def numbers(self) -> str:
        """Say how good the part that is shown is."""
        if self.found is None:
            return ""
        measures = self.found.measures
        if measures.psnr == float("inf"):
            return "This part: pixels stay exactly what they are"
        bits = f", {self.found.bits_per_pixel:.2f} bits a pixel" if self.found.size else ""
        return f"This part: SSIM {measures.ssim:.4f}, PSNR {measures.psnr:.1f} dB{bits}"

    def expected(self) -> str:
        """Say what the whole file would come to."""
        if self.size is None:
            return "Estimating the size of the whole file..." if self.is_running else ""
        word = "smaller" if self.size.saved >= 0 else "larger"
        change = f"{100 * abs(self.size.saved):.0f}\N{NO-BREAK SPACE}% {word}"
        sizes = f"{self.size.after / 1e6:,.1f} MB instead of {self.size.before / 1e6:,.1f} MB"
        return f"Whole file: about {sizes}, {change}"

    # -- what is seen ------------------------------------------------------------------------------------

    def _seen(self) -> RegionPx | None:
        layer, slide = self.shrinking.watch.layer, self.shrinking.watch.slide
        if layer is None or slide is None:
            return None
        corners = np.asarray(layer.corner_pixels)[:, -2:]
        region = visible_region(corners, layer.downsample_factors[layer.data_level][:2], slide)
        return None if region.is_empty else region

    def _level(self, slide: Slide) -> int:
        """The file's level that the screen shows, or the nearest finer one."""
        layer: Any = self.shrinking.watch.layer
        factor = float(layer.downsample_factors[layer.data_level][0])
        fine = [n for n, level in enumerate(slide.levels) if level.downsample_y <= factor * 1.01]
        return fine[-1] if fine else 0

    def _known_area(self, slide: Slide, margin_um: float) -> KeptArea | None:
        kept = self._kept
        return kept[2] if kept is not None and kept[0] is slide and kept[1] == margin_um else None

    def _on_tried(self, asked: Asked, tried: Tried) -> None:
        slide = asked.slide
        if slide is not self.shrinking.watch.slide:
            return
        if tried.kept is not None and asked.mask is None:
            self._kept = slide, asked.form.margin_um, tried.kept
        if tried.size is not None:
            self.size = tried.size
        if tried.preview is not None:
            self.found, self._slide = tried.preview, slide
            self._map = difference_map(tried.preview.before, tried.preview.after)
            self._paint()
        self.changed.emit()

    # -- the layer ---------------------------------------------------------------------------------------

    def _paint(self) -> None:
        """Put the right part of the picture on the slide, a line at its left edge."""
        if self.found is None or self._map is None or self._slide is None:
            return
        picture = self.found.after if self.shown == "after" else self._map
        width = picture.shape[1]
        start = min(round(self.swipe * width), width - 1)
        part = picture[:, start:].copy()
        line = max(1, width // 200)
        if start > 0:
            part[:, :line] = LINE
        place = self._place(start)
        options = frame(pixel_of(self._slide), place)
        if self._layer is None:
            active = self._viewer.layers.selection.active
            self._layer = self._viewer.add_image(part, name=LAYER, rgb=True, **options)
            self._viewer.layers.selection.active = active  # the slide's controls stay in reach
            return
        self._layer.data = part
        self._layer.scale, self._layer.translate = options["scale"], options["translate"]
        self._layer.visible = self.swipe < 1

    def _place(self, start: int) -> Placement:
        assert self.found is not None and self._slide is not None  # noqa: S101, PT018 -- for the type checker
        level, pixel = self._slide.levels[self.found.level], pixel_of(self._slide)
        step = level.downsample_y * pixel.y, level.downsample_x * pixel.x
        corner = self.found.region.y * step[0], (self.found.region.x + start) * step[1]
        return Placement(corner, step)

    def _on_changed(self) -> None:
        self.changed.emit()

    def _on_slide(self) -> None:
        if self._slide is not None and self.shrinking.watch.slide is not self._slide:
            self.clear()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self._layer = None
            self.found = self.size = self._map = self._slide = None
            self.changed.emit()
