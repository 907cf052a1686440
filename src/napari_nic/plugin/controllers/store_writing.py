"""Who writes the session's store: a run of this window, one of another window or program, or nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_nic.embeddings import CompressedSlide, WriterInfo
from napari_nic.errors import NicError
from napari_nic.plugin.controllers.compress_state import CompressState
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.worker import Job
from napari_nic.slides import Slide


@dataclass(eq=False)
class Run:
    """A run of this window; it goes on when the user looks at another slide."""

    slide: Slide
    job: Job = field(init=False)
    store: CompressedSlide | None = None
    state: CompressState = field(default_factory=lambda: CompressState("running", "starting"))
    whole: bool = False
    overwrite: bool = False
    again: bool | None = None
    """Whether to start once more when it has ended, and then with or without replacing the store."""


class StoreWriting:
    """Knows the run of this window, and looks for those of others when it is asked to.

    Attributes
    ----------
    run : Run or None
        Of this window, of whichever slide.
    other : WriterInfo or None
        Which other run was writing the session's store at the last look.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.run: Run | None = None
        self.other: WriterInfo | None = None

    @property
    def own(self) -> Run | None:
        """The run of this window, if it is of the session's slide."""
        run = self.run
        return run if run is not None and run.slide is self._session.slide else None

    def why_busy(self) -> str:
        """Why no run of the session's slide can begin; empty when nobody writes."""
        run = self.run
        if self.own is not None:
            return "This slide is being compressed: pause or cancel it"
        if run is not None:
            return f"{run.slide.name} is being compressed: wait, or choose it above and cancel"
        if self.other is not None:
            return f"This slide is being compressed by {self.describe_other()}: what it stores is shown here"
        return ""

    def describe_other(self) -> str:
        """Say which other run is writing; empty when none is."""
        if self.other is None:
            return ""
        return f"another window of {self.other}" if self.other.is_this_process else str(self.other)

    def newer_store(self) -> CompressedSlide | None:
        """The store of the own run where the session has another: it knows what is not yet written."""
        run = self.own
        return None if run is None or run.store is self._session.store else run.store

    def look(self) -> bool:
        """Learn who else is writing and what was stored since the last look; False if nothing is new."""
        store = self._session.store
        before, self.other = self.other, None if store is None else store.writer()
        if store is None or (before is None and self.other is None):
            return before is not None
        return self._reload(store) or str(before) != str(self.other)

    def _reload(self, store: CompressedSlide) -> bool:
        known = int(store.done.sum())
        try:
            store.reload()
        except NicError:
            self._session.find_store(any_encoder=False)  # it was replaced, or is gone
            return True
        return int(store.done.sum()) != known
