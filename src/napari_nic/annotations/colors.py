"""One colour per label, the same in every file and every run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

RGB = tuple[int, int, int]

UNCLASSIFIED = "unclassified"
"""Label of a shape without a class ("None" in ASAP)."""

UNCLASSIFIED_COLOR: RGB = (160, 160, 160)

PALETTE: tuple[RGB, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""Okabe and Ito, "Color Universal Design" (2008), safe for colour-blind eyes; black is left out."""

FURTHER: tuple[RGB, ...] = (
    (51, 34, 136),
    (136, 34, 85),
    (68, 170, 153),
    (153, 153, 51),
    (221, 204, 119),
    (136, 204, 238),
    (17, 119, 51),
    (170, 68, 153),
)
"""Paul Tol's "muted" scheme (SRON/EPS/TN/09-002), for more labels than :data:`PALETTE` has colours."""


_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _VERMILION, _PURPLE = PALETTE

COMMON: tuple[tuple[tuple[str, ...], RGB], ...] = (
    (("tumo", "malign", "cancer", "carcinom", "lesion", "metasta"), _VERMILION),
    (("benign", "normal", "healthy"), _GREEN),
    (("stroma",), _ORANGE),
    (("necro",), _PURPLE),
    (("lymph", "inflam", "immun"), _SKY),
    (("tissue",), _BLUE),
    (("roi", "region", "mark"), _YELLOW),
)
"""Parts of frequent labels and their colours, so that these look alike in every set."""


def label_colors(labels: Iterable[str], known: Mapping[str, RGB] | None = None) -> dict[str, RGB]:
    """Choose a colour for every label.

    Parameters
    ----------
    labels : iterable of str
    known : mapping, optional
        Colours that a file gives. One that it gives to several labels (some programs give all classes the
        same) tells nothing apart and is not used; nor is a colour for what has no class, or the grey that
        stands for that.

    Returns
    -------
    dict
        In the order of `labels`. A label's own colour follows from its name (frequent ones have a fixed
        colour, see :data:`COMMON`); if another label took it, it gets the next free one, in alphabetical
        order: so a set of labels always gets the same colours.
    """
    labels = list(dict.fromkeys(labels))
    known = known or {}
    shared = Counter(known[label] for label in labels if label in known and label != UNCLASSIFIED)
    shared[UNCLASSIFIED_COLOR] += 2  # a class in this grey would look like none
    chosen = {label: known[label] for label in labels if label in known and shared[known[label]] == 1}
    chosen[UNCLASSIFIED] = UNCLASSIFIED_COLOR
    taken = set(chosen.values())
    for label in sorted(label for label in labels if label not in chosen):
        chosen[label] = _free_color(label, taken)
        taken.add(chosen[label])
    return {label: chosen[label] for label in labels}


def _free_color(label: str, taken: set[RGB]) -> RGB:
    own = _own_color(label)
    start = PALETTE.index(own)
    candidates = PALETTE[start:] + PALETTE[:start] + FURTHER
    return next((color for color in candidates if color not in taken), None) or _any_free_color(label, taken)


def _any_free_color(label: str, taken: set[RGB]) -> RGB:
    """Past the colours that are easily told apart, at least one that no other label has."""
    value = _hash(label)
    while (color := from_packed(value)) in taken:
        value += 1
    return color


def _own_color(label: str) -> RGB:
    lowered = label.lower()
    for words, color in COMMON:
        if any(word in lowered for word in words):
            return color
    return PALETTE[_hash(label) % len(PALETTE)]


def _hash(text: str) -> int:
    # Python's own hash differs between runs.
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:4], "big")


def to_hex(color: RGB) -> str:
    """``#RRGGBB``."""
    return "#{:02X}{:02X}{:02X}".format(*color)


def from_hex(text: str | None) -> RGB | None:
    """Inverse of :func:`to_hex`; None where it is no colour."""
    digits = (text or "").removeprefix("#")
    if len(digits) != 6:
        return None
    try:
        value = int(digits, 16)
    except ValueError:
        return None
    return from_packed(value)


def from_packed(value: int) -> RGB:
    """Unpack 0xRRGGBB; bits above (alpha, sign) are ignored."""
    return (value >> 16) & 0xFF, (value >> 8) & 0xFF, value & 0xFF
