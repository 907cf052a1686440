"""One colour per label, the same in every file and every run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from napari_nic.colors import (
    BLUE,
    FURTHER,
    GREEN,
    ORANGE,
    PALETTE,
    PURPLE,
    RGB,
    SKY,
    VERMILION,
    YELLOW,
    from_packed,
)

UNCLASSIFIED = "unclassified"
"""Label of a shape without a class ("None" in ASAP)."""

UNCLASSIFIED_COLOR: RGB = (160, 160, 160)

COMMON: tuple[tuple[tuple[str, ...], RGB], ...] = (
    (("tumo", "malign", "cancer", "carcinom", "lesion", "metasta"), VERMILION),
    (("benign", "normal", "healthy"), GREEN),
    (("stroma",), ORANGE),
    (("necro",), PURPLE),
    (("lymph", "inflam", "immun"), SKY),
    (("tissue",), BLUE),
    (("roi", "region", "mark"), YELLOW),
    (("glass", "background"), SKY),
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
