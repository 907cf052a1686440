"""Whatever happens in whatever order: rows say what layers do, and layers show what is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from napari.components import ViewerModel
from psygnal import Signal

from napari_nic.explain import Overlay
from napari_nic.geometry import PixelSize, Placement
from napari_nic.plugin.controllers import overlays as module
from napari_nic.plugin.controllers.models import ModelResult
from napari_nic.plugin.controllers.overlay_kinds import MODEL_KINDS
from napari_nic.plugin.controllers.overlay_states import OverlayStates, Phase
from napari_nic.plugin.controllers.overlays import KINDS, OverlayController
from napari_nic.plugin.painting import Picture
from napari_nic.plugin.worker import Callbacks, Job

PLACEMENT = Placement((0.0, 0.0), (64.0, 64.0))
ENDS = st.sampled_from(["done", "failed", "cancelled"])
ALL_KINDS = st.sampled_from(KINDS)


def made(kind: str, shape: tuple[int, int], stamp: int) -> Overlay:
    """An overlay that says of what it was made."""
    picture = kind == "pca" or (kind == "prediction" and stamp % 2 == 0)
    data = np.full((*shape, 4) if picture else shape, stamp % 256, np.uint8 if picture else np.float32)
    limits = None if picture else (0.0, 300.0)
    return Overlay(
        name=kind, kind=kind, data=data, mask=np.ones(shape, bool), placement=PLACEMENT, limits=limits
    )


@dataclass(eq=False)
class Store:
    """Codes of a slide; `stamp` changes with what they are."""

    shape: tuple[int, int]
    cells: int
    stamp: int
    code_size: int = 128

    @property
    def grid(self) -> SimpleNamespace:
        return SimpleNamespace(shape=self.shape, placement=PLACEMENT)

    def encoded(self) -> np.ndarray:
        return np.arange(int(np.prod(self.shape))).reshape(self.shape) < self.cells


class Session:
    """A session without files."""

    store_changed = Signal()

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.slides = [SimpleNamespace(name=name, pixel_size=PixelSize(0.5, 0.5, "made")) for name in "ab"]
        self.slide: Any = self.slides[0]
        self.layer = None
        self.store: Store | None = None
        self.spec = SimpleNamespace(name="made")
        self.errors: list[Exception] = []
        self.asking = SimpleNamespace(tell_error=self.errors.append)


class Compressing:
    """Runs that the test drives."""

    prepared, painted, ended, grown = Signal(), Signal(tuple), Signal(), Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.of: Any = None
        self.refuses = False
        self.is_complete = False

    @property
    def state(self) -> SimpleNamespace:
        busy = self.of is not None and self.of is self.session.slide
        return SimpleNamespace(busy=busy, complete=self.is_complete)

    def found_nothing(self) -> bool:
        return False

    def blocked(self) -> str:
        return "" if self.of is None else "another slide is being compressed"

    def start(self, *, whole: bool) -> None:
        assert whole
        if not self.refuses:
            self.of = self.session.slide


class Models:
    """A model that fits or does not."""

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self.session = session
        self.bundle = SimpleNamespace(name="made", card=SimpleNamespace(patch_encoder={"name": "made"}))
        self.stamp = 1
        self.fits = True

    def why_not(self) -> str:
        if self.session.store is None:
            return "compress first"
        return "" if self.fits else "of another encoder"

    def why_never(self, kind: str) -> str:
        return ""

    def needed_spec(self) -> Any:
        return self.session.spec if self.fits else None

    def work(self, kind: str, store: Store) -> Any:
        stamp = store.stamp + self.stamp
        return lambda _token: ModelResult(made(kind, store.shape, stamp))

    def take(self, result: ModelResult) -> None:
        pass

    def forget(self) -> None:
        pass


@dataclass
class Runner:
    """Keeps jobs until the test lets one end."""

    jobs: list[tuple[Any, Callbacks]] = field(default_factory=list)

    def start(self, title: str, make: Any, callbacks: Callbacks) -> Job:
        job = Job(title)
        self.jobs.append((make(job.token), callbacks))
        return job

    def end(self, index: int, how: str) -> None:
        generator, callbacks = self.jobs.pop(index % len(self.jobs))
        if how == "done":
            try:
                while True:
                    next(generator)
            except StopIteration as end:
                callbacks.returned(end.value)
        elif how == "failed":
            callbacks.failed(ValueError("made"))
        generator.close()
        callbacks.finished()


class Machine(RuleBasedStateMachine):
    """A dock of stand-ins to which anything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()
        self.runner = Runner()
        self.compressing = Compressing(self.session)
        self.models = Models(self.session)
        parts: Any = (self.session, self.compressing, self.models, self.runner)
        self.overlays = OverlayController(*parts)
        self.versions = 0
        self.several = False
        """Whether more than one may be on: the layer list can do that."""

    @initialize(cells=st.sampled_from([None, 4, 6]), refuses=st.booleans())
    def open_slide(self, cells: int | None, refuses: bool) -> None:
        """Begin with a slide; where it would be compressed for a model, the user may say no."""
        self.compressing.refuses = refuses
        self.put_store(cells, wide=False)

    def has_layers(self) -> bool:
        return len(self.session.viewer.layers) > 0

    # -- what the user does ------------------------------------------------------------------------------

    @rule(kind=ALL_KINDS, on=st.sampled_from([True, True, False]))
    def show(self, kind: Any, on: bool) -> None:
        self.overlays.show(kind, on)
        assert (
            self.overlays.state(kind).shown is on or self.overlays.state(kind).why_not or self.refused(kind)
        )
        if on:
            self.several = False

    def refused(self, kind: Any) -> bool:
        return kind in MODEL_KINDS and self.compressing.refuses

    @precondition(has_layers)
    @rule(kind=ALL_KINDS, on=st.booleans())
    def click_the_eye(self, kind: Any, on: bool) -> None:
        layer = self.overlays.stack.layer(kind)
        if layer is not None and layer.visible is not on:
            self.several |= on
            layer.visible = on
            assert self.overlays.state(kind).shown is on or self.overlays.state(kind).why_not

    @precondition(has_layers)
    @rule(kind=ALL_KINDS)
    def remove_layer(self, kind: Any) -> None:
        busy = self.overlays.state(kind).busy
        self.overlays.stack.remove(kind)
        assert busy or not self.overlays.state(kind).shown

    @rule(kind=ALL_KINDS)
    def prepare(self, kind: Any) -> None:
        self.overlays.prepare(kind)

    @rule(channel=st.integers(0, 3))
    def choose_channel(self, channel: int) -> None:
        self.overlays.set_channel(channel)

    @rule(fits=st.booleans())
    def choose_model(self, fits: bool) -> None:
        self.models.fits = fits
        self.models.stamp += 1
        self.models.changed.emit()

    # -- what else happens -------------------------------------------------------------------------------

    @precondition(lambda self: self.runner.jobs)
    @rule(index=st.integers(0, 5), how=ENDS)
    def end_job(self, index: int, how: str) -> None:
        self.runner.end(index, how)

    @precondition(lambda self: self.runner.jobs)
    @rule()
    def end_all_jobs(self) -> None:
        while self.runner.jobs:
            self.runner.end(0, "done")
        slide = self.session.slide
        for kind in KINDS:
            waits = self.overlays.state(kind).busy
            assert not waits or self.compressing.of is slide

    @rule(cells=st.sampled_from([None, 0, 4, 6]), wide=st.booleans(), other=st.booleans())
    def another_store(self, cells: int | None, wide: bool, other: bool) -> None:
        if other:
            self.session.slide = self.session.slides[self.session.slide is self.session.slides[0]]
        self.put_store(cells, wide=wide)

    def put_store(self, cells: int | None, *, wide: bool) -> None:
        self.versions += 10
        shape = (2, 5) if wide else (3, 3)
        self.session.store = None if cells is None else Store(shape, cells, self.versions % 200)
        self.session.store_changed.emit()

    @precondition(lambda self: self.compressing.of is None)
    @rule(cells=st.sampled_from([0, 4]), wide=st.booleans())
    def begin_run(self, cells: int, wide: bool) -> None:
        self.compressing.of = self.session.slide
        self.put_store(cells, wide=wide)
        self.compressing.prepared.emit()

    @precondition(lambda self: self.compressing.state.busy and self.session.store is not None)
    @rule()
    def paint(self) -> None:
        store: Any = self.session.store
        store.cells = max(store.cells, 4)
        rows, cols = (slice(0, side) for side in store.shape)
        rgba = np.full((*store.shape, 4), store.stamp, np.uint8)
        self.compressing.painted.emit((Picture(rows, cols, rgba),))

    @precondition(lambda self: self.compressing.of is not None)
    @rule(complete=st.booleans())
    def end_run(self, complete: bool) -> None:
        self.compressing.of = None
        store = self.session.store
        self.compressing.is_complete = complete and store is not None and store.cells > 0
        self.compressing.ended.emit()
        assert not any(self.overlays.phase(kind) is Phase.WAITING for kind in KINDS)

    @precondition(lambda self: self.session.store is not None)
    @rule()
    def another_program_stores_cells(self) -> None:
        store: Any = self.session.store
        store.cells = int(np.prod(store.shape))
        self.compressing.grown.emit()

    # -- what holds at any time --------------------------------------------------------------------------

    @invariant()
    def rows_say_what_layers_do(self) -> None:
        for kind in KINDS:
            row, layer = self.overlays.state(kind), self.overlays.stack.shown(kind)
            empty = self.overlays.phase(kind) is Phase.BLANK and row.why_not
            assert layer <= row.shown or empty, f"{kind}: on the screen, and its row is off"
            assert layer or row.busy or not row.shown, f"{kind}: its row is on, and nothing is to come"

    @invariant()
    def at_most_one_is_shown(self) -> None:
        shown = [kind for kind in KINDS if self.overlays.state(kind).shown]
        assert len(shown) <= 1 or self.several, shown

    @invariant()
    def nothing_is_busy_without_a_job(self) -> None:
        for kind in KINDS:
            phase = self.overlays.phase(kind)
            if phase in (Phase.PREPARING, Phase.COMPUTING):
                assert self.runner.jobs
            if self.overlays.state(kind).busy and not self.runner.jobs:
                assert self.compressing.state.busy, f"{kind} waits for no run"

    @invariant()
    def layers_show_what_is_so(self) -> None:
        store = self.session.store
        for kind in KINDS:
            layer, phase = self.overlays.stack.layer(kind), self.overlays.phase(kind)
            if layer is None or not layer.visible:
                continue
            assert store is not None
            if phase is Phase.READY:
                added = self.overlays.channel if kind == "channel" else self.models.stamp
                stamp = store.stamp + (0 if kind == "pca" else added)
                assert int(np.asarray(layer.data).flat[0]) == stamp % 256
                assert self.overlays.overlay(kind) is not None
            else:
                assert phase in (Phase.COMPUTING, Phase.PREPARING, Phase.BLANK), f"{kind} shows what was"

    def teardown(self) -> None:
        self.overlays.close()


