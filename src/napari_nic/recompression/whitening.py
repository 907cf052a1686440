"""White glass within a JPEG tile, by its coefficients: the pixels of tissue stay what they are.

Decoding and encoding a tile anew would change all of it. Here only blocks without tissue get other
coefficients, of an even white; those of all others are the tile's own.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

BLOCK = 8
CENTER, WHITE, BLACK = 128, 255, 0

REACH = 2
"""Pixels over which a decoder smooths chroma across the edge of a block."""


def whiten(image: Any, kept: npt.NDArray[np.bool_], colors: str | None, *, white_is_zero: bool) -> bool:
    """Make an even white of all blocks that no kept pixel is in or near.

    Parameters
    ----------
    image : jpeglib.DCTJPEG
        Changed in place.
    kept : ndarray of bool, (rows, cols)
        Of the tile's pixels.
    colors : {"RGB", "YCbCr"} or None
        What the components are; None for grey.
    white_is_zero : bool
        Whether white is the least value of a grey tile.

    Returns
    -------
    bool
        Whether any block was made white.
    """
    free = _free_units(kept, _unit(image))
    if not free.any():
        return False
    for number, name in enumerate(_components(image)):
        blocks = getattr(image, name)
        steps = image.samp_factor[number]
        painted = np.repeat(np.repeat(free, steps[0], axis=0), steps[1], axis=1)
        painted = painted[: blocks.shape[0], : blocks.shape[1]]
        first = float(image.qt[image.quant_tbl_no[number]][0, 0])
        level = CENTER if colors == "YCbCr" and number else BLACK if white_is_zero else WHITE
        blocks[painted] = 0
        blocks[painted, 0, 0] = _even(level, first)
    return True


def _components(image: Any) -> tuple[str, ...]:
    return ("Y", "Cb", "Cr")[: image.num_components]


def _unit(image: Any) -> tuple[int, int]:
    """(rows, cols) of pixels that blocks of all components cover together."""
    steps = np.asarray(image.samp_factor)[: image.num_components]
    return BLOCK * int(steps[:, 0].max()), BLOCK * int(steps[:, 1].max())


def _free_units(kept: npt.NDArray[np.bool_], unit: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return units without kept pixels, nor any so near that smoothing would reach them."""
    side = 2 * REACH + 1
    near = cv2.dilate(kept.astype(np.uint8), np.ones((side, side), np.uint8)).astype(bool)
    padded = np.pad(near, [(0, -size % step) for size, step in zip(near.shape, unit, strict=True)])
    rows, cols = padded.shape[0] // unit[0], padded.shape[1] // unit[1]
    return np.logical_not(padded.reshape(rows, unit[0], cols, unit[1]).any(axis=(1, 3)))


def _even(level: int, step: float) -> int:
    """Return the first coefficient of an even block, rounded outwards: decoders cut off what is too much."""
    value = (level - CENTER) * BLOCK / step
    return math.ceil(value) if value > 0 else math.floor(value)
