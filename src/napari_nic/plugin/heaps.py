"""How many heaps the C library keeps for the threads of a window that is open all day."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

M_ARENA_MAX = -8
"""Name of the setting in ``malloc.h`` of glibc."""

LEAST_HEAPS = 2


def most_heaps() -> int:
    """Return how many heaps all threads share at most."""
    return max(LEAST_HEAPS, (os.cpu_count() or 1) // 2)


@functools.cache
def keep_few_heaps() -> None:
    """Let threads share a few heaps of the C library, where that is glibc; to be called before they start.

    glibc makes up to eight heaps for each core, and gives back of each only what is free in whole pages: what
    one thread left half used is of no use to the others, and the program grows for hours.
    """
    if sys.platform == "linux":
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(M_ARENA_MAX, most_heaps())
