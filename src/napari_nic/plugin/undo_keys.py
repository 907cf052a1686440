"""Ctrl+Z and Ctrl+Shift+Z for annotations, where napari has no undo of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel

UNDO, REDO = "Control-Z", "Control-Shift-Z"


def bind_undo(
    viewer: ViewerModel, undo: Callable[[], object], redo: Callable[[], object]
) -> Callable[[], None]:
    """Bind the keys of the whole window: those of a layer, as labels have them, go first.

    Returns
    -------
    callable
        Takes them away again.
    """

    def on_undo(_viewer: object) -> None:
        undo()

    def on_redo(_viewer: object) -> None:
        redo()

    viewer.bind_key(UNDO, on_undo, overwrite=True)
    viewer.bind_key(REDO, on_redo, overwrite=True)

    def release() -> None:
        for key in (UNDO, REDO):
            viewer.bind_key(key, None, overwrite=True)

    return release
