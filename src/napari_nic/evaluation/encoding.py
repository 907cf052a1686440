"""Codes of labelled patches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.encoders import Encoder
from napari_nic.evaluation.cutting import PATCHES_PER_TILE, LabelledPatches, Sight, cut_set
from napari_nic.evaluation.sets import LabelledSet
from napari_nic.jobs import CancellationToken


@dataclass(frozen=True, eq=False)
class EncodedSet:
    """Labelled patches and their codes.

    Attributes
    ----------
    patches : LabelledPatches
    codes : ndarray of float32, (n, C)
    """

    patches: LabelledPatches
    codes: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """Class of each patch, int64 (n,)."""
        return self.patches.labels

    @property
    def groups(self) -> np.ndarray:
        """Slide or patient of each patch, str (n,)."""
        return self.patches.groups

    @property
    def tiles(self) -> np.ndarray:
        """Number of each patch's tile, int64 (n,)."""
        return self.patches.tiles


def encode_set(
    encoder: Encoder, labelled: LabelledSet, *, patches_per_tile: int = PATCHES_PER_TILE
) -> EncodedSet:
    """Cut a set's patches as an encoder sees them, and encode them.

    Parameters
    ----------
    encoder : Encoder
        It is not changed: evaluation is of the frozen encoder.
    labelled : LabelledSet
    patches_per_tile : int
        At most.

    Raises
    ------
    InvalidParameterError
        If the set has no labelled patch at the encoder's resolution.
    """
    patches = cut_set(labelled, Sight.of(encoder.spec), patches_per_tile=patches_per_tile)
    return EncodedSet(patches, encode_patches(encoder, patches.images))


def encode_patches(
    encoder: Encoder, images: np.ndarray, *, token: CancellationToken | None = None
) -> np.ndarray:
    """Encode patches in the encoder's batches.

    Parameters
    ----------
    encoder : Encoder
    images : ndarray of uint8, (n, s, s, 3)
        Of the encoder's input size.
    token : CancellationToken, optional

    Returns
    -------
    ndarray of float32, (n, C)

    Raises
    ------
    CancelledError
    """
    codes = np.empty((len(images), encoder.spec.code_size), np.float32)
    for start in range(0, len(images), encoder.batch_size):
        if token is not None:
            token.checkpoint()
        part = slice(start, start + encoder.batch_size)
        codes[part] = encoder.encode(images[part])
    return codes
