"""SimpleShot: the nearest class mean of centred, normalised codes; the floor that a probe is shown beside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from napari_nic.probe.strokes import Stroke


class SimpleShot:
    """Nearest class mean after centring and L2-normalisation (CL2N of Wang et al. 2019).

    Parameters
    ----------
    mean : ndarray of float64, (C,)
        Of the slides' codes: what is subtracted.
    classes : sequence of str
    strokes : iterable of Stroke
    """

    def __init__(self, mean: np.ndarray, classes: Sequence[str], strokes: Iterable[Stroke]) -> None:
        self._mean = mean
        self._number = {label: number for number, label in enumerate(classes)}
        self._sums = np.zeros((len(classes), len(mean)))
        self._counts = np.zeros(len(classes), int)
        for stroke in strokes:
            self._sums[self._number[stroke.label]] += self._normalised(stroke).sum(axis=0)
            self._counts[self._number[stroke.label]] += len(stroke)

    def without(self, stroke: Stroke) -> np.ndarray | None:
        """Classes of a stroke's cells by the other strokes' means; None where none of its class is left.

        Returns
        -------
        ndarray of int, (n,), or None
        """
        own, cells = self._number[stroke.label], self._normalised(stroke)
        sums, counts = self._sums.copy(), self._counts.copy()
        sums[own] -= cells.sum(axis=0)
        counts[own] -= len(stroke)
        if counts[own] == 0:
            return None
        means = sums / counts[:, None]
        return np.asarray((cells @ means.T - 0.5 * np.square(means).sum(axis=1)).argmax(axis=1))

    def _normalised(self, stroke: Stroke) -> np.ndarray:
        centred = stroke.codes - self._mean
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        return np.asarray(centred / np.where(length > 0, length, 1))
