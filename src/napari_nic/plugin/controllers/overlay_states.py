"""How far each overlay is: one record a kind, changed in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.overlay_kinds import KINDS, Kind
from napari_nic.slides import Slide


class Phase(Enum):
    """What there is of an overlay of the session's store. Whether it is visible is its layer's to say."""

    ABSENT = "nothing, or a layer of what is no longer so"
    WAITING = "asked for; the slide is compressed first"
    PREPARING = "a job computes it, to lie there hidden"
    COMPUTING = "a job computes it"
    BLANK = "a hidden layer that waits for the first colours of a run"
    READY = "computed; in its layer, if it was asked for until then"


_MAY_BECOME: dict[Phase, frozenset[Phase]] = {
    Phase.ABSENT: frozenset(Phase) - {Phase.READY},
    Phase.WAITING: frozenset({Phase.WAITING, Phase.ABSENT, Phase.COMPUTING}),
    Phase.PREPARING: frozenset({Phase.ABSENT, Phase.WAITING, Phase.READY}),
    Phase.COMPUTING: frozenset({Phase.ABSENT, Phase.WAITING, Phase.READY}),
    Phase.BLANK: frozenset(Phase),
    Phase.READY: frozenset(Phase),
}
AT_WORK = (Phase.PREPARING, Phase.COMPUTING)


@dataclass(frozen=True)
class OverlayRecord:
    """What is known of one overlay.

    Attributes
    ----------
    phase : Phase
    wanted : bool or None
        Whether the user wants to see it; None until anybody said.
    overlay : Overlay or None
        What its layer shows; with :attr:`Phase.BLANK` and while a run fills it, for the legend alone.
    job : int
        Number of the job that computes it, or did; 0 before the first.
    waits_for : Slide or None
        The slide whose run it is to be shown after. It is kept while another slide is looked at.
    """

    phase: Phase = Phase.ABSENT
    wanted: bool | None = None
    overlay: Overlay | None = None
    job: int = 0
    waits_for: Slide | None = None

    @property
    def is_at_work(self) -> bool:
        """Whether a job computes it."""
        return self.phase in AT_WORK


class OverlayStates:
    """The records of all kinds. Every change goes through :meth:`_change`, which refuses impossible ones."""

    def __init__(self) -> None:
        self._records: dict[Kind, OverlayRecord] = dict.fromkeys(KINDS, OverlayRecord())
        self._jobs = 0

    def __getitem__(self, kind: Kind) -> OverlayRecord:
        return self._records[kind]

    def is_any_at_work(self) -> bool:
        """Whether a job computes any of them."""
        return any(record.is_at_work for record in self._records.values())

    def is_of_job(self, kind: Kind, job: int) -> bool:
        """Whether this job's result is still awaited; it is not of another store, or overtaken."""
        record = self[kind]
        return record.is_at_work and record.job == job

    def is_coming(self, kind: Kind, slide: Slide | None) -> bool:
        """Whether it is wanted, and is computed or waits for the run of this slide."""
        record = self[kind]
        return bool(record.wanted) and (record.is_at_work or kind in self.waiting(slide))

    def want(self, kind: Kind, wanted: bool) -> None:
        """Note whether the user wants to see it. What is not wanted waits for no run."""
        record = self[kind]
        self._change(kind, record.phase, wanted=wanted)
        if not wanted:
            self._wait_no_more(kind)

    def wait(self, kind: Kind, slide: Slide) -> None:
        """It is to be shown after the run of this slide; what waited for another slide waits no more."""
        for other in KINDS:
            if self[other].waits_for is not slide:
                self._wait_no_more(other)
        self._change(kind, Phase.WAITING, waits_for=slide, overlay=None)

    def waiting(self, slide: Slide | None) -> tuple[Kind, ...]:
        """Kinds that wait for the run of this slide."""
        return tuple(kind for kind in KINDS if slide is not None and self[kind].waits_for is slide)

    def end_waiting(self) -> None:
        """The run has ended: nothing waits for it any more."""
        for kind in KINDS:
            self._wait_no_more(kind)

    def start(self, kind: Kind, *, hidden: bool = False) -> int:
        """Begin to compute it; returns the number of the job, whose result alone will be taken."""
        self._jobs += 1
        self._change(kind, Phase.PREPARING if hidden else Phase.COMPUTING, job=self._jobs)
        return self._jobs

    def take(self, kind: Kind, overlay: Overlay) -> None:
        """Keep what its job has computed."""
        self._change(kind, Phase.READY, overlay=overlay)

    def blank(self, kind: Kind, overlay: Overlay) -> None:
        """A hidden layer of no colours lies ready for those that a run will give."""
        self._change(kind, Phase.BLANK, overlay=overlay)

    def fill(self, kind: Kind) -> None:
        """The first colours are in the blank layer."""
        self._change(kind, Phase.READY)

    def forget(self, kind: Kind, slide: Slide | None) -> None:
        """What was computed is not so any more, or failed; a job that is on works for nothing."""
        waits = slide is not None and self[kind].waits_for is slide
        self._change(kind, Phase.WAITING if waits else Phase.ABSENT, overlay=None)

    def _wait_no_more(self, kind: Kind) -> None:
        phase = self[kind].phase
        self._change(kind, Phase.ABSENT if phase is Phase.WAITING else phase, waits_for=None)

    def _change(self, kind: Kind, phase: Phase, **changes: Any) -> None:
        before = self[kind]
        if phase is not before.phase and phase not in _MAY_BECOME[before.phase]:
            raise RuntimeError(f"{kind}: from {before.phase.name} to {phase.name}")
        self._records[kind] = replace(before, phase=phase, **changes)
