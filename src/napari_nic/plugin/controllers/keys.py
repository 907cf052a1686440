"""Keys of a dock that work wherever one is in the window, beside napari's own, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes
    ----------
    combination : str
        As napari writes it: ``"Alt-1"``.
    text : str
        What it does, for the list of keys.
    action : callable
    """

    combination: str
    text: str
    action: Callable[[], object]

    @property
    def name(self) -> str:
        """The combination as people write it: ``"Alt+1"``."""
        return self.combination.replace("-", "+")


class KeyMap:
    """Keys of a window while a dock lives.

    Letters and digits alone are napari's tools, and Alt with a letter opens menus: what is bound here has Alt
    and no letter. A combination that has a use in this window already keeps it.

    Parameters
    ----------
    viewer : ViewerModel
    keys : sequence of Key
    """

    def __init__(self, viewer: ViewerModel, keys: Sequence[Key]) -> None:
        self._viewer = viewer
        self._bound = tuple(key for key in keys if self._bind(key))

    @property
    def bound(self) -> tuple[Key, ...]:
        """Keys that work."""
        return self._bound

    def _bind(self, key: Key) -> bool:
        from napari.utils.key_bindings import coerce_keybinding

        if coerce_keybinding(key.combination) in {**type(self._viewer).class_keymap, **self._viewer.keymap}:
            return False  # it is napari's, the user's, or another plugin's
        self._viewer.bind_key(key.combination, lambda _: key.action())
        return True

    def close(self) -> None:
        """Give the keys back."""
        for key in self._bound:
            self._viewer.bind_key(key.combination, None)
        self._bound = ()
