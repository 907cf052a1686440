"""Learning while drawing: every change of the annotations is learned, and the slide is painted anew."""

from __future__ import annotations

from functools import partial
from typing import Literal, Protocol

import numpy as np
from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import NicError, StoreMismatchError
from napari_nic.geometry import RegionPx
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.overlay_kinds import KINDS
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import pixel_of, visible_region
from napari_nic.plugin.legend import Legend, legend_of
from napari_nic.plugin.probe_job import Learned, ProbeRequest, Pupil, learn_job
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.probe import Probe, class_overlay, least_certain, uncertainty_overlay

Shown = Literal["classes", "uncertainty"]
KIND = "probe"
OPACITY = 0.5
"""At first: the tissue stays legible under the colours."""

CELLS_ACROSS = 24
"""So many cells fill the view at the least certain place: it is seen with what is around it."""

NO_STORE = "Compress the slide first: what is learned are its codes"


class Desk(Protocol):
    """What of the NIC dock is needed."""

    @property
    def session(self) -> Session:
        """Knows the viewer, the chosen slide and its store."""

    @property
    def annotating(self) -> AnnotationController:
        """Knows the annotations as they are on the screen."""

    @property
    def overlays(self) -> OverlayController:
        """Shows other overlays, which give way."""

    @property
    def compressing(self) -> CompressController:
        """Tells when more of the slide is compressed."""


