"""Codes of turned patches, kept inside a slide's store: augmentation for training on whole slides.

A store ``{slide}.nic.zarr`` may hold seven more in ``turns/1`` to ``turns/7``, of the same grid and cells.
Cell [i, j] of number k is the code of the patch that lies at cell [i, j], turned by :func:`turned` before it
was encoded. To see the turned slide, the codes of number k must also change places: ``turned(codes, k)``.
Each is a store of its own, so that making them can be interrupted; they move with their slide.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.compressed.header import IDENTITY_KEYS
from napari_nic.compressed.store import CompressedSlide
from napari_nic.errors import StoreMismatchError

TURNS = 8
"""Rotations by 90 degrees, each with and without a mirror; number 0 leaves things as they are."""

FOLDER = "turns"
OPTION = "turn"
"""Entry among the options of the encoder of such a store: its codes are not those of upright patches."""


def turned(array: np.ndarray, turn: int, *, axis: int = 0) -> np.ndarray:
    """Rotate by ``turn % 4`` quarter turns counter-clockwise, and mirror left to right if ``turn >= 4``.

    Parameters
    ----------
    array : ndarray
        Rows and columns are its axes `axis` and ``axis + 1``: a grid (rows, cols, ...), or with ``axis=1`` a
        batch of patches (B, h, w, 3).
    turn : int
        0 to 7.

    Returns
    -------
    ndarray
        A view.
    """
    rotated = np.rot90(array, turn % 4, axes=(axis, axis + 1))
    return np.flip(rotated, axis + 1) if turn >= TURNS // 2 else rotated


def turned_back(array: np.ndarray, turn: int) -> np.ndarray:
    """Undo :func:`turned` of the first two axes; a view."""
    upright = np.flip(array, 1) if turn >= TURNS // 2 else array
    return np.rot90(upright, -(turn % 4))


def turn_path(store: Path, turn: int) -> Path:
    """Where the codes of the patches turned so lie, 1 to 7."""
    return store / FOLDER / str(turn)


def open_turns(store: CompressedSlide) -> tuple[CompressedSlide, ...]:
    """Open the seven stores of turned patches; none unless all are there and complete.

    Raises
    ------
    StoreMismatchError
        If one was not made from the same slide, grid, cells and encoder.
    StoreError
        If one is damaged.
    """
    paths = [turn_path(store.path, turn) for turn in range(1, TURNS)]
    if not all(path.exists() for path in paths):
        return ()
    stores = tuple(CompressedSlide.open(path) for path in paths)
    if not all(turn.is_complete for turn in stores):
        return ()
    for number, turn in enumerate(stores, start=1):
        _check(store, turn, number)
    return stores


def turned_description(encoder: Mapping[str, Any], turn: int) -> dict[str, Any]:
    """Describe an encoder that turns its patches first."""
    return {**encoder, "options": {**encoder.get("options", {}), OPTION: turn}}


def _check(store: CompressedSlide, turn: CompressedSlide, number: int) -> None:
    expected = turned_description(store.header.encoder, number)
    found = turn.header.encoder
    different = [key for key in IDENTITY_KEYS if expected.get(key) != found.get(key)]
    same_cells = np.array_equal(store.coverage, turn.coverage)
    if different or not same_cells or turn.header.slide_fingerprint != store.header.slide_fingerprint:
        raise StoreMismatchError(
            "the codes of turned patches do not belong to this compressed slide",
            path=turn.path,
            expected="the same slide, grid, cells and encoder",
            found=", ".join(different) or "another slide or other cells",
            hint=f"delete {turn.path.parent} and compress with --augment 8 again",
        )
