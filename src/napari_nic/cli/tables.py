"""Tables and facts as lines of text, laid out by rich."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

UNBOUNDED = 1_000_000
GAP = (0, 2, 0, 0)
"""Two spaces after each column."""


def stdout_width() -> int | None:
    """Return the columns of the terminal that stdout is; None where it is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, width: int | None = None
) -> list[str]:
    """Lay out columns that are as wide as their longest entry.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequences
    width : int, optional
        Where lines end: long entries are folded inside their columns. Without it every row is one line.
    """
    from rich.table import Table

    table = Table(box=None, padding=GAP, pad_edge=False)
    return _drawn(table, [header, *rows], width)


def fact_lines(facts: Mapping[str, object], *, width: int | None = None) -> list[str]:
    """Lay out names and what they are, in two columns; see :func:`table_lines`."""
    from rich.table import Table

    grid = Table(box=None, padding=GAP, pad_edge=False)
    inner = None if width is None else width - 2
    return [f"  {line}" for line in _drawn(grid, list(facts.items()), inner)]


def card_lines(
    title: str, facts: Mapping[str, object], details: Mapping[str, Any], *, width: int | None = None
) -> list[str]:
    """Lay a card out: a title, aligned facts, and nested details below them."""
    return [title, *fact_lines(facts, width=width), *(f"  {line}" for line in _entries(details))]


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


def _drawn(table: Table, rows: Sequence[Sequence[object]], width: int | None) -> list[str]:
    """Fill a table and draw it; no entry is cut, and none is read as markup."""
    from rich.console import Console
    from rich.text import Text

    table.show_header = False
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(str(entry), keep="")) for entry in row))
    out = StringIO()
    Console(file=out, width=width or UNBOUNDED, color_system=None, force_terminal=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str, keep: str = "\n\t") -> str:
    """Write control characters out: a file's name or metadata must not steer the terminal."""
    return text.translate({code: shown for code, shown in _CONTROLS.items() if chr(code) not in keep})
