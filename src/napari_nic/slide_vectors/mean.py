"""The mean of the patches' codes: the slide vector that needs no file, and the floor of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_nic.embeddings import SHARD, CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_vectors.vector import PREFIX, SlideVector, describe_encoder, patch_encoder_of

MEAN = "mean"
"""Name under which it stands for a slide encoder's file."""


def mean_description(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the mean of a patch encoder's codes.

    Parameters
    ----------
    encoder : mapping
        Description of the patch encoder, as in a store's header.
    """
    name = str(encoder.get("name", "unnamed encoder"))
    options = {"patch_encoder": patch_encoder_of(encoder), "patch_encoder_name": name}
    return describe_encoder(f"mean of {name}", MEAN, int(encoder["code_size"]), options=options)


def is_mean(encoder: Mapping[str, Any]) -> bool:
    """Whether a description is that of a mean of patches' codes."""
    return encoder.get("architecture") == f"{PREFIX}{MEAN}"


def mean_vector(store: CompressedSlide, *, token: CancellationToken | None = None) -> SlideVector:
    """Average the codes of a slide's patches, every encoded cell with the same weight.

    Parameters
    ----------
    store : CompressedSlide
    token : CancellationToken, optional
        Asked at each row of shards.

    Returns
    -------
    SlideVector
        Of C numbers, summed in float64.

    Raises
    ------
    StoreError
        If no cell is encoded: a mean of nothing is no vector.
    CancelledError
    """
    mask = store.encoded()
    check_has_patches(store, mask)
    total = np.zeros(store.code_size)
    for top in range(0, mask.shape[0], SHARD):
        if token is not None:
            token.checkpoint()
        rows = slice(top, top + SHARD)
        total += store.read_cells(rows, slice(None), token=token)[mask[rows]].sum(axis=0, dtype=np.float64)
    values = np.asarray(total / np.count_nonzero(mask), np.float32)
    return SlideVector(
        store.slide_name,
        values,
        mean_description(store.header.encoder),
        store.header.slide_fingerprint,
        origin_of(store, mask),
    )


def check_has_patches(store: CompressedSlide, mask: np.ndarray) -> None:
    """Raise :class:`StoreError` for a slide of which no patch is encoded."""
    if not mask.any():
        raise StoreError(
            "the slide has no patch, so it has no vector",
            path=store.path,
            hint="leave it out, or compress it (again) with the tissue that is there",
        )


def origin_of(store: CompressedSlide, mask: np.ndarray) -> dict[str, Any]:
    """Say what a vector was made from."""
    header = store.header
    return {
        "store": store.path.name,
        "slide_key": header.slide_key,
        "patches": int(mask.sum()),
        "patch_encoder": dict(header.encoder),
        "grid": header.grid.to_dict(),
    }
