"""How much memory may still be taken, so that what is decoded whole is refused before the system kills us."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_cache"),
)


def free_memory() -> int | None:
    """Return the bytes that this process may still take: of the machine, its container, its own limit."""
    known = [size for size in (_of_machine(), _of_group(), _of_process()) if size is not None]
    return max(0, min(known)) if known else None


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # not Linux
    return None


def _of_group() -> int | None:
    for limit, used, stat, cache in _LIMITS:
        try:
            free = int((_GROUP / limit).read_text()) - int((_GROUP / used).read_text())
            counts = dict(line.split() for line in (_GROUP / stat).read_text().splitlines())
            return free + int(counts.get(cache, 0))  # files kept in memory give way
        except (OSError, ValueError):
            continue  # no such group, or no limit ("max")
    return None


if sys.platform == "win32":

    def _of_process() -> int | None:
        return None

else:
    import resource

    def _of_process() -> int | None:
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError):
            return None
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
