"""Confusion matrices over repeated runs, and the numbers that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Scores:
    """How often each class was taken for which.

    Attributes
    ----------
    class_names : tuple of str
    confusion : ndarray of int64, (seeds, k, k)
        Counts for each seed; rows are true classes, columns what was predicted.
    """

    class_names: tuple[str, ...]
    confusion: np.ndarray

    @classmethod
    def of(cls, class_names: tuple[str, ...], truth: np.ndarray, predicted: np.ndarray) -> Scores:
        """Count confusions.

        Parameters
        ----------
        class_names : tuple of str, (k,)
        truth : ndarray of int, (n,)
        predicted : ndarray of int, (seeds, n)
        """
        counts = np.zeros((len(predicted), len(class_names), len(class_names)), np.int64)
        for confusion, guess in zip(counts, predicted, strict=True):
            np.add.at(confusion, (truth, guess), 1)
        return cls(class_names, counts)

    @property
    def accuracy(self) -> np.ndarray:
        """Share that was predicted right, (seeds,): "global accuracy" in Table 1 of Tellez et al. 2019."""
        right = np.trace(self.confusion, axis1=1, axis2=2)
        return np.asarray(right / self.confusion.sum(axis=(1, 2)))

    @property
    def recall(self) -> np.ndarray:
        """Share of each class that was predicted right, (seeds, k): per-class accuracy."""
        right = np.diagonal(self.confusion, axis1=1, axis2=2)
        return np.asarray(right / self.confusion.sum(axis=2))

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """Mean of the classes' recalls, (seeds,); 1 / k by chance, whatever the classes' sizes."""
        return np.asarray(self.recall.mean(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """JSON form: mean, standard deviation and values over seeds; confusions summed over seeds."""
        return {
            "accuracy": summary(self.accuracy),
            "balanced_accuracy": summary(self.balanced_accuracy),
            "recall": {name: summary(self.recall[:, index]) for index, name in enumerate(self.class_names)},
            "confusion": self.confusion.sum(axis=0).tolist(),
        }


def summary(values: np.ndarray) -> dict[str, Any]:
    """Return mean, standard deviation (n - 1; 0 for a single value) and the values themselves."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": spread, "values": [float(value) for value in values]}
