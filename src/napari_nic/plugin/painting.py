"""Colours for cells while they arrive: PCA fitted on the first ones, and anew as their number doubles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import LivePca, PcaModel, store_preview
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import BlockCodes


@dataclass(frozen=True, eq=False)
class Picture:
    """Colours of a rectangle of cells.

    Attributes
    ----------
    rows, cols : slice
    rgba : ndarray of uint8, (rows, cols, 4)
        Transparent where nothing is encoded.
    """

    rows: slice
    cols: slice
    rgba: np.ndarray


class Painter:
    """Turns finished blocks of a store into colours; used in the worker thread.

    Every fit paints all cells anew, so that they share one scale; in between only the new blocks are
    painted.
    """

    def __init__(self, store: CompressedSlide, token: CancellationToken | None = None) -> None:
        self._store = store
        self._token = token
        self._live = LivePca()

    def paint(self, blocks: Iterable[BlockCodes]) -> tuple[Picture, ...]:
        """Return what changed on the screen by these blocks."""
        encoded = self._store.encoded()
        count = int(encoded.sum())
        if count == 0:
            return ()
        model = self._live.model
        if model is None or self._live.due(count):
            codes = self._store.read(token=self._token)
            model, _ = self._live.update(codes, encoded, token=self._token)
            return (self._whole(model, codes, encoded),)
        return tuple(Picture(b.rows, b.cols, model.to_rgb(b.codes, encoded[b.rows, b.cols])) for b in blocks)

    def finish(self) -> tuple[Picture, ...]:
        """Paint all cells by a fit on all of them: it depends on the codes alone, not on their order."""
        encoded = self._store.encoded()
        if not encoded.any():
            return ()
        codes = self._store.read(token=self._token)
        return (self._whole(PcaModel.fit(codes, encoded, token=self._token), codes, encoded),)

    def write_preview(self) -> None:
        """Put the picture of all cells into the store, for other viewers; glass is white there.

        A store that may not be written is complete, and keeps the one that it has.
        """
        if not self._store.writable:
            return
        if self._store.encoded().any():
            store_preview(self._store, token=self._token)

    def _whole(self, model: PcaModel, codes: np.ndarray, encoded: np.ndarray) -> Picture:
        rows, cols = encoded.shape
        return Picture(slice(0, rows), slice(0, cols), model.to_rgb(codes, encoded, token=self._token))