@pytest.fixture
def stamped(monkeypatch):
    """What reads codes says of which."""
    monkeypatch.setattr(module, "store_pca", lambda store, _token: made("pca", store.shape, store.stamp))
    monkeypatch.setattr(
        module,
        "store_channel",
        lambda store, channel, _token: made("channel", store.shape, store.stamp + channel),
    )


@pytest.mark.usefixtures("stamped")
def test_anything_in_any_order():
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=(Step.generate,),  # shrinking would take minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


def show(kind: str, on: bool = True) -> tuple[str, dict[str, Any]]:
    return "show", {"kind": kind, "on": on}


def eye(kind: str, on: bool) -> tuple[str, dict[str, Any]]:
    return "click_the_eye", {"kind": kind, "on": on}


CHANNEL_2 = ("choose_channel", {"channel": 2})
OTHER_MODEL = ("choose_model", {"fits": True})
NO_MODEL = ("choose_model", {"fits": False})
DONE = ("end_job", {"index": 0, "how": "done"})
FAILED = ("end_job", {"index": 0, "how": "failed"})
RUN = ("begin_run", {"cells": 4, "wide": False})


@pytest.mark.usefixtures("stamped")
@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        pytest.param([show("channel"), CHANNEL_2, DONE, DONE], "channel", id="channel while one is computed"),
        pytest.param(
            [show("saliency"), OTHER_MODEL, DONE, DONE], "saliency", id="model while one is computed"
        ),
        pytest.param([show("pca"), OTHER_MODEL, DONE], "pca", id="PCA does not mind the model"),
        pytest.param(
            [show("saliency"), DONE, eye("saliency", False), OTHER_MODEL, eye("saliency", True), DONE],
            "saliency",
            id="layer of an earlier model is shown again",
        ),
        pytest.param([show("saliency"), DONE, NO_MODEL], None, id="model that does not fit"),
        pytest.param([show("saliency"), DONE, OTHER_MODEL, FAILED], None, id="computing anew fails"),
        pytest.param(
            [RUN, show("prediction"), DONE, ("paint", {})],
            "prediction",
            id="first colours do not cover what was asked for since",
        ),
        pytest.param(
            [RUN, show("pca"), show("pca", on=False), ("paint", {})], None, id="switched off before"
        ),
    ],
)
def test_what_is_shown_in_the_end(steps, shown):
    machine = Machine()
    machine.open_slide(4, refuses=False)
    for name, options in steps:
        getattr(machine, name)(**options)
        machine.rows_say_what_layers_do()
        machine.at_most_one_is_shown()
        machine.nothing_is_busy_without_a_job()
        machine.layers_show_what_is_so()
    assert [kind for kind in KINDS if machine.overlays.stack.shown(kind)] == ([shown] if shown else [])
    machine.teardown()


def test_impossible_changes_are_refused():
    states = OverlayStates()
    with pytest.raises(RuntimeError, match="pca: from ABSENT to READY"):
        states.take("pca", made("pca", (2, 2), 0))
    assert states["pca"].phase is Phase.ABSENT
