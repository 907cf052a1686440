"""What pixels of a picture of outlines say: a class, and whether they are its line, its area or its crowd.

A picture holds numbers of classes and no colours, so that a class gets another colour by a table of a few
hundred entries, and nothing is drawn anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np

from napari_nic.colors import RGB

NOTHING = 0
"""A pixel without outlines."""

RGBA = tuple[float, float, float, float]


class Part(IntEnum):
    """What a pixel shows of its class."""

    LINE = 0
    AREA = 1
    SPARSE = 2
    MIDDLING = 3


PARTS = len(Part)

ALPHAS = {Part.LINE: 1.0, Part.AREA: 0.12, Part.SPARSE: 0.25, Part.MIDDLING: 0.55}
"""How opaque each part is; where a crowd covers most of its pixels it is drawn as lines are."""

SHARES = (0.002, 0.1, 0.4)
"""From so large a covered share of a pixel a crowd is sparse, middling, and dense."""

_CROWD = (Part.SPARSE, Part.MIDDLING, Part.LINE)

FEW_CLASSES = (np.iinfo(np.uint8).max - 1) // PARTS
"""So many classes fit into pictures of bytes."""

MOST_CLASSES = (np.iinfo(np.uint16).max - 1) // PARTS


def dtype_for(n_classes: int) -> np.dtype:
    """Return the kind of number that holds so many classes.

    Raises
    ------
    ValueError
        If none does.
    """
    if n_classes > MOST_CLASSES:
        raise ValueError(f"pictures of outlines hold at most {MOST_CLASSES:,} classes, not {n_classes:,}")
    return np.dtype(np.uint8 if n_classes <= FEW_CLASSES else np.uint16)


def value_of(number: int, part: Part) -> int:
    """Value of a pixel that shows a part of a class."""
    return 1 + PARTS * number + part


def classes_of(values: np.ndarray) -> np.ndarray:
    """Numbers of the classes of values that are not :data:`NOTHING`."""
    return (values.astype(np.int64) - 1) // PARTS


def color_table(labels: Sequence[str], colors: Mapping[str, RGB | None]) -> dict[int, RGBA]:
    """Colours of all values, each part 0 to 1.

    Parameters
    ----------
    labels : sequence of str
        By the number of the class.
    colors : mapping of str to (r, g, b) or None
        None makes a class invisible, as does a label that is not there.
    """
    table: dict[int, RGBA] = {NOTHING: (0.0, 0.0, 0.0, 0.0)}
    for number, label in enumerate(labels):
        color = colors.get(label)
        red, green, blue = (0, 0, 0) if color is None else color
        for part, alpha in ALPHAS.items():
            seen = 0.0 if color is None else alpha
            table[value_of(number, part)] = (red / 255, green / 255, blue / 255, seen)
    return table


def crowd_parts(share: np.ndarray) -> np.ndarray:
    """Part that shows each covered share of a pixel; -1 where it is too small to be seen."""
    parts = np.array([-1, *_CROWD])
    return parts[np.digitize(share, SHARES)]
