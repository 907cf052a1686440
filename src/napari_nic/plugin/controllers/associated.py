"""Label and macro image of a slide: read when they are asked for, and not before."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.jobs import CancellationToken
from napari_nic.plugin.worker import Callbacks
from napari_nic.slides import RgbArray, Slide

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.plugin.worker import Runner


class AssociatedImages:
    """Shows one associated image at a time, and none of another slide.

    A label, and a macro image with the label on it, may hold a patient's name: nothing is read or shown
    until somebody asks, and with another slide it is hidden again.

    Parameters
    ----------
    watch : SlideWatch
    runner : Runner
    asking : Asking
    """

    changed = Signal()

    def __init__(self, watch: SlideWatch, runner: Runner, asking: Asking) -> None:
        self._watch, self._runner, self._asking = watch, runner, asking
        self._slide: Slide | None = watch.slide
        self.shown = ""
        """Name of the image that is shown, or being read; empty for none."""
        self.picture: RgbArray | None = None
        watch.changed.connect(self._on_slide)

    def close(self) -> None:
        """Let the slide go."""
        self._watch.changed.disconnect(self._on_slide)
        self._slide = self.picture = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the slide offers, as its file names it."""
        return () if self._slide is None else self._slide.associated_images

    def show(self, name: str) -> None:
        """Show an image of the slide that is seen; the empty name hides it."""
        self.shown, self.picture = name, None
        self.changed.emit()
        if name and self._slide is not None:
            self._read(self._slide, name)

    def _read(self, slide: Slide, name: str) -> None:
        def make(token: CancellationToken) -> Generator[None, None, RgbArray]:
            token.checkpoint()
            yield
            return slide.read_associated(name)

        def take(picture: RgbArray) -> None:
            if slide is self._slide and name == self.shown:
                self.picture = picture
                self.changed.emit()

        def fail(error: Exception) -> None:
            if slide is self._slide and name == self.shown:
                self.show("")
            self._asking.tell_error(error)

        self._runner.start(f"Reading the {name}", make, Callbacks(returned=take, failed=fail))

    def _on_slide(self) -> None:
        if self._watch.slide is not self._slide:
            self._slide = self._watch.slide
            self.show("")
