"""The annotator's commands and their keys: one table for the key map, tooltips and the documentation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from napari_nic.plugin.controllers.annotator import Annotator
from napari_nic.plugin.controllers.object_list import ObjectList
from napari_nic.plugin.controllers.object_operations import ObjectOperations
from napari_nic.plugin.tools.toolbox import TOOLS

DIGITS = range(1, 10)


class Commanded(Protocol):
    """What commands act on."""

    annotator: Annotator
    operations: ObjectOperations
    listed: ObjectList

    def pointer_xy(self) -> tuple[float, float]:
        """Where the pointer is, level-0 pixels."""
        ...


@dataclass(frozen=True)
class Command:
    """Something that a key does while a tool is active.

    Attributes
    ----------
    name : str
        Of the action, ``napari-nic:...``.
    title : str
        What it does, as the list of shortcuts says.
    keys : tuple of str
        As napari writes them: ``Ctrl-Z``.
    run : callable
    repeats : bool
        Whether a key that is held does it again and again.
    """

    name: str
    title: str
    keys: tuple[str, ...]
    run: Callable[[Commanded], object]
    repeats: bool = False


def _tool(name: str, desk: Commanded) -> None:
    desk.annotator.set_tool(name)


def _class(key: int, desk: Commanded) -> None:
    desk.annotator.choose_class_by_key(key)


def _enter(desk: Commanded) -> None:
    if desk.annotator.tool is not None:
        desk.annotator.tool.enter()
        desk.annotator.changed.emit()


def _back(desk: Commanded) -> None:
    annotator = desk.annotator
    if annotator.tool is not None and annotator.tool.is_drawing:
        annotator.tool.back()
        annotator.changed.emit()
    else:
        annotator.delete()


PREFIX = "napari-nic:annotator_"


def _action(name: str) -> str:
    return f"{PREFIX}{name}"


TOOL_COMMANDS = tuple(
    Command(_action(f"tool_{tool.name}"), f"Annotator: {tool.title}", (tool.key,), partial(_tool, tool.name))
    for tool in TOOLS
)

CLASS_COMMANDS = tuple(
    Command(
        _action(f"class_{key}"),
        f"Annotator: draw in class {key}; with Select, give it to the selected objects",
        (str(key),),
        partial(_class, key),
    )
    for key in DIGITS
)

OTHER_COMMANDS = (
    Command(_action("finish"), "Annotator: finish the outline or line", ("Enter",), _enter),
    Command(
        _action("cancel"),
        "Annotator: drop what was begun, then the selection, then lay the tool down",
        ("Escape",),
        lambda desk: desk.annotator.escape(),
    ),
    Command(
        _action("back"),
        "Annotator: take the last corner back; delete the selected objects",
        ("Backspace", "Delete"),
        _back,
    ),
    Command(
        _action("undo"), "Annotator: undo", ("Ctrl-Z",), lambda desk: desk.annotator.undo(), repeats=True
    ),
    Command(
        _action("redo"),
        "Annotator: redo",
        ("Ctrl-Shift-Z",),
        lambda desk: desk.annotator.redo(),
        repeats=True,
    ),
    Command(
        _action("smaller"),
        "Annotator: smaller brush, less tolerant wand",
        ("[",),
        lambda desk: desk.annotator.resize(-1),
        repeats=True,
    ),
    Command(
        _action("larger"),
        "Annotator: larger brush, more tolerant wand",
        ("]",),
        lambda desk: desk.annotator.resize(1),
        repeats=True,
    ),
    Command(_action("next"), "Annotator: next object", ("N",), lambda desk: desk.listed.go(1), repeats=True),
    Command(
        _action("previous"),
        "Annotator: previous object",
        ("Shift-N",),
        lambda desk: desk.listed.go(-1),
        repeats=True,
    ),
    Command(
        _action("hide"),
        "Annotator: hide all annotations, or show them",
        ("H",),
        lambda desk: desk.annotator.toggle_hidden(),
    ),
    Command(_action("merge"), "Annotator: merge", ("J",), lambda desk: desk.operations.merge()),
    Command(
        _action("subtract"), "Annotator: subtract", ("Shift-J",), lambda desk: desk.operations.subtract()
    ),
    Command(
        _action("fill"), "Annotator: fill holes", ("Shift-F",), lambda desk: desk.operations.fill_holes()
    ),
    Command(
        _action("expand"), "Annotator: expand or shrink...", ("O",), lambda desk: desk.operations.expand()
    ),
    Command(
        _action("simplify"), "Annotator: simplify...", ("Shift-O",), lambda desk: desk.operations.simplify()
    ),
    Command(
        _action("invert"),
        "Annotator: make inverse, within the tissue",
        ("I",),
        lambda desk: desk.operations.invert(),
    ),
    Command(_action("duplicate"), "Annotator: duplicate", ("D",), lambda desk: desk.operations.duplicate()),
    Command(
        _action("transfer"),
        "Annotator: put a copy of the last object at the pointer",
        ("Shift-T",),
        lambda desk: desk.operations.transfer_last(desk.pointer_xy()),
    ),
    Command(
        _action("copy"),
        "Annotator: copy, for another slide",
        ("Ctrl-C",),
        lambda desk: desk.operations.copy(),
    ),
    Command(
        _action("paste"),
        "Annotator: paste at the same place, in micrometres",
        ("Ctrl-V",),
        lambda desk: desk.operations.paste(),
    ),
    Command(_action("lock"), "Annotator: lock or unlock", ("Q",), lambda desk: desk.operations.toggle_lock()),
)

COMMANDS = (*TOOL_COMMANDS, *CLASS_COMMANDS, *OTHER_COMMANDS)
IN_PALETTE = (
    *TOOL_COMMANDS,
    *(
        command
        for command in OTHER_COMMANDS
        if command.name.removeprefix(PREFIX)
        not in ("finish", "cancel", "back", "smaller", "larger", "transfer")
    ),
)
"""Commands that mean something without a hand on the canvas."""

BY_ACTION = {command.name: command for command in COMMANDS}
