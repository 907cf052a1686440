"""Pictures of digits as layouts: which digit lies in which cell, and the two rectangles that order them.

Geometry (Tellez et al. 2019, section 4.1.1, and the authors' published code)::

    picture       3,600 px = 400 x 400 cells of 9 px, the size of a digit
    digits        0.2 % of the pixels are places of digits: 25,920, or 16.2 % of the cells; the rest is black
    rectangles    aspect 2:1, long side evenly from [36, 1800) px; one lies along the axes, in one half of the
                  picture, one is tilted by 45 or 135 degrees, in the other; the whole is then rotated by
                  quarter turns and flipped (the digits are not)
    classes       inside a rectangle all digits are of its class, elsewhere of any; the two classes differ
    label         the class of the tilted rectangle

The authors' code shifts each digit by up to 5 px from its cell; here digits lie in their cells exactly, so
that with a stride of 9 px a patch *is* a cell, and arrays of codes come from the layout without any picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.digits.glyphs import CLASSES, GLYPH, Glyphs

PAPER_CELLS, PAPER_DIGITS = 400, 25_920
SHORTEST_PX = 36
"""Least long side of a rectangle; the longest is half the picture's side."""

ASPECT = 2
ANY = -1
"""In a map of classes: digits here are of any class."""

_TILTS = (45.0, 135.0)
_TURNS, _FLIPS = 4, 3
_LARGEST_DIFFERENCE = 9
"""The other rectangle's class is 1 to 8 more, modulo 10, as in the published code."""


@dataclass(frozen=True)
class Canvas:
    """Size and contents of the pictures.

    Attributes
    ----------
    cells : int
        Side in cells of 9 px.
    digits : int
        In a picture.
    """

    cells: int = PAPER_CELLS
    digits: int = PAPER_DIGITS

    def __post_init__(self) -> None:
        if self.longest_px <= SHORTEST_PX or not 0 < self.digits <= self.cells**2:
            raise InvalidParameterError(
                "no such picture of digits",
                expected=f"a side above {2 * SHORTEST_PX // GLYPH} cells, and at most one digit a cell",
                found=f"{self.cells} x {self.cells} cells, {self.digits} digits",
            )

    @property
    def side_px(self) -> int:
        """Side of a picture, px."""
        return self.cells * GLYPH

    @property
    def longest_px(self) -> float:
        """Longest side of a rectangle, px."""
        return self.side_px / 2


@dataclass(frozen=True)
class Rectangle:
    """A rectangle before the picture is turned, in pixels of the picture, (y, x), corner-based.

    Attributes
    ----------
    centre : (float, float)
    long_px : float
        Long side; the short one is half of it.
    degrees : float
        Of the long side against the x axis.
    """

    centre: tuple[float, float]
    long_px: float
    degrees: float

    def contains(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Tell which points lie inside: ndarray of bool, of the common shape of `y` and `x`."""
        angle = np.deg2rad(self.degrees)
        down, right = y - self.centre[0], x - self.centre[1]
        along = right * np.cos(angle) + down * np.sin(angle)
        across = down * np.cos(angle) - right * np.sin(angle)
        half = self.long_px / 2
        return (np.abs(along) <= half) & (np.abs(across) <= half / ASPECT)


@dataclass(frozen=True, eq=False)
class DigitImage:
    """A picture as a layout.

    Attributes
    ----------
    cells : ndarray of uint16, (rows, cols)
        Number of the digit in each cell, :attr:`Glyphs.empty` for none.
    tilted, straight : ndarray of bool, (rows, cols)
        Cells whose centre lies in the tilted rectangle, and in the other one.
    label : int
        Class of the tilted rectangle.
    other : int
        Class of the other one.
    tilted_px, straight_px : float
        Their long sides.
    """

    cells: np.ndarray
    tilted: np.ndarray
    straight: np.ndarray
    label: int
    other: int
    tilted_px: float
    straight_px: float


def draw_image(canvas: Canvas, glyphs: Glyphs, label: int, rng: np.random.Generator) -> DigitImage:
    """Draw a picture whose tilted rectangle is of class `label`."""
    other = int((label + rng.integers(1, _LARGEST_DIFFERENCE)) % CLASSES)
    tilted, straight = _draw_rectangles(canvas, rng)
    inside, beside = _as_cells(canvas, tilted, straight, rng)
    classes = np.where(inside, label, np.where(beside, other, ANY)).ravel()
    places = rng.choice(canvas.cells**2, canvas.digits, replace=False, shuffle=False)
    wanted = classes[places]
    wanted = np.where(wanted == ANY, rng.integers(CLASSES, size=len(places)), wanted)
    cells = np.full(canvas.cells**2, glyphs.empty, np.uint16)
    cells[places] = glyphs.pick(wanted, rng)
    shape = (canvas.cells, canvas.cells)
    return DigitImage(
        cells.reshape(shape), inside, beside, int(label), other, tilted.long_px, straight.long_px
    )


def render(cells: np.ndarray, glyphs: Glyphs) -> np.ndarray:
    """Paint a layout (rows, cols): ndarray of uint8, (9 rows, 9 cols)."""
    rows, cols = cells.shape
    return glyphs.table[cells].swapaxes(1, 2).reshape(rows * GLYPH, cols * GLYPH)


def _draw_rectangles(canvas: Canvas, rng: np.random.Generator) -> tuple[Rectangle, Rectangle]:
    """Draw the tilted rectangle in the left half of the picture and the straight one in the right half."""
    side, half = float(canvas.side_px), canvas.side_px / 2
    sizes = rng.uniform(SHORTEST_PX, canvas.longest_px, size=2)
    # The box around a tilted rectangle is a square of this side; the largest are 6 % wider than a half.
    box = sizes[0] * (1 + 1 / ASPECT) / np.sqrt(2)
    tilted = Rectangle(
        (_between(box / 2, side - box / 2, rng), _between(box / 2, half - box / 2, rng)),
        float(sizes[0]),
        float(rng.choice(_TILTS)),
    )
    long, short = sizes[1], sizes[1] / ASPECT
    straight = Rectangle(
        (_between(short / 2, side - short / 2, rng), _between(half + long / 2, side - long / 2, rng)),
        float(long),
        0.0,
    )
    return tilted, straight


def _between(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw evenly from a range; the middle of one that is empty."""
    return float(rng.uniform(low, high)) if low < high else (low + high) / 2


def _as_cells(
    canvas: Canvas, tilted: Rectangle, straight: Rectangle, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of both rectangles after the picture was turned and flipped."""
    centres = (np.arange(canvas.cells) + 0.5) * GLYPH
    y, x = centres[:, None], centres[None, :]
    # Each keeps to its half: what the largest tilted ones have beyond it is cut off.
    left = x < canvas.side_px / 2
    masks = tilted.contains(y, x) & left, straight.contains(y, x) & ~left
    turns, flip = int(rng.integers(_TURNS)), int(rng.integers(_FLIPS))
    first, second = (_turned(mask, turns, flip) for mask in masks)
    return first, second


def _turned(mask: np.ndarray, turns: int, flip: int) -> np.ndarray:
    """Rotate by quarter turns, then flip: 0 not at all, 1 left to right, 2 top to bottom."""
    rotated = np.rot90(mask, turns)
    return np.ascontiguousarray((rotated, rotated[:, ::-1], rotated[::-1])[flip])
