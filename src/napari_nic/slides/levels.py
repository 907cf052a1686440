"""How coarse a pyramid level is: whole factors where the shapes allow them, ratios otherwise."""

from __future__ import annotations

import math

from napari_nic.slides.model import Level


def downsample_of(full: tuple[int, int], coarse: tuple[int, int]) -> tuple[float, float]:
    """Return (y, x) level-0 pixels per pixel of a level.

    Writers halve and round, so that a level of factor 16 is rarely 16 times smaller to the pixel. A whole
    factor is taken for an axis when rounding the division down or up gives the level's size, and the same
    one for both axes when it fits both (a power of two first, since of a small level several fit); else the
    ratio of the sizes is all that is known.

    Parameters
    ----------
    full, coarse : (int, int)
        (rows, cols) of level 0 and of the level.
    """
    ratios = full[0] / coarse[0], full[1] / coarse[1]
    mean = math.sqrt(ratios[0] * ratios[1])  # one axis of a level of few pixels tells little
    for factor in (2 ** round(math.log2(mean)), *(round(ratio) for ratio in ratios)):
        if all(_fits(size, small, factor) for size, small in zip(full, coarse, strict=True)):
            return float(factor), float(factor)
    y, x = (
        float(round(ratio)) if _fits(size, small, round(ratio)) else ratio
        for ratio, size, small in zip(ratios, full, coarse, strict=True)
    )
    return y, x


def _fits(full: int, coarse: int, factor: int) -> bool:
    return factor >= 1 and coarse in (full // factor, -(-full // factor))


def is_same_picture(full: tuple[int, int], coarse: tuple[int, int]) -> bool:
    """Whether a page of `coarse` (rows, cols) can be the slide of `full` (rows, cols), made smaller.

    Both axes must allow one factor, within the two pixels that repeated rounding may cost, or 0.3 % where a
    level was rounded to the 16 px of a JPEG. What is larger, or of another aspect, is another picture: a
    macro image, a thumbnail with a border, a mask.
    """
    sides = [(size, small, max(2.0, 0.003 * small)) for size, small in zip(full, coarse, strict=True)]
    lowest = max(size / (small + slack) for size, small, slack in sides)
    highest = min(size / (small - slack) if small > slack else math.inf for size, small, slack in sides)
    return lowest <= highest and coarse[0] <= full[0] and coarse[1] <= full[1]


def build_levels(shapes: list[tuple[int, int]], tiles: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Make levels of shapes and tiles, (rows, cols) each, finest first."""
    return tuple(
        Level(*shape, *downsample_of(shapes[0], shape), tile=tile)
        for shape, tile in zip(shapes, tiles, strict=True)
    )
