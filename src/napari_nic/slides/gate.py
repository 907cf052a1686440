"""Let many threads read while the file is open, and let closing wait for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from napari_nic.errors import InvalidParameterError


class Gate:
    """Counts the readers inside.

    A file closed under a running read would crash OpenSlide, or, once its descriptor is used again, read
    from another file. So :meth:`close` lets nobody else in, waits until all have left, and only then returns.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether readers are let in."""
        return self._is_open

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the file open for the length of a ``with`` block.

        Raises
        ------
        InvalidParameterError
            If the file was closed.
        """
        with self._changed:
            if not self._is_open:
                raise InvalidParameterError("the slide is closed", hint="open it again with open_slide")
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> bool:
        """Shut the gate and wait for those inside; False if it was shut before."""
        with self._changed:
            was_open, self._is_open = self._is_open, False
            self._changed.wait_for(lambda: self._inside == 0)
        return was_open
