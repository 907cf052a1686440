"""Cards of encoders and models as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_lines(title: str, facts: Mapping[str, object], details: Mapping[str, Any]) -> list[str]:
    """Lay a card out: a title, aligned facts, and nested details below them."""
    width = max(len(name) for name in facts)
    lines = [title, *(f"  {name.ljust(width)}  {value}" for name, value in facts.items())]
    return lines + [f"  {line}" for line in _entries(details)]


def _entries(values: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in values.items():
        label = str(name).replace("_", " ")
        if isinstance(value, Mapping):
            lines += [label, *(f"  {line}" for line in _entries(value))] if value else []
        elif isinstance(value, list | tuple):
            lines += [label, *(f"  {entry}" for entry in value)]
        else:
            lines.append(f"{label}: {value:.4g}" if isinstance(value, float) else f"{label}: {value}")
    return lines
