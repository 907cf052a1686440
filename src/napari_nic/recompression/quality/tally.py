"""What the check of many tiles came to: how good they are, how many fell back and why, which are worst."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from napari_nic.recompression.quality.judging import Judgement, Measures

WORST = 8
"""Tiles of least SSIM that are named."""

Place = tuple[int, int]
"""(row, col) of a tile in the grid of its level."""


@dataclass
class QualityTally:
    """Counts over the tiles of a level; grows by :meth:`add`, which one thread at a time may call.

    Attributes
    ----------
    tiles : int
        That were judged.
    fell_back : int
        Of these, tiles that were not as good as asked, and were tried anew.
    reasons : Counter of str
        Why; a tile may have several, and counts once for each.
    """

    tiles: int = 0
    fell_back: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    _ssim: float = 0.0
    _psnr: float = 0.0
    _equal: int = 0
    _written: int = 0
    _color: float = 0.0
    _worst: dict[Place, Measures] = field(default_factory=dict, repr=False)

    def add(self, place: Place, found: Judgement, *, attempt: int = 0) -> None:
        """Count the verdict on a tile.

        Parameters
        ----------
        place : (int, int)
            (row, col) in the grid of tiles.
        found : Judgement
            Measures of a tile that is not kept are not counted: another one is written in its place.
        attempt : int
            How often it was tried before.
        """
        if not attempt:
            self.tiles += 1
            self.fell_back += not found.keep
            self.reasons.update({broken.kind for broken in found.broken})
        if not found.keep:
            return
        self._written += 1
        self._ssim += found.measures.ssim
        self._color = max(self._color, found.measures.color)
        if found.measures.psnr == float("inf"):
            self._equal += 1
        else:
            self._psnr += found.measures.psnr
        self._worst[place] = found.measures
        if len(self._worst) > WORST:
            del self._worst[max(self._worst, key=lambda one: (self._worst[one].ssim, one))]

    @property
    def mean_ssim(self) -> float:
        """Mean over tiles as they are written; 1 of none."""
        return self._ssim / self._written if self._written else 1.0

    @property
    def mean_psnr(self) -> float | None:
        """Mean over the tiles that are not equal to their source, dB; None if all are."""
        inexact = self._written - self._equal
        return self._psnr / inexact if inexact else None

    @property
    def worst(self) -> list[tuple[Place, Measures]]:
        """Places and measures of the tiles of least SSIM, the worst first."""
        return sorted(self._worst.items(), key=lambda item: (item[1].ssim, item[0]))

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        worst = self.worst
        return {
            "tiles": self.tiles,
            "fell_back": self.fell_back,
            "reasons": dict(self.reasons),
            "equal": self._equal,
            "ssim": {"mean": self.mean_ssim, "least": worst[0][1].ssim if worst else 1.0},
            "psnr": {"mean": self.mean_psnr},
            "color": {"largest": self._color},
            "worst": [{"row": row, "col": col, **found.to_dict()} for (row, col), found in worst],
        }
