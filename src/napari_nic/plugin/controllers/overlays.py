"""PCA, channel, prediction and saliency of the session's store: toggles, choices, legend, pointer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from psygnal import Signal

from napari_nic.explain import Overlay
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.compress_first import CompressFirst
from napari_nic.plugin.controllers.compress_state import NO_TISSUE
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController, ModelResult
from napari_nic.plugin.controllers.overlay_filling import OverlayFilling
from napari_nic.plugin.controllers.overlay_kinds import (
    KINDS,
    MODEL_KINDS,
    OPACITY,
    TITLES,
    Kind,
    OverlayState,
)
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.overlay_states import OverlayStates, Phase
from napari_nic.plugin.controllers.pointing import describe
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of
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
        self.stack = OverlayStack(session, self._on_layer, resting=resting)
        self.channel = 0
        self._compressing = compressing
        self._first = CompressFirst(session, compressing, models)
        self._runner = runner
        self._opacity = dict(OPACITY)
        self._states = OverlayStates()
        self._filling = OverlayFilling(session, self.stack, self._states)
        self._slide = session.slide
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
        record, layer = self._states[kind], self.stack.layer(kind)
        missing = self._missing(kind)
        why_not = self._why_not(kind, missing)
        waits = self._waits(kind)
        busy = record.is_at_work or waits
        coming = self._states.is_coming(kind, self.session.slide)
        shown = coming or (not missing and self.stack.shown(kind))
        opacity = self._opacity[kind] if layer is None else float(layer.opacity)
        first = self._first.announce(waits=waits) if kind in MODEL_KINDS and not why_not else ""
        return OverlayState(shown and not why_not, busy, opacity, why_not, first)

    def phase(self, kind: Kind) -> Phase:
        """How far it is."""
        return self._states[kind].phase

    def _waits(self, kind: Kind) -> bool:
        return kind in self._states.waiting(self.session.slide)

    def is_ready(self, kind: Kind) -> bool:
        """Whether it can be shown at once, with nothing to be compressed first."""
        return not self._missing(kind)

    def overlay(self, kind: Kind) -> Overlay | None:
        """The overlay that was computed last, shown or not; None when there is none of this store."""
        return self._states[kind].overlay

    def show(self, kind: Kind, on: bool) -> None:
        """Show or hide an overlay; it is computed if it is not there yet.

        The others give way to the one that is asked for: colours over colours say nothing. For what a model
        says, the slide is compressed first if it is not.
        """
        if on:
            self._hide_others(kind)
        self._states.want(kind, on)
        layer = self.stack.layer(kind)
        if layer is not None and (not on or self._has_picture(kind)):
            layer.visible = on
        elif on and not self._compress_first(kind):
            self._compute(kind)
        self.changed.emit()

    def _has_picture(self, kind: Kind) -> bool:
        return self._states[kind].phase in (Phase.READY, Phase.BLANK)

    def _hide_others(self, kind: Kind) -> None:
        for other in KINDS:
            if other != kind and (self._states[other].wanted or self.stack.shown(other)):
                self._states.want(other, False)
                self._hide_layer(other)

    def _hide_layer(self, kind: Kind) -> None:
        layer = self.stack.layer(kind)
        if layer is not None:
            layer.visible = False

    def prepare(self, kind: Kind) -> None:
        """Add an overlay that can be shown at once, hidden: its toggle then takes no time."""
        if self.is_ready(kind) and not self._states[kind].wanted:
            self._compute(kind, hidden=True)

    def _compress_first(self, kind: Kind) -> bool:
        """Start the run that is needed before this overlay; False if none is needed, or none possible."""
        missing, slide = self._missing(kind), self.session.slide
        if slide is None or not missing or self._why_not(kind, missing):
            return False
        if not self._first.is_needed():
            return False
        self._states.wait(kind, slide)  # before it starts: a small slide may be done at once
        self._first.start()
        if self._waits(kind) and not self._compressing.state.busy:  # the user was asked, and would not
            self._states.want(kind, False)
        return True

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
            self._renew(("channel",))

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
        overlays = (self._states[kind].overlay for _, kind in sorted(shown, reverse=True))
        return [overlay for overlay in overlays if overlay is not None]

    def _missing(self, kind: Kind) -> str:
        """What this overlay lacks to be shown at once; empty when nothing."""
        if self.session.slide is None:
            return "Open a slide first"
        store = self.session.store
        if self._compressing.found_nothing():
            return NO_TISSUE
        if store is None or not store.encoded().any():
            return "Compress the slide first"
        return (self.models.why_never(kind) or self.models.why_not()) if kind in MODEL_KINDS else ""

    def _why_not(self, kind: Kind, missing: str) -> str:
        """Why it cannot be shown, not even after compressing the slide; `missing` as found before."""
        if missing == NO_TISSUE or not missing or self.session.slide is None or kind not in MODEL_KINDS:
            return missing
        return self.models.why_never(kind) or self._first.why_not()

    # -- computing ---------------------------------------------------------------------------------------

    def _compute(self, kind: Kind, *, hidden: bool = False) -> None:
        if self._missing(kind) or self._states[kind].is_at_work:
            return
        number = self._states.start(kind, hidden=hidden)
        slide = self.session.slide
        self._runner.start(
            f"{TITLES[kind]} of {'' if slide is None else slide.name}",
            job(self._work(kind)),
            Callbacks(
                returned=partial(self._on_result, kind, number),
                failed=partial(self._on_failed, kind, number),
                finished=partial(self._on_finished, kind, number),
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

    def _on_result(self, kind: Kind, number: int, predicted: ModelResult) -> None:
        if not self._states.is_of_job(kind, number):
            return  # of another store, or overtaken by new cells
        self.models.take(predicted)
        record = self._states[kind]
        if record.wanted or record.phase is Phase.PREPARING:
            # Put in place before it is ready: a layer that gives way to another is not one that was removed.
            self.stack.put(predicted.overlay, opacity=self._opacity[kind], visible=bool(record.wanted))
        self._states.take(kind, predicted.overlay)

    def _on_failed(self, kind: Kind, number: int, error: Exception) -> None:
        if self._states.is_of_job(kind, number):
            self.session.asking.tell_error(error)

    def _on_finished(self, kind: Kind, number: int) -> None:
        if self._states.is_of_job(kind, number):  # it failed, or was cancelled
            self._states.forget(kind, self.session.slide)
            self._states.want(kind, False)
            self._hide_layer(kind)
        self.changed.emit()

    def _renew(self, kinds: tuple[Kind, ...]) -> None:
        """Compute anew what is shown, or asked for of this slide; the rest when it is asked for."""
        slide = self.session.slide
        same, self._slide = slide is self._slide, slide
        for kind in kinds:
            shown = self.stack.shown(kind)
            self._states.forget(kind, slide)
            if shown or (same and self._states[kind].wanted and not self._waits(kind)):
                self._states.want(kind, True)
                self._compute(kind)
        self.changed.emit()

    # -- what others tell --------------------------------------------------------------------------------

    def _on_store(self) -> None:
        self._remove_impossible(KINDS)
        self._renew(KINDS)

    def _remove_impossible(self, kinds: tuple[Kind, ...]) -> None:
        """Take away what the store cannot show; what was wanted is wanted of the next one."""
        for kind in kinds:
            if self._missing(kind):
                self._states.forget(kind, self.session.slide)
                self.stack.remove(kind)

    def _on_model(self) -> None:
        """Another model, class or target."""
        self._remove_impossible(MODEL_KINDS)
        self._renew(MODEL_KINDS)

    def _on_prepared(self) -> None:
        self._filling.prepare(self._opacity["pca"])

    def _on_painted(self, pictures: tuple[Picture, ...]) -> None:
        if self._filling.paint(pictures, self._opacity["pca"]):
            self.changed.emit()

    def _on_grown(self) -> None:
        """Show what another run has stored; what is being computed is not overtaken by every few cells."""
        if not self._states.is_any_at_work():
            self.models.forget()
            self._renew(KINDS)

    def _on_ended(self) -> None:
        complete, waiting = self._compressing.state.complete, self._states.waiting(self.session.slide)
        self._states.end_waiting()
        for kind in waiting:
            self._states.want(kind, False)
        if self.session.store is not None:
            self.models.forget()
            self._remove_impossible(KINDS)
            self._renew(KINDS)
        if complete:  # one who cancels the run does not wait for it
            for kind in waiting:
                self.show(kind, on=True)
        self.changed.emit()

    def _on_layer(self, kind: Kind | None) -> None:
        """Follow napari's layer list, where overlays are shown and hidden too."""
        if kind is not None:
            shown = self.stack.shown(kind)
            self._states.want(kind, shown)
            if shown and not self._has_picture(kind):  # what lay there hidden was of another model or store
                self._compute(kind)
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        tag = tag_of(event.value)
        for kind in KINDS:
            if (
                tag is not None
                and (tag.kind, tag.name) == ("overlay", kind)
                and tag.slide is self.session.slide
                and self._has_picture(kind)
            ):
                self._states.want(kind, False)
                self._states.forget(kind, self.session.slide)
        self.changed.emit()

    # -- pointer -----------------------------------------------------------------------------------------

    def _on_mouse(self, viewer: Any, event: Any) -> None:  # noqa: ARG002 -- napari's signature
        self.pointed.emit(self.describe(viewer.cursor.position))

    def describe(self, world: tuple[float, ...]) -> str:
        """Say what lies under a point of napari's world: cell (row, column), place (y, x) in um, value."""
        return describe(world, self.session, self._topmost(), self.models)


__all__ = ["KINDS", "MODEL_KINDS", "OPACITY", "TITLES", "Kind", "OverlayController", "OverlayState"]
