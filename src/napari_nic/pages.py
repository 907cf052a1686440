"""Pages of results that need no other file and no network: style, tables and pictures, all text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; }
th { border-bottom: 1px solid #999; } td.n { font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } figcaption { font-size: .85rem; }
img { image-rendering: pixelated; } .row svg { max-width: 30rem; height: auto; } .small { color: #666; }
"""


def page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Plain text.
    parts : iterable of str
        HTML, in its order.
    style : str
        Rules beside those of all pages.
    """
    name = html.escape(title)
    head = f'<meta charset="utf-8"><title>{name}</title><style>{STYLE}{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; cells are plain text. A header without any text is left out."""

    def line(kind: str, cells: Sequence[object]) -> str:
        return "<tr>" + "".join(f'<{kind} class="n">{text(c)}</{kind}>' for c in cells) + "</tr>"

    head = line("th", header) if any(header) else ""
    return f"<table>{head}{''.join(line('td', row) for row in rows)}</table>"


def text(value: object) -> str:
    """Return plain text as HTML."""
    return html.escape(str(value), quote=True)
