"""How processes elsewhere hear that a run is to stop: by a file beside what they write."""

from __future__ import annotations

import time
from pathlib import Path

from napari_nic.jobs import CancellationToken

LOOK_SECONDS = 1.0
"""So often the file is looked for, at checkpoints."""


class FileToken(CancellationToken):
    """Cancelled once a file is there.

    Parameters
    ----------
    file : Path
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file
        self._looked = float("-inf")

    def checkpoint(self) -> None:
        """Look for the file now and then; see :class:`~napari_nic.jobs.CancellationToken`."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._file.exists():
                self.cancel()
        super().checkpoint()
