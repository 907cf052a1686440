"""Small matrices in one thread: threads of BLAS that share busy cores wait longer than they work."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_limit = ExitStack()
_users = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread in the body.

    To factorise 128 x 128 numbers takes it 0.3 ms so, and 0.3 s with two threads on two cores that compress
    a slide meanwhile. The setting is the process's: whoever comes last out of several bodies restores it.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _limit.enter_context(_controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limit.close()


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through the loaded libraries: 10 ms