class ProbeController:
    """Learns from the annotations of the chosen slide, and of those that were chosen before it.

    Parameters
    ----------
    desk : Desk
    runner : Runner
    pupil : Pupil, optional
        With what was learned before, of other slides too.

    Attributes
    ----------
    pupil : Pupil
        With what was learned.
    opened : Probe or None
        That was saved before and is applied; strokes teach nothing meanwhile.
    learned : Learned or None
        What the newest strokes of this slide taught, or what :attr:`opened` says.
    live : bool
        Whether changes are learned at once.
    shown : {"classes", "uncertainty"}
    error : str
        Why the newest strokes could not be learned from; empty when they could.
    """

    changed = Signal()
    drawn = Signal()
    """Emitted at every change of the annotations; :meth:`learn` may then wait for the end of the stroke."""

    def __init__(self, desk: Desk, runner: Runner, pupil: Pupil | None = None) -> None:
        self.session, self._annotating = desk.session, desk.annotating
        self._overlays, self._compressing = desk.overlays, desk.compressing
        self._runner = runner
        self.pupil = pupil or Pupil()
        self.stack = OverlayStack(self.session, self._on_layer, kinds=(KIND,))
        self.opened: Probe | None = None
        self.learned: Learned | None = None
        self.live = True
        self.wanted = True
        self.shown: Shown = "classes"
        self.opacity = OPACITY
        self.error = ""
        self._job: Job | None = None
        self._again = self._is_painting = False
        self._seen: tuple[AnnotationSet | None, CompressedSlide | None] = (None, None)
        self._visited: list[tuple[int, int]] = []
        self._annotating.changed.connect(self._on_annotations)
        self.session.store_changed.connect(self._on_store)
        self._overlays.changed.connect(self._on_overlays)
        self._compressing.ended.connect(self._on_store)

    def close(self) -> None:
        """Let the viewer, the slide and its codes go."""
        self._annotating.changed.disconnect(self._on_annotations)
        self.session.store_changed.disconnect(self._on_store)
        self._overlays.changed.disconnect(self._on_overlays)
        self._compressing.ended.disconnect(self._on_store)
        self._forget_slide()
        self.pupil.forget()
        self.stack.close()

    # -- learning ----------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether something is being learned."""
        return self._job is not None

    def why_not(self) -> str:
        """Why nothing is shown; empty when something is, or is about to be."""
        if self.session.slide is None:
            return "Open a slide first"
        if self._store() is None:
            return NO_STORE
        if self.error:
            return self.error
        if self.learned is None:
            return "" if self.is_busy or self.opened is not None else "Draw a few strokes of each class"
        return self.learned.why_not

    def set_live(self, on: bool) -> None:
        """Learn at every change from now on, or only when asked."""
        self.live = on
        if on:
            self.learn()
        self.changed.emit()

    def learn(self) -> None:
        """Learn from the annotations as they are now, unless that was done; what runs is overtaken."""
        store = self._store()
        annotations = self._annotating.annotations() if self.opened is None else None
        if store is None or (annotations, store) == self._seen:
            return
        if self._job is not None:
            self._again = True
            self._job.cancel()
            return
        self._seen = annotations, store
        found, trained = (None, None) if self.learned is None else (self.learned.found, self.learned.trained)
        strokes = AnnotationSet() if annotations is None else annotations
        request = ProbeRequest(self.pupil, store, strokes, self._visible(), found, trained, self.opened)
        title = f"Learning from the strokes on {store.slide_name}"
        # It may end at once, so it is known as running before it is started.
        self._job = Job(title)
        self._job = self._start(title, request)
        self.changed.emit()

    def open_probe(self, probe: Probe | None) -> None:
        """Show what a probe says that was saved, on every slide; None shows again what strokes teach."""
        self.opened = probe
        self._forget_slide()
        self.stack.remove(KIND)
        self.wanted = True
        self._learn_anew()
        self.changed.emit()

    def forget_others(self) -> None:
        """Learn from this slide alone from now on."""
        self.pupil = Pupil(colors=self.pupil.colors)
        self._learn_anew()

    def can_forget_others(self) -> bool:
        """Whether strokes of other slides are learned from, or may be what is in the way."""
        return bool(self.other_slides() or self.error)

    def other_slides(self) -> tuple[str, ...]:
        """Names of other slides whose strokes are learned from."""
        store = self._store()
        own = "" if store is None else store.header.slide_name
        return () if self.learned is None else tuple(name for name in self.learned.slides if name != own)

    def _start(self, title: str, request: ProbeRequest) -> Job | None:
        ended = False

        def finished() -> None:
            nonlocal ended
            ended = True
            self._on_finished()

        job = self._runner.start(
            title,
            partial(learn_job, request),
            Callbacks(
                yielded=partial(self._take, request),
                returned=partial(self._take, request),
                failed=partial(self._on_failed, request),
                finished=finished,
            ),
        )
        return None if ended else job

    def _take(self, request: ProbeRequest, learned: Learned) -> None:
        if request.store is not self._store() or request.opened is not self.opened:
            return  # of a slide, or a probe, that was left
        self.learned, self.error = learned, ""
        self._paint()
        self.changed.emit()

    def _on_failed(self, request: ProbeRequest, error: Exception) -> None:
        if request.store is not self._store() or request.opened is not self.opened:
            return
        if not isinstance(error, NicError):
            self.session.asking.tell_error(error)
        self.error = f"{error}"
        self.learned = None
        self.stack.remove(KIND)

    def _on_finished(self) -> None:
        self._job = None
        again, self._again = self._again, False
        if again:
            self._seen = (None, None)
            self.learn()
        self.changed.emit()

    def _learn_anew(self) -> None:
        self._seen = (None, None)
        self.learn()

    # -- what is shown -----------------------------------------------------------------------------------

    def show(self, on: bool) -> None:
        """Show or hide what was learned; other overlays give way."""
        self.wanted = on
        self._paint()
        self.changed.emit()

    def set_shown(self, shown: Shown) -> None:
        """Show the classes, or the uncertainty."""
        self.shown = shown
        self._paint()
        self.changed.emit()

    def set_opacity(self, opacity: float) -> None:
        """Fade the map, 0 to 1."""
        self.opacity = opacity
        layer = self.stack.layer(KIND)
        if layer is not None:
            layer.opacity = opacity

    @property
    def is_shown(self) -> bool:
        """Whether the map is on the screen."""
        return self.stack.shown(KIND)

    def legend(self) -> Legend | None:
        """Meaning of the colours on the screen."""
        if not self.is_shown or self.learned is None or self.learned.found is None:
            return None
        found = self.learned.found
        return legend_of(class_overlay(found) if self.shown == "classes" else uncertainty_overlay(found))

    def _paint(self) -> None:
        found = None if self.learned is None else self.learned.found
        if found is None:
            self.stack.remove(KIND)
            return
        if not self.wanted:
            layer = self.stack.layer(KIND)
            if layer is not None:
                layer.visible = False
            return
        self._hide_others()
        overlay = class_overlay(found) if self.shown == "classes" else uncertainty_overlay(found)
        self.stack.put(overlay, opacity=self.opacity)

    def _hide_others(self) -> None:
        self._is_painting = True
        for kind in KINDS:
            if self._overlays.state(kind).shown:
                self._overlays.show(kind, False)
        self._is_painting = False

    # -- where to draw next ------------------------------------------------------------------------------

    def go_to_least_certain(self) -> tuple[int, int] | None:
        """Look at the place that is least certain, another one each time; returns its cell."""
        learned, slide = self.learned, self.session.slide
        if learned is None or learned.found is None or slide is None:
            return None
        labelled = np.concatenate([np.empty((0, 2), np.int32), *(s.cells for s in learned.strokes)])
        cell = least_certain(learned.found, labelled, self._visited)
        if cell is None:
            self._visited.clear()
            self.session.asking.tell("No place is left that is neither labelled nor was shown")
            return None
        self._visited.append(cell)
        grid = learned.found.resident.grid
        y, x = grid.placement.corner_um(cell[0] + 0.5, cell[1] + 0.5)
        pixel = pixel_of(slide)
        camera, canvas = self.session.viewer.scene.camera, self.session.viewer.canvas
        camera.center = (0.0, y - pixel.y / 2, x - pixel.x / 2)
        across = min(canvas.size) / (CELLS_ACROSS * max(grid.stride_um))
        camera.zoom = max(camera.zoom, across)
        return cell

    # -- what others tell --------------------------------------------------------------------------------

    def _on_annotations(self) -> None:
        if self.live:
            self.drawn.emit()

    def _on_store(self) -> None:
        self._forget_slide()
        if self.live:
            self.drawn.emit()
        self.changed.emit()

    def _on_overlays(self) -> None:
        """Give way to an overlay that was asked for after ours."""
        if (
            self.is_shown
            and not self._is_painting
            and any(self._overlays.state(kind).shown for kind in KINDS)
        ):
            self.show(False)

    def _on_layer(self, kind: str | None) -> None:
        """Follow napari's layer list, and other docks' overlays, which ours gives way to."""
        if kind is not None:
            self.wanted = self.is_shown
        self.changed.emit()

    def _forget_slide(self) -> None:
        self.learned, self.error = None, ""
        self._seen, self._visited = (None, None), []
        if self._job is not None:
            self._job.cancel()

    def _store(self) -> CompressedSlide | None:
        store, slide = self.session.store, self.session.slide
        if store is None or slide is None or not store.encoded().any():
            return None
        try:
            store.check_slide(slide)
        except StoreMismatchError:
            return None  # another slide was chosen, and its store is still being looked for
        return store

    def _visible(self) -> RegionPx | None:
        layer, slide = self.session.layer, self.session.slide
        if layer is None or slide is None:
            return None
        corners = np.asarray(layer.corner_pixels)[:, -2:]
        region = visible_region(corners, layer.downsample_factors[layer.data_level][:2], slide)
        return None if region.is_empty else region
