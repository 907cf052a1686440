"""Codes of transformed patches, kept inside a slide's store: augmentation for training on whole slides.

A store ``{slide}.nic.zarr`` may hold seven more in ``turns/1`` to ``turns/7``, of the same grid and cells.
Cell [i, j] of number k is the code of the patch that lies at cell [i, j], transformed by
:func:`apply_dihedral` before it was encoded. To see the transformed slide, the codes of number k must also
change places: ``apply_dihedral(codes, k)``.
Each is a store of its own, so that making them can be interrupted; they move with their slide.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreMismatchError
from napari_nic.identity import differing

N_DIHEDRAL = 8
"""Rotations by 90 degrees, each with and without a mirror; number 0 leaves things as they are."""

FOLDER = "turns"
OPTION = "turn"
"""Entry among the options of the encoder of such a store: its codes are not those of upright patches."""


def apply_dihedral(array: np.ndarray, transform: int, *, axis: int = 0) -> np.ndarray:
    """Rotate by ``transform % 4`` quarter turns counter-clockwise; mirror left to right from 4 on.

    Parameters
    ----------
    array : ndarray
        Rows and columns are its axes `axis` and ``axis + 1``: a grid (rows, cols, ...), or with ``axis=1`` a
        batch of patches (B, h, w, 3).
    transform : int
        0 to 7.

    Returns
    -------
    ndarray
        A view.
    """
    rotated = np.rot90(array, transform % 4, axes=(axis, axis + 1))
    return np.flip(rotated, axis + 1) if transform >= N_DIHEDRAL // 2 else rotated


def undo_dihedral(array: np.ndarray, transform: int) -> np.ndarray:
    """Undo :func:`apply_dihedral` of the first two axes; a view."""
    upright = np.flip(array, 1) if transform >= N_DIHEDRAL // 2 else array
    return np.rot90(upright, -(transform % 4))


def transformed_path(store: Path, transform: int) -> Path:
    """Where the codes of the patches transformed so lie, 1 to 7."""
    return store / FOLDER / str(transform)


def open_transformed(store: CompressedSlide) -> tuple[CompressedSlide, ...]:
    """Open the seven stores of transformed patches; none unless all are there and complete.

    Raises
    ------
    StoreMismatchError
        If one was not made from the same slide, grid, cells and encoder.
    StoreError
        If one is damaged.
    """
    paths = [transformed_path(store.path, transform) for transform in range(1, N_DIHEDRAL)]
    if not all(path.exists() for path in paths):
        return ()
    stores = tuple(CompressedSlide.open(path) for path in paths)
    if not all(transform.is_complete for transform in stores):
        return ()
    for number, transform in enumerate(stores, start=1):
        _check(store, transform, number)
    return stores


def transformed_description(encoder: Mapping[str, Any], transform: int) -> dict[str, Any]:
    """Describe an encoder that transforms its patches first."""
    return {**encoder, "options": {**encoder.get("options", {}), OPTION: transform}}


def _check(store: CompressedSlide, transform: CompressedSlide, number: int) -> None:
    expected = transformed_description(store.header.encoder, number)
    found = transform.header.encoder
    different = differing(expected, found)
    same_cells = np.array_equal(store.coverage, transform.coverage)
    if different or not same_cells or transform.header.slide_fingerprint != store.header.slide_fingerprint:
        raise StoreMismatchError(
            "the codes of transformed patches do not belong to this compressed slide",
            path=transform.path,
            expected="the same slide, grid, cells and encoder",
            found=", ".join(different) or "another slide or other cells",
            hint=f"delete {transform.path.parent} and compress with --augment 8 again",
        )
