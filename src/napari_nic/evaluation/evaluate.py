"""How well classes can be told from codes: cross-validation by slide or patient, over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.classifiers import CodeTable, get_classifier, group_folds
from napari_nic.evaluation.scores import Scores
from napari_nic.jobs import CancellationToken

FOLDS = 5
LEAST_CLASSES = 2
LEAST_GROUPS = 2
"""A class of one slide cannot be both learnt and tested."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one classifier made of the codes of one set.

    Attributes
    ----------
    classifier : str
    folds : int
        Of each seed's cross-validation.
    patch : Scores
        Each patch by itself.
    tile : Scores or None
        Each tile by the mean of its patches' probabilities; None where a tile's patches have several classes.
    left_out : tuple of str
        Classes that are in one group only.
    """

    classifier: str
    folds: int
    patch: Scores
    tile: Scores | None
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "classifier": self.classifier,
            "folds": self.folds,
            "patch": self.patch.to_dict(),
            "tile": None if self.tile is None else self.tile.to_dict(),
            "classes_left_out": list(self.left_out),
        }


def evaluate_codes(
    codes: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seeds: int | Sequence[int] = 5,
    classifier: str = "linear",
    tiles: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    token: CancellationToken | None = None,
) -> Evaluation:
    """Cross-validate a classifier on frozen codes, Tellez et al. 2019, section 4.2 and Table 1.

    Every seed deals the groups (never the patches) into 5 folds, or as many as the rarest class has groups,
    with classes spread evenly; each patch is tested once a seed by a classifier that saw no patch of its
    group.

    Parameters
    ----------
    codes : ndarray, (n, C)
    labels : ndarray of int, (n,)
        Index of each code's class.
    groups : ndarray of str, (n,)
        Slide or patient.
    seeds : int or sequence of int
        Number of seeds (0, 1, ...), or the seeds.
    classifier : str
        ``"knn"``, ``"linear"`` or ``"mlp"``.
    tiles : ndarray of int, (n,), optional
        Tile of each code, for results per tile.
    class_names : sequence of str, optional
        By index; the indices themselves if not given.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If fewer than two classes are in two groups or more.
    UnknownNameError, MissingDependencyError, CancelledError
    """
    get_classifier(classifier)
    chosen, names, left_out = _usable(labels, groups, class_names)
    codes, groups = np.asarray(codes, np.float32)[chosen], np.asarray(groups)[chosen]
    labels = np.unique(labels[chosen], return_inverse=True)[1].astype(np.int64)
    table = CodeTable(codes, labels, groups, len(names))
    folds = min(FOLDS, table.groups_of_rarest())
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    chances = np.stack([_cross_validate(table, folds, classifier, seed, token) for seed in numbers])
    patch = Scores.of(names, labels, chances.argmax(axis=2))
    tile = None if tiles is None else _by_tile(chances, labels, np.asarray(tiles)[chosen], names)
    return Evaluation(classifier, folds, patch, tile, left_out)


def _usable(
    labels: np.ndarray, groups: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return which codes are of a class in several groups, these classes, and the others."""
    present = [int(label) for label in np.unique(labels)]
    spread = {label: len(np.unique(groups[labels == label])) for label in present}
    kept = [label for label in present if spread[label] >= LEAST_GROUPS]

    def named(wanted: list[int]) -> tuple[str, ...]:
        return tuple(class_names[label] if class_names else str(label) for label in wanted)

    if len(kept) < LEAST_CLASSES:
        counts = zip(named(present), spread.values(), strict=True)
        raise InvalidParameterError(
            "codes cannot be evaluated on these labels",
            expected=f"{LEAST_CLASSES} classes that are in {LEAST_GROUPS} slides or patients each",
            found=", ".join(f"{name} in {count}" for name, count in counts),
            hint="check the rule that tells slides or patients apart (--group)",
        )
    return np.isin(labels, kept), named(kept), named([label for label in present if label not in kept])


def _cross_validate(
    table: CodeTable, folds: int, classifier: str, seed: int, token: CancellationToken | None
) -> np.ndarray:
    """Return the probabilities (n, classes) of each code from the fold that tested it."""
    predict = get_classifier(classifier)
    chances = np.zeros((len(table.labels), table.classes))
    for train, test in group_folds(table.groups, table.labels, folds, seed):
        if token is not None:
            token.checkpoint()
        part = CodeTable(table.codes[train], table.labels[train], table.groups[train], table.classes)
        chances[test] = predict(part, table.codes[test], seed)
    return chances


def _by_tile(
    chances: np.ndarray, labels: np.ndarray, tiles: np.ndarray, names: tuple[str, ...]
) -> Scores | None:
    """Average probabilities (seeds, n, classes) within tiles; None if a tile's patches differ in class."""
    numbers, first, members = np.unique(tiles, return_index=True, return_inverse=True)
    if (labels != labels[first][members]).any():
        return None
    mean = np.stack([chances[:, members == index].mean(axis=1) for index in range(len(numbers))], axis=1)
    return Scores.of(names, labels[first], mean.argmax(axis=2))
