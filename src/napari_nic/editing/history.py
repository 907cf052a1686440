"""The steps of a document that can be taken back, and those that were."""

from __future__ import annotations

from napari_nic.editing.edits import Edit


class History:
    """Steps in their order; whoever owns it makes them.

    Parameters
    ----------
    most : int
        So many can be taken back.

    Attributes
    ----------
    held : list of Edit or None
        Edits that become one step, while some are collected.
    """

    def __init__(self, most: int) -> None:
        self.held: list[Edit] | None = None
        self._held_title = ""
        self._most = most
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    def note(self, edit: Edit, *, goes_on: bool = False) -> None:
        """Note an edit that was made; it joins those that are held.

        Parameters
        ----------
        edit : Edit
        goes_on : bool
            Whether it becomes one step with the last one, if that has the same title and objects.
        """
        if self.held is not None:
            self.held.append(edit)
            return
        last = self._done[-1] if self._done else None
        joins = (
            goes_on and last is not None and last.title == edit.title and set(last.after) == set(edit.after)
        )
        if joins and last is not None:
            self._done[-1] = Edit.joined(edit.title, [last, edit])
        else:
            self._done.append(edit)
        del self._done[: -self._most]
        self._undone.clear()

    def hold(self, title: str) -> None:
        """Collect edits from now on."""
        self.held, self._held_title = [], title

    def release(self) -> list[Edit]:
        """Return what was collected, of which nothing is noted yet."""
        held, self.held = self.held or [], None
        return held

    def undo(self) -> Edit | None:
        """Return the edit that is taken back now; None if there is none."""
        return self._moved(self._done, self._undone)

    def redo(self) -> Edit | None:
        """Return the edit that is made anew now; None if there is none."""
        return self._moved(self._undone, self._done)

    def _moved(self, from_steps: list[Edit], to_steps: list[Edit]) -> Edit | None:
        if not from_steps or self.held is not None:
            return None
        to_steps.append(from_steps.pop())
        return to_steps[-1]

    @property
    def undo_title(self) -> str:
        """Title of what would be taken back; empty if nothing."""
        if self.held:
            return self._held_title
        return self._done[-1].title if self._done else ""

    @property
    def redo_title(self) -> str:
        """Title of what would be made anew; empty if nothing."""
        return self._undone[-1].title if self._undone else ""
