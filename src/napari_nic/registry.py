"""A small registry of named things that are imported only when used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Generic, TypeVar

from napari_nic.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to objects, each given directly or as a lazy ``"module:attribute"`` address.

    Parameters
    ----------
    kind : str
        What is registered, for error messages ("reader", "encoder").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T | str] = {}

    def register(self, name: str, entry: T | str) -> None:
        """Add or replace `entry` under `name`; order of registration is kept."""
        self._entries[name] = entry

    def names(self) -> tuple[str, ...]:
        """Names in the order of registration."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def get(self, name: str) -> T:
        """Return the object called `name`, importing it at first use.

        Raises
        ------
        UnknownNameError
            If nothing is registered under `name`.
        """
        try:
            entry = self._entries[name]
        except KeyError:
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}", expected=f"one of {', '.join(self.names()) or 'none'}"
            ) from None
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            resolved: T = getattr(import_module(module), attribute)
            self._entries[name] = resolved
            return resolved
        return entry
