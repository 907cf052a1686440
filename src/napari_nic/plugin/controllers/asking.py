"""Questions and bad news for the user; the widgets ask in dialogs, tests answer in code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from napari_nic.slides import Channel, Slide

if TYPE_CHECKING:
    from napari_nic.editing import Choice

Leaving = Literal["save", "discard", "cancel"]
"""What becomes of work that is not saved when it is about to go."""


class Asking(Protocol):
    """What controllers may ask."""

    def tell_error(self, error: Exception) -> None:
        """Show what went wrong: file, expected, found, what to do."""
        ...

    def tell(self, message: str) -> None:
        """Show a short notice that needs no answer."""
        ...

    def pixel_size(self, slide: Slide, reason: str) -> float | None:
        """Ask for micrometres per pixel; None when the user does not know."""
        ...

    def confirm(self, title: str, text: str, *, yes: str, no: str) -> bool:
        """Ask a yes-or-no question whose buttons say what happens."""
        ...

    def channels(self, path: Path, channels: Sequence[Channel]) -> tuple[int, ...] | None:
        """Ask which channels to show, up to three, by their place; None when cancelled."""
        ...

    def scene(self, path: Path, scenes: Sequence[str]) -> int | None:
        """Ask which scene to show, by its place; None when cancelled."""
        ...

    def folder(self, title: str) -> Path | None:
        """Ask for a folder to write to; None when cancelled."""
        ...

    def leaving(self, title: str, text: str) -> Leaving:
        """Ask whether to save what would be lost, to lose it, or to stay."""
        ...

    def which_side(self, title: str, text: str) -> Choice | None:
        """Ask what becomes of objects that were changed here and elsewhere; None to think about it."""
        ...

    def save_to(self, title: str, start: Path) -> Path | None:
        """Ask for an annotation file to write; None when cancelled."""
        ...

    def mask_to_write(self, start: Path) -> Path | None:
        """Ask for a picture to write a tissue mask to; None when cancelled."""
        ...

    def mask_to_read(self, start: Path) -> Path | None:
        """Ask for a tissue mask to read, a picture or outlines; None when cancelled."""
        ...

    def wait_for_overview(self, slide: Slide) -> bool:
        """Make ready what is seen of a slide from afar; False if the user would not wait."""
        ...
