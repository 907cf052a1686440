"""Compress a slide seven times more, with its patches turned: the augmentation of Tellez et al. 2019."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from napari_nic.compress.pipeline import compress
from napari_nic.compress.progress import BlocksDone
from napari_nic.compressed import CompressedSlide, open_to_go_on
from napari_nic.compressed.turns import TURNS, turn_path, turned, turned_description
from napari_nic.encoders import Encoder, EncoderSpec
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.jobs import CancellationToken
from napari_nic.slides import Slide


class TurnedEncoder:
    """An encoder whose patches are turned before it sees them.

    Parameters
    ----------
    encoder : Encoder
    turn : int
        1 to 7, see :func:`napari_nic.compressed.turns.turned`.
    """

    def __init__(self, encoder: Encoder, turn: int) -> None:
        self._encoder, self._turn = encoder, turn
        self.spec = EncoderSpec.from_dict(turned_description(encoder.spec.to_dict(), turn))
        self.device, self.precision, self.batch_size = encoder.device, encoder.precision, encoder.batch_size

    def prepare_thread(self) -> None:
        """Set the calling thread up for encoding."""
        self._encoder.prepare_thread()

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Turn and encode patches (B, s, s, 3) uint8: ndarray of float32, (B, C)."""
        return self._encoder.encode(np.ascontiguousarray(turned(batch, self._turn, axis=1)))


def compress_turns(
    slide: Slide,
    encoder: Encoder,
    store: CompressedSlide,
    *,
    token: CancellationToken | None = None,
    workers: int | None = None,
) -> Iterator[BlocksDone]:
    """Encode the turned patches that a compressed slide still lacks.

    Parameters
    ----------
    slide : Slide
    encoder : Encoder
        The one that made `store`.
    store : CompressedSlide
        Complete. The codes go into stores inside it, see :mod:`napari_nic.compressed.turns`.
    token : CancellationToken, optional
    workers : int, optional
        As of :func:`~napari_nic.compress.compress`.

    Yields
    ------
    BlocksDone
        Of one turn after the other.

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
            "turned patches are encoded after the slide itself", path=store.path, hint="finish it first"
        )
    store.check_encoder(encoder.spec)
    for turn in range(1, TURNS):
        other = TurnedEncoder(encoder, turn)
        with _prepare(store, other, turn) as inner:
            for report in compress(slide, other, inner, token=token, workers=workers):
                yield replace(report, stage=f"turn {turn} of {TURNS - 1}")


def _prepare(store: CompressedSlide, encoder: TurnedEncoder, turn: int) -> CompressedSlide:
    """Create the store of a turn, or open it to go on."""
    header = replace(store.header, encoder=encoder.spec.to_dict())
    path = turn_path(store.path, turn)
    if not path.exists():
        return CompressedSlide.create(path, header, store.coverage)
    found = open_to_go_on(path)
    differences = found.header.differences(header)
    if differences or not np.array_equal(found.coverage, store.coverage):
        raise StoreMismatchError(
            "the codes of turned patches were made with other settings",
            path=path,
            found="; ".join(differences) or "other cells",
            hint=f"delete {path.parent} to make them anew",
        )
    return found
