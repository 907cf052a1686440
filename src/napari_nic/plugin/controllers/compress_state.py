"""How far a compression is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_nic.embeddings import CompressedSlide

NO_TISSUE = "No tissue was found on this slide"
PAINT_IT = "If there is some, click Tissue... and paint it, or set Least tissue to 0 in the options"

Phase = Literal["idle", "running", "pausing", "paused", "stopping"]


@dataclass(frozen=True)
class CompressState:
    """What the section shows.

    Attributes
    ----------
    phase : str
        ``"pausing"`` until a pause that was asked for is heard.
    stage : str
        What is being done just now.
    done, total : int
        Tissue cells encoded, and in all; 0 while the tissue is not known.
    rate : float
        Patches per second; 0 when unknown.
    seconds_left : float or None
    """

    phase: Phase = "idle"
    stage: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    seconds_left: float | None = None

    @property
    def complete(self) -> bool:
        """Whether every tissue cell is encoded."""
        return self.total > 0 and self.done == self.total

    @property
    def busy(self) -> bool:
        """Whether a run is on, paused ones too."""
        return self.phase != "idle"


def count_cells(store: CompressedSlide | None) -> CompressState:
    """Return the state of a store that nothing runs on."""
    if store is None:
        return CompressState()
    return CompressState(done=int(store.encoded().sum()), total=int(store.coverage.sum()))
