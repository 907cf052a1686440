"""What a notebook shows of an object: a title, a few facts, and a picture."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping

import numpy as np

SIDE_PX = 320
"""Longest side of a picture in a notebook."""


def card(title: str, facts: Mapping[str, object], picture: np.ndarray | None = None) -> str:
    """Return HTML with a picture at the left and facts at the right.

    Parameters
    ----------
    title : str
    facts : mapping of str to object
        Rows of a table, in their order; empty texts are left out.
    picture : ndarray of uint8, (rows, cols, 3 or 4), optional
    """
    rows = "".join(
        f"<tr style='text-align:left'><th>{_text(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in facts.items()
        if str(value)
    )
    image = "" if picture is None else f"<img alt='{_text(title)}' src='{data_address(picture)}'>"
    return (
        "<div style='display:flex;gap:1em;align-items:flex-start'>"
        f"{image}<div><b>{_text(title)}</b><table>{rows}</table></div></div>"
    )


def data_address(picture: np.ndarray) -> str:
    """Return a picture, uint8 (rows, cols, 3 or 4), as PNG in a data address; large ones are made smaller.

    Small ones are enlarged without smoothing, so that cells stay cells.
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    scale = SIDE_PX / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return png_address(np.asarray(image.resize(size, how)))


def png_address(picture: np.ndarray) -> str:
    """Return a picture, uint8 (rows, cols, 3 or 4), as PNG in a data address, for a page that holds all."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
