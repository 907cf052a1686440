"""Tell once that tiles of a slide cannot be read."""

from __future__ import annotations

import threading

from napari_nic.errors import DamagedSlideError


class DamageTeller:
    """Called for each tile that cannot be read, from any thread; the first one is told to the user.

    Parameters
    ----------
    name : str
        Of the slide.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._told = False

    def __call__(self, error: DamagedSlideError) -> None:
        """Take note of a tile."""
        with self._lock:
            told, self._told = self._told, True
        if told:
            return
        from napari.utils.notifications import show_warning

        show_warning(
            f"Parts of {self._name} cannot be read and are shown hatched ({error.problem}). "
            "The file may be damaged, or not be copied completely."
        )
