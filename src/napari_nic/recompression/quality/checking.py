"""The check of every tile that is written: judged, counted, and sent back if it is not as good as asked."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from napari_nic.recompression.lossy.checking import Verdict, WrittenTile
from napari_nic.recompression.quality.judging import Bounds, judge
from napari_nic.recompression.quality.tally import QualityTally


class QualityCheck:
    """Judges tiles by bounds, level by level; may be called by several threads.

    Parameters
    ----------
    bounds : Bounds, optional
        By default only faults are looked for.

    Attributes
    ----------
    bounds : Bounds
    levels : dict of int to QualityTally
        Complete once the job has ended.
    """

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.levels: dict[int, QualityTally] = defaultdict(QualityTally)
        self._lock = threading.Lock()

    def __call__(self, tile: WrittenTile) -> Verdict:
        """Say whether a tile is written; a tile that was sent back is counted when it is written at last."""
        place = tile.row, tile.col
        if tile.decoded.shape != tile.pixels.shape:
            return Verdict(False, "another size")
        found = judge(tile.pixels, tile.decoded, self.bounds)
        with self._lock:
            self.levels[tile.level].add(place, found, attempt=tile.attempt)
        return Verdict(found.keep, ", ".join(broken.kind for broken in found.broken))

    def to_dict(self) -> dict[str, Any]:
        """Return what was found, by level, for JSON."""
        return {str(level): tally.to_dict() for level, tally in sorted(self.levels.items())}
