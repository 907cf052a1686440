"""How many bits of a 16-bit sample count, by the values that are there."""

from __future__ import annotations

_CAMERA_BITS = (8, 10, 12, 14)


def camera_bits(highest: int) -> int:
    """Return 8, 10, 12 or 14 where the largest sample says that a camera gave no more bits; else 16."""
    return next((bits for bits in _CAMERA_BITS if 0 < highest < 2**bits), 16)


def told(highest: int, bits: int) -> str:
    """Return what the user must be told of bits that were guessed."""
    return f"samples have 16 bits, but their values end at {highest}: shown as samples of {bits} bits"
