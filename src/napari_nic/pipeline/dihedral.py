"""Compress a slide seven times more, its patches rotated and mirrored: augmentation of Tellez et al. 2019."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from napari_nic.embeddings import CompressedSlide, open_to_go_on
from napari_nic.embeddings.dihedral import (
    N_DIHEDRAL,
    apply_dihedral,
    transformed_description,
    transformed_path,
)
from napari_nic.encoders import Encoder, EncoderSpec
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline.progress import BlocksDone
from napari_nic.pipeline.run import iter_compress
from napari_nic.slides import Slide


class DihedralEncoder:
    """An encoder whose patches are rotated and mirrored before it sees them.

    Parameters
    ----------
    encoder : Encoder
    transform : int
        1 to 7, see :func:`napari_nic.embeddings.dihedral.apply_dihedral`.
    """

    def __init__(self, encoder: Encoder, transform: int) -> None:
        self._encoder, self._transform = encoder, transform
        self.spec = EncoderSpec.from_dict(transformed_description(encoder.spec.to_dict(), transform))
        self.device, self.precision, self.batch_size = encoder.device, encoder.precision, encoder.batch_size

    def prepare_thread(self) -> None:
        """Set the calling thread up for encoding."""
        self._encoder.prepare_thread()

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Transform and encode patches (B, s, s, 3) uint8: ndarray of float32, (B, C)."""
        return self._encoder.encode(np.ascontiguousarray(apply_dihedral(batch, self._transform, axis=1)))


def iter_compress_transformed(
    slide: Slide,
    encoder: Encoder,
    store: CompressedSlide,
    *,
    token: CancellationToken | None = None,
    workers: int | None = None,
) -> Iterator[BlocksDone]:
    """Encode the transformed patches that a compressed slide still lacks.

    Parameters
    ----------
    slide : Slide
    encoder : Encoder
        The one that made `store`.
    store : CompressedSlide
        Complete. The codes go into stores inside it, see :mod:`napari_nic.embeddings.dihedral`.
    token : CancellationToken, optional
    workers : int, optional
        As of :func:`~napari_nic.pipeline.compress`.

    Yields
    ------
    BlocksDone
        Of one transform after the other.

    Raises
    ------
    StoreError
        If the slide itself is not compressed completely.
    StoreMismatchError
        If the stores that are there were made otherwise.
    CancelledError
        What is finished is kept.
    """
    if not store.is_complete:
        raise StoreError(
            "transformed patches are encoded after the slide itself", path=store.path, hint="finish it first"
        )
    store.check_encoder(encoder.spec)
    for transform in range(1, N_DIHEDRAL):
        other = DihedralEncoder(encoder, transform)
        with _prepare(store, other, transform) as inner:
            for report in iter_compress(slide, other, inner, token=token, workers=workers):
                yield replace(report, stage=f"dihedral transform {transform} of {N_DIHEDRAL - 1}")


def _prepare(store: CompressedSlide, encoder: DihedralEncoder, transform: int) -> CompressedSlide:
    """Create the store of a transform, or open it to go on."""
    header = replace(store.header, encoder=encoder.spec.to_dict())
    path = transformed_path(store.path, transform)
    if not path.exists():
        return CompressedSlide.create(path, header, store.coverage)
    found = open_to_go_on(path)
    differences = found.header.differences(header)
    if differences or not np.array_equal(found.coverage, store.coverage):
        raise StoreMismatchError(
            "the codes of transformed patches were made with other settings",
            path=path,
            found="; ".join(differences) or "other cells",
            hint=f"delete {path.parent} to make them anew",
        )
    return found
