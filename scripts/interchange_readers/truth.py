"""What is true of an exported slide, for the readers beside this file; needs NumPy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


class Truth:
    """The patches that were exported, and how a reader's are compared with them.

    Attributes
    ----------
    side, step : int
        Side and distance of the patches in level-0 pixels.
    """

    def __init__(self, case: Path) -> None:
        with np.load(case / "true.npz") as archive:
            self._corners, self._cells = archive["corners"], archive["cells"]
            self._codes = archive["codes"]
            self.side, self.step = int(archive["side"]), int(archive["step"])

    def __len__(self) -> int:
        return len(self._corners)

    @property
    def codes(self) -> np.ndarray:
        """Codes in the order of the exports, float32 (N, C)."""
        return self._codes

    @property
    def cells(self) -> np.ndarray:
        """(row, col) in the order of the exports, (N, 2)."""
        return self._cells

    def compare(self, corners: Any, codes: Any, *, within: float = 0.5) -> None:
        """Compare (x, y) corners (N, 2) and codes (N, C), in whatever order they come."""
        corners, codes = np.asarray(corners, float), np.asarray(codes, np.float32)
        assert len(corners) == len(codes) == len(self), (len(corners), len(codes), len(self))
        ours = np.lexsort(self._corners.T)
        theirs = np.lexsort((np.rint(corners / self.step) if within >= 1 else np.rint(corners)).T)
        far = np.abs(corners[theirs] - self._corners[ours]).max()
        assert far <= within, f"places up to {far} px off"
        np.testing.assert_array_equal(codes[theirs], self._codes[ours])
