"""PCA, channel, prediction and saliency of the session's store: toggles, choices, legend, pointer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal

from napari_nic.explain import Overlay
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.compress_first import CompressFirst
from napari_nic.plugin.controllers.compress_state import NO_TISSUE
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController, ModelResult
from napari_nic.plugin.controllers.overlay_kinds import (
    KINDS,
    MODEL_KINDS,
    OPACITY,
    TITLES,
    Kind,
    OverlayState,
)
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.pointing import describe
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.legend import Legend, legend_of
from napari_nic.plugin.overlay_jobs import job, store_channel, store_pca
from napari_nic.plugin.painting import Picture
from napari_nic.plugin.worker import Callbacks, Runner


class OverlayController:
    """Shows overlays of the session's store as layers.

    Parameters
    ----------
    session : Session
    compressing : CompressController
        Gives the colours of cells that arrive, and tells when a run has ended.
    models : ModelController
        Gives predictions and saliency.
    runner : Runner
    resting : callable, optional
        See :class:`~napari_nic.plugin.controllers.overlay_stack.OverlayStack`.
    """

    changed = Signal()
    pointed = Signal(str)

    def __init__(
        self,
        session: Session,
        compressing: CompressController,
        models: ModelController,
        runner: Runner,
        *,
        resting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.session = session
        self.models = models
        self.stack = OverlayStack(session, self.changed.emit, resting=resting)
        self.channel = 0
        self._compressing = compressing
        self._first = CompressFirst(session, compressing, models)
        self._runner = runner
        self._opacity = dict(OPACITY)
        self._wanted: dict[Kind, bool] = {}
        self._prepared: set[Kind] = set()
        self._busy: dict[Kind, int] = {}
        self._overlays: dict[Kind, Overlay] = {}
        self._generation = 0
        self._pca_waits = False
        session.store_changed.connect(self._on_store)
        compressing.prepared.connect(self._on_prepared)
        compressing.painted.connect(self._on_painted)
        compressing.ended.connect(self._on_ended)
        compressing.grown.connect(self._on_grown)
        models.changed.connect(self._on_model)
        session.viewer.layers.events.removed.connect(self._on_removed)
        session.viewer.mouse_move_callbacks.append(self._on_mouse)
        if session.store is not None:
            self._renew(KINDS)  # a picture that was opened before this dock has no legend yet

    def close(self) -> None:
        """Stop following the viewer."""
        self.session.viewer.layers.events.removed.disconnect(self._on_removed)
        self.session.viewer.mouse_move_callbacks.remove(self._on_mouse)
        self.stack.close()

    # -- rows --------------------------------------------------------------------------------------------

    def state(self, kind: Kind) -> OverlayState:
        """What the row of this overlay shows."""
        layer = self.stack.layer(kind)
        missing = self._missing(kind)
        why_not = self._why_not(kind, missing)
        busy = kind in self._busy or kind in self._first.waiting
        shown = (busy and self._wanted.get(kind, False)) or (not missing and self.stack.shown(kind))
        opacity = self._opacity[kind] if layer is None else float(layer.opacity)
        first = self._first.announce(kind) if kind in MODEL_KINDS and not why_not else ""
        return OverlayState(shown and not why_not, busy, opacity, why_not, first)

    def is_ready(self, kind: Kind) -> bool:
        """Whether it can be shown at once, with nothing to be compressed first."""
        return not self._missing(kind)

    def overlay(self, kind: Kind) -> Overlay | None:
        """The overlay that was computed last, shown or not; None when there is none of this store."""
        return self._overlays.get(kind)

    def show(self, kind: Kind, on: bool) -> None:
        """Show or hide an overlay; it is computed if it is not there yet.

        The others give way to the one that is asked for: colours over colours say nothing. For what a model
        says, the slide is compressed first if it is not.
        """
        if on:
            self._hide_others(kind)
        self._wanted[kind] = on
        layer = self.stack.layer(kind)
        if not on:
            self._first.drop(kind)
            if layer is not None:
                layer.visible = False
        elif layer is not None and kind in self._overlays:
            layer.visible = True
        elif not self._compress_first(kind):
            self._compute(kind)
        self.changed.emit()

    def _hide_others(self, kind: Kind) -> None:
        for other in KINDS:
            if other != kind and (self._wanted.get(other, False) or self.stack.shown(other)):
                self._wanted[other] = False
                self._first.drop(other)
                layer = self.stack.layer(other)
                if layer is not None:
                    layer.visible = False

    def prepare(self, kind: Kind) -> None:
        """Add an overlay that can be shown at once, hidden: its toggle then takes no time."""
        if self.is_ready(kind) and not self._wanted.get(kind, False):
            self._prepared.add(kind)
            self._compute(kind)

    def _compress_first(self, kind: Kind) -> bool:
        """Start the run that is needed before this overlay; False if none is needed, or none possible."""
        missing = self._missing(kind)
        return bool(missing) and not self._why_not(kind, missing) and self._first.start(kind)

    def set_opacity(self, kind: Kind, opacity: float) -> None:
        """Fade an overlay, 0 to 1."""
        self._opacity[kind] = opacity
        layer = self.stack.layer(kind)
        if layer is not None:
            layer.opacity = opacity

    def set_channel(self, channel: int) -> None:
        """Choose the channel; it is shown if the channel row is on."""
        if channel != self.channel:
            self.channel = channel
            self._overlays.pop("channel", None)
            if self.stack.shown("channel"):
                self._compute("channel")

    def legend(self) -> Legend | None:
        """Meaning of the topmost overlay that is shown."""
        overlay = self._topmost()
        return None if overlay is None else legend_of(overlay)

    def legends(self) -> tuple[Legend, ...]:
        """Meanings of all overlays that are shown, topmost first: napari's layer list can show several."""
        return tuple(legend_of(overlay) for overlay in self._from_the_top())

    def _topmost(self) -> Overlay | None:
        return next(iter(self._from_the_top()), None)

    def _from_the_top(self) -> list[Overlay]:
        layers = list(self.session.viewer.layers)
        shown = [(layers.index(self.stack.layer(kind)), kind) for kind in KINDS if self.stack.shown(kind)]
        return [self._overlays[kind] for _, kind in sorted(shown, reverse=True) if kind in self._overlays]

    def _missing(self, kind: Kind) -> str:
        """What this overlay lacks to be shown at once; empty when nothing."""
        if self.session.slide is None:
            return "Open a slide first"
        store = self.session.store
        if self._compressing.found_nothing():
            return NO_TISSUE
        if store is None or not store.encoded().any():
            return "Compress the slide first"
        return self.models.why_not() if kind in MODEL_KINDS else ""

    def _why_not(self, kind: Kind, missing: str) -> str:
        """Why it cannot be shown, not even after compressing the slide; `missing` as found before."""
        if missing == NO_TISSUE or not missing or self.session.slide is None or kind not in MODEL_KINDS:
            return missing
        return self._first.why_not()

    # -- computing ---------------------------------------------------------------------------------------

    def _compute(self, kind: Kind) -> None:
        if self._missing(kind) or self._busy.get(kind) == self._generation:
            return
        generation = self._busy[kind] = self._generation
        slide = self.session.slide
        self._runner.start(
            f"{TITLES[kind]} of {'' if slide is None else slide.name}",
            job(self._work(kind)),
            Callbacks(
                returned=partial(self._on_result, kind, generation),
                failed=partial(self._on_failed, kind, generation),
                finished=partial(self._on_finished, kind, generation),
            ),
        )
        self.changed.emit()

    def _work(self, kind: Kind) -> Callable[[CancellationToken], ModelResult]:
        store = self.session.store
        if store is None:
            raise LookupError(kind)  # _missing is asked before
        if kind == "pca":
            return lambda token: ModelResult(store_pca(store, token))
        if kind == "channel":
            channel = min(self.channel, store.code_size - 1)
            return lambda token: ModelResult(store_channel(store, channel, token))
        return self.models.work(kind, store)

    def _on_result(self, kind: Kind, generation: int, predicted: ModelResult) -> None:
        if generation != self._generation:
            return  # of another store, or overtaken by new cells
        self.models.take(predicted)
        overlay = self._overlays[kind] = predicted.overlay
        wanted = self._wanted.get(kind, False)
        if wanted or kind in self._prepared:
            self.stack.put(overlay, opacity=self._opacity[kind], visible=wanted)

    def _on_failed(self, kind: Kind, generation: int, error: Exception) -> None:
        if generation == self._generation:
            self._wanted[kind] = False
            self.session.asking.tell_error(error)

    def _on_finished(self, kind: Kind, generation: int) -> None:
        if self._busy.get(kind) == generation:
            del self._busy[kind]
            self._prepared.discard(kind)
        self.changed.emit()

    def _renew(self, kinds: tuple[Kind, ...]) -> None:
        """Compute anew what is shown; the rest when it is asked for."""
        self._generation += 1
        self._busy.clear()
        self._prepared.clear()
        for kind in kinds:
            self._overlays.pop(kind, None)
            if self.stack.shown(kind):
                self._wanted[kind] = True
                self._compute(kind)
        self.changed.emit()

    # -- what others tell --------------------------------------------------------------------------------

    def _on_store(self) -> None:
        self._remove_impossible()
        self._renew(KINDS)

    def _remove_impossible(self) -> None:
        """Take away what the store cannot show; what was wanted is wanted of the next one."""
        wanted = dict(self._wanted)
        for kind in KINDS:
            if self._missing(kind):
                self.stack.remove(kind)
        self._wanted = wanted
        self._pca_waits = False

    def _on_model(self) -> None:
        """Another model, class or target."""
        for kind in MODEL_KINDS:
            self._overlays.pop(kind, None)
        self._renew(MODEL_KINDS)

    def _on_prepared(self) -> None:
        """Add the picture, hidden, before its first colours are there.

        To add a layer and to draw it first take napari some 50 ms each; this way these are two short halts.
        """
        if self._pca_may_come() and self._pca_layer() is None:
            self._add_blank_pca()
            self._pca_waits = True

    def _on_painted(self, pictures: tuple[Picture, ...]) -> None:
        """Put new colours into the picture that is on the screen, and only there."""
        if self.session.store is None or not pictures:
            return
        layer = self._pca_layer()
        if layer is None:
            if not self._pca_may_come():
                return
            layer, self._pca_waits = self._add_blank_pca(), True
        for picture in pictures:
            layer.data[picture.rows, picture.cols] = picture.rgba
        if self._pca_waits:
            self._show_first_colours(layer)
        else:
            layer.refresh(thumbnail=False, highlight=False, extent=False)

    def _pca_may_come(self) -> bool:
        """Whether cells that arrive are shown: not if that was switched off, or another overlay is on."""
        another = any(self.stack.shown(kind) for kind in KINDS if kind != "pca")
        return self._wanted.get("pca", not another)

    def _pca_layer(self) -> Any:
        """The layer with the picture, if it has a place for every cell of the store."""
        layer, store = self.stack.layer("pca"), self.session.store
        fits = layer is not None and store is not None and layer.data.shape[:2] == store.grid.shape
        return layer if fits else None

    def _add_blank_pca(self) -> Any:
        store = self.session.store
        if store is None:
            raise LookupError("no store")
        blank = Overlay(
            name=TITLES["pca"],
            kind="pca",
            data=np.zeros((*store.grid.shape, 4), np.uint8),
            mask=np.zeros(store.grid.shape, bool),
            placement=store.grid.placement,
        )
        self._overlays["pca"] = blank  # for the legend, until the run has ended
        return self.stack.put(blank, opacity=self._opacity["pca"], visible=False)

    def _show_first_colours(self, layer: Any) -> None:
        self._pca_waits = False
        self._wanted["pca"] = True
        with self.stack.resting():
            layer.visible = True
        self.changed.emit()

    def _on_grown(self) -> None:
        """Show what another run has stored; what is being computed is not overtaken by every few cells."""
        if not self._busy:
            self.models.forget()
            self._renew(KINDS)

    def _on_ended(self) -> None:
        if self.session.store is not None:
            self.models.forget()
            self._remove_impossible()
            self._renew(KINDS)
        complete, waiting = self._compressing.state.complete, self._first.take()
        for kind in KINDS:
            if kind in waiting:
                self._wanted[kind] = False
                if complete:  # one who cancels the run does not wait for it
                    self.show(kind, on=True)
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        for kind in KINDS:
            pending = kind in self._busy or kind in self._first.waiting
            if kind in self._wanted and not pending and self.stack.layer(kind) is None:
                self._wanted[kind] = False
        self.changed.emit()

    # -- pointer -----------------------------------------------------------------------------------------

    def _on_mouse(self, viewer: Any, event: Any) -> None:  # noqa: ARG002 -- napari's signature
        self.pointed.emit(self.describe(viewer.cursor.position))

    def describe(self, world: tuple[float, ...]) -> str:
        """Say what lies under a point of napari's world: cell (row, column), place (y, x) in um, value."""
        return describe(world, self.session, self._topmost(), self.models)


__all__ = ["KINDS", "MODEL_KINDS", "OPACITY", "TITLES", "Kind", "OverlayController", "OverlayState"]
