"""Features of others as float16: what does not fit is refused, and what is lost is told."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from napari_nic.errors import StoreError
from napari_nic.wording import counted

_SIGN, _NUMBER, _EXPONENT, _WHOLE = 0x8000, 0x7FFF, 0x7C00, 0x0400
"""Bits of a float16: its sign, all else, its exponent, and the smallest number that has all its digits."""

_SMALLEST = np.finfo(np.float16).smallest_subnormal
_FEW_DIGITS = np.finfo(np.float16).smallest_normal
_MANY = 0.01
"""Share of numbers with few digits from which on it is told."""


class Rounding:
    """Rounds rows slab by slab, and counts what that changes by more than rounding.

    Parameters
    ----------
    code_size : int
        C.
    """

    def __init__(self, code_size: int) -> None:
        self._code_size = code_size
        self._changing = threading.Lock()
        self._rows = self._lost = self._vanished = self._small = 0

    def rounded(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, C) as float16, and count what that changes."""
        if rows.dtype == np.float16:
            return rows
        with np.errstate(over="ignore", under="ignore"):
            codes = rows.astype(np.float16)
        self._vanished += int(np.count_nonzero(rows)) - int(np.count_nonzero(codes))
        self._small += _subnormal(codes)
        self._rows += len(codes)
        return codes

    def look_through(self, codes: np.ndarray) -> None:
        """Count rows (n, C) of float16 with a number that is none, by any thread: each row once."""
        if lost := _lost(codes):
            with self._changing:
                self._lost += lost

    def check(self, source: Path) -> None:
        """Raise :class:`StoreError` if a number was no finite float16."""
        if self._lost:
            raise StoreError(
                "the codes hold numbers that float16 cannot",
                path=source,
                expected=f"finite numbers within +-{np.finfo(np.float16).max:g}",
                found=f"others in {counted(self._lost, 'patch', 'patches')}",
                hint="scale the features down before, or leave out what is no number",
            )

    def notes(self) -> tuple[str, ...]:
        """Say which numbers became 0, and that many kept few digits."""
        total, notes = self._rows * self._code_size, []
        if self._vanished:
            notes.append(
                f"{self._vanished:,} of {total:,} numbers became 0: 16 bits hold none below {_SMALLEST:.1g}"
            )
        if self._small > _MANY * total:
            notes.append(
                f"{self._small:,} of {total:,} numbers are below {_FEW_DIGITS:.1g}, where 16 bits keep fewer "
                "than three digits"
            )
        return tuple(notes)


def _bits(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(codes).view(np.uint16)


def _lost(codes: np.ndarray) -> int:
    """Count rows with infinite numbers, or none."""
    bits = _bits(codes)
    # Of positive numbers as they are, and of negative ones, whose bits count as the largest.
    if not bits.size or (bits.view(np.int16).max() < _EXPONENT and bits.max() < _SIGN | _EXPONENT):
        return 0
    return int(((bits & np.uint16(_EXPONENT)) == _EXPONENT).any(axis=1).sum())


def _subnormal(codes: np.ndarray) -> int:
    bits = _bits(codes) & np.uint16(_NUMBER)
    return int(np.count_nonzero(bits < _WHOLE)) - int(np.count_nonzero(bits == 0))
