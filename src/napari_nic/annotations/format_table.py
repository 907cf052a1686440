"""What each format can hold, as a table."""

from __future__ import annotations

from napari_nic.annotations.carrying import COLOURS, FEATURES
from napari_nic.annotations.registry import FORMATS

READ_ONLY, CARRIED, LOST = "read only", "yes", "-"

_LEFT_OUT = ("fractions of a unit",)


def format_table() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header and a row for each format: name, suffixes, unit, and what it holds when written."""
    features = [*(feature for feature in FEATURES if feature not in _LEFT_OUT), COLOURS]
    header = ("format", "name", "suffix", "counts in", *features)
    rows = []
    for name in FORMATS:
        chosen = FORMATS.get(name)
        unit = chosen.unit_of(b"")
        whole = "whole " if chosen.step else ""
        held = [LOST if feature in chosen.instead else CARRIED for feature in features]
        held = held if chosen.write is not None else [READ_ONLY, *[""] * (len(features) - 1)]
        rows.append((chosen.label, name, chosen.suffixes[0], f"{whole}{unit}", *held))
    return header, rows


def markdown_table() -> str:
    """Return the table turned on its side, for documents: a column a format that can be written."""
    header, rows = format_table()
    written = [row for row in rows if READ_ONLY not in row]
    lines = ["| | " + " | ".join(row[0] for row in written) + " |", "|---" * (len(written) + 1) + "|"]
    for index, word in enumerate(header[1:], 1):
        cells = [f"`{row[index]}`" if index in (1, 2) else row[index] for row in written]
        lines.append(f"| {word} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
