"""The one place that knows napari's action manager, by which keys stand in Preferences > Shortcuts.

napari means to replace it; keys of a plugin's manifest are not honoured yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.utils.action_manager import action_manager
from napari.utils.interactions import Shortcut
from napari.utils.key_bindings import coerce_keybinding

from napari_nic.plugin.controllers.commands import COMMANDS, Command
from napari_nic.plugin.drawing_layer import DrawingLayer


def register() -> None:
    """Give the annotator's keys to napari, once in a program; keys that the user chose are kept."""
    if COMMANDS[0].name in action_manager._actions:
        return
    for command in COMMANDS:
        _register(command, _runner(command))


def keys_of(name: str) -> tuple[str, ...]:
    """Return the keys of a command as they are now, as the system writes them."""
    shortcuts: list[Any] = action_manager._shortcuts.get(name, [])
    return tuple(Shortcut(shortcut).platform for shortcut in shortcuts)


def on_change(listener: Callable[[], object]) -> Callable[[], None]:
    """Call when keys change; returns what ends it."""

    def heard(event: Any) -> None:  # noqa: ARG001 -- napari passes the event
        listener()

    action_manager.events.shortcut_changed.connect(heard)
    return lambda: action_manager.events.shortcut_changed.disconnect(heard)


def _register(command: Command, run: Callable[..., Any]) -> None:
    chosen = bool(action_manager._shortcuts.get(command.name))
    action_manager.register_action(command.name, run, command.title, DrawingLayer, repeatable=command.repeats)
    if not chosen:
        for key in command.keys:
            action_manager.bind_shortcut(command.name, coerce_keybinding(key))


def _runner(command: Command) -> Callable[..., Any]:
    def run(layer) -> None:  # type: ignore[no-untyped-def]
        if layer.commands is not None:
            command.run(layer.commands)

    # napari tells the active actions by the names of their functions.
    run.__name__ = command.name.replace(":", "_").replace("-", "_")
    return run
