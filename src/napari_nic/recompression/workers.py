"""The threads of this room: tiles are packed by several, and come back in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from napari_nic.jobs import CancellationToken, checked

A = TypeVar("A")
B = TypeVar("B")


def threads_for(workers: int | None) -> int:
    """Return how many threads work: what was asked for, or one per core that this process may use."""
    if workers is not None:
        return workers
    from napari_nic.pipeline import usable_cores  # not above: it loads arrays and stores

    return usable_cores()


AHEAD = 4
"""Items that are waiting or done, for each thread: so many are in memory."""


def in_order(
    work: Callable[[A], B], items: Iterable[A], *, workers: int, token: CancellationToken | None = None
) -> Iterator[B]:
    """Yield ``work(item)`` of each item, in the order of the items.

    Parameters
    ----------
    work : callable
        Called by several threads at once.
    items : iterable
        Taken in the caller's thread, not far ahead of what was yielded.
    workers : int
        Threads; with 1 the work is done in the caller's.
    token : CancellationToken, optional
        Asked before each item.

    Raises
    ------
    CancelledError
        If `token` was cancelled; threads have ended then.
    """
    if workers <= 1:
        yield from map(work, checked(items, token))
        return
    pool = ThreadPoolExecutor(workers, "recompression")
    waiting: deque[Future[B]] = deque()
    try:
        for item in checked(items, token):
            waiting.append(pool.submit(work, item))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            if token is not None:
                token.checkpoint()
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
