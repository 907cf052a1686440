"""The operations menu: what is done to the selected objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_nic.editing.operations import objects
from napari_nic.plugin.controllers.annotator import Annotator

AskNumber = Callable[[str, str, float], float | None]
"""``ask(title, question, default)`` returns a number, None when cancelled."""

EXPAND_SETTING, SIMPLIFY_SETTING = "annotator_expand_um", "annotator_simplify_um"
EXPAND_UM, SIMPLIFY_UM = 50.0, 1.0


class ObjectOperations:
    """Operations on the annotator's selection; each is one step of the history.

    Parameters
    ----------
    annotator : Annotator
    ask : callable
        Asks for distances.
    """

    def __init__(self, annotator: Annotator, ask: AskNumber) -> None:
        self.annotator = annotator
        self._ask = ask
        self._carried: tuple[list[Any], Any] | None = None

    def merge(self) -> None:
        """Merge the selected areas into the first."""
        self.annotator.operate(lambda: objects.merge(self.annotator.items))

    def subtract(self) -> None:
        """Take all selected areas but the first out of the first."""
        self.annotator.operate(lambda: objects.subtract(self.annotator.items))

    def fill_holes(self) -> None:
        """Fill the holes of the selected areas."""
        self.annotator.operate(lambda: objects.fill_holes(self.annotator.items))

    def duplicate(self) -> None:
        """Copy the selected objects in place."""
        self.annotator.operate(lambda: objects.duplicate(self.annotator.items))

    def toggle_lock(self) -> None:
        """Lock the selected objects; unlock them if all are locked."""
        items = self.annotator.items
        if not items:
            self.annotator.tell("nothing is selected")
            return
        locked = not all(item.locked for item in items)
        self.annotator.operate(lambda: objects.set_locks(items, locked=locked))

    def expand(self) -> None:
        """Ask for a distance and grow the selected areas by it, or shrink them by a negative one."""
        distance = self._distance(
            "Expand", "Distance in um; a negative one shrinks", EXPAND_SETTING, EXPAND_UM
        )
        if distance is not None:
            annotator = self.annotator
            annotator.operate(lambda: objects.expand(annotator.items, distance, annotator.pixel))

    def simplify(self) -> None:
        """Ask for a distance and leave out corners of the selected outlines that lie within it."""
        distance = self._distance(
            "Simplify", "Outlines may move by so many um", SIMPLIFY_SETTING, SIMPLIFY_UM
        )
        if distance is not None:
            annotator = self.annotator
            annotator.operate(lambda: objects.simplify(annotator.items, abs(distance), annotator.pixel))

    def invert(self) -> None:
        """Make an object of the tissue that the selected areas do not cover."""
        annotator = self.annotator
        items = annotator.items
        annotator.surroundings.with_tissue(
            lambda tissue: annotator.operate(lambda: objects.invert(items, tissue, annotator.label))
        )

    def transfer_last(self, xy: tuple[float, float]) -> None:
        """Put a copy of the object that was drawn last, on this or another slide, at a point (x, y)."""
        last = self.annotator.last_drawn()
        if last is None:
            self.annotator.tell("nothing was drawn yet")
            return
        item, pixel = last
        self.annotator.operate(lambda: objects.transfer(item, xy, pixel, self.annotator.pixel))

    def copy(self) -> None:
        """Remember the selected objects for another slide."""
        items = self.annotator.items
        if not items:
            self.annotator.tell("nothing is selected")
            return
        self._carried = items, self.annotator.pixel
        self.annotator.tell(f"copied {len(items):,}: choose another slide and paste them there")

    def paste(self) -> None:
        """Put the remembered objects at the same place, in micrometres, of the slide."""
        if self._carried is None:
            self.annotator.tell("nothing was copied")
            return
        items, pixel = self._carried
        self.annotator.operate(lambda: objects.carry(items, pixel, self.annotator.pixel))

    def _distance(self, title: str, question: str, setting: str, default: float) -> float | None:
        if not self.annotator.items:
            self.annotator.tell("nothing is selected")
            return None
        if self.annotator.known_pixel is None:
            self.annotator.tell("distances need to know how large the slide's pixels are")
            return None
        settings = self.annotator.session.settings
        remembered = settings.get(setting)
        start = float(remembered) if isinstance(remembered, int | float) else default
        distance = self._ask(title, question, start)
        if distance is not None:
            settings.set(setting, distance)
        return distance
