"""Colours that are told apart by colour-blind eyes too, and how colours are written."""

from __future__ import annotations

import colorsys

RGB = tuple[int, int, int]

ORANGE: RGB = (230, 159, 0)
SKY: RGB = (86, 180, 233)
GREEN: RGB = (0, 158, 115)
YELLOW: RGB = (240, 228, 66)
BLUE: RGB = (0, 114, 178)
VERMILION: RGB = (213, 94, 0)
PURPLE: RGB = (204, 121, 167)

PALETTE: tuple[RGB, ...] = (ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE)
"""Okabe and Ito, "Color Universal Design" (2008), safe for colour-blind eyes; black is left out."""

CLASS_COLORS: tuple[RGB, ...] = (BLUE, VERMILION, GREEN, PURPLE, YELLOW, SKY, ORANGE)
"""The same, in the order in which the classes of models and the lines of plots take them: the first two are
furthest apart."""

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


def class_colors(count: int) -> tuple[RGB, ...]:
    """Return that many colours for numbered classes; after seven they come again."""
    return tuple(CLASS_COLORS[index % len(CLASS_COLORS)] for index in range(count))


def distinct_colors(count: int) -> tuple[RGB, ...]:
    """Return that many different colours for numbered things of which there may be many.

    The first fifteen are those that are easily told apart; what comes after them is spread over the hues, and
    cannot be.
    """
    chosen = [*CLASS_COLORS, *FURTHER][:count]
    number = 0
    while len(chosen) < count:
        # Steps of the golden ratio never come back to a hue.
        red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.75, 0.95 if number % 2 else 0.6)
        color = (round(255 * red), round(255 * green), round(255 * blue))
        if color not in chosen:
            chosen.append(color)
        number += 1
    return tuple(chosen)


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
