"""Classifiers on frozen codes. All weigh classes equally, whatever their sizes.

Each is a function ``(train, codes, seed) -> probabilities``; scikit-learn and PyTorch are imported when one
runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from napari_nic.errors import UnknownNameError
from napari_nic.extras import check_installed
from napari_nic.patches import split_by_group

NEIGHBOURS = 10
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisation of the linear probe, of which the best on held-out groups is taken."""

FIXED_STRENGTH = 1e-1
"""Where the groups are too few to hold any out."""

INNER_FOLDS = 3
ITERATIONS = 2000
STOP_TOLERANCE = 1e-3
HELD_OUT = 0.25
"""Share of the training groups by which the MLP's learning rate is lowered and its best state is chosen."""


@dataclass(frozen=True, eq=False)
class CodeTable:
    """Codes to train a classifier on.

    Attributes
    ----------
    codes : ndarray of float32, (n, C)
    labels : ndarray of int64, (n,)
        From 0 to `classes` - 1.
    groups : ndarray of str, (n,)
    classes : int
        Number of classes; of some there may be no code.
    """

    codes: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    classes: int

    def groups_of_rarest(self) -> int:
        """Return the number of groups of the class that has fewest."""
        return fewest_groups(self.labels, self.groups)


Classifier: TypeAlias = Callable[[CodeTable, np.ndarray, int], np.ndarray]
"""``(train, codes (m, C), seed) -> (m, classes) float``, rows sum to 1."""


def nearest_neighbours(train: CodeTable, codes: np.ndarray, _seed: int) -> np.ndarray:
    """Vote of the 10 nearest codes by Euclidean distance; a vote weighs 1 / its class's number of codes.

    Fewer vote where the smallest class has fewer codes: else the nearest would be mostly of other classes.
    Codes are taken as they are: distances are then those that a search for similar patches sees.
    Standardising would make the numbers that a variational autoencoder does not use as loud as the others.
    """
    from sklearn.neighbors import NearestNeighbors

    sizes = np.bincount(train.labels, minlength=train.classes)
    count = min(NEIGHBOURS, sizes[sizes > 0].min())
    nearest = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(train.codes)
    neighbours = train.labels[nearest.kneighbors(codes, return_distance=False)]
    votes = np.stack([(neighbours == index).sum(axis=1) for index in range(train.classes)], axis=1)
    weighed = votes / np.maximum(sizes, 1)
    return np.asarray(weighed / weighed.sum(axis=1, keepdims=True))


def linear_probe(train: CodeTable, codes: np.ndarray, seed: int) -> np.ndarray:
    """Logistic regression on standardised codes, as strong as balanced accuracy on held-out groups says."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=FIXED_STRENGTH, class_weight="balanced", max_iter=ITERATIONS, tol=STOP_TOLERANCE
        ),
    )
    folds = min(INNER_FOLDS, train.groups_of_rarest())
    if folds > 1:
        inner = group_folds(train.groups, train.labels, folds, seed)
        strengths = {"logisticregression__C": STRENGTHS}
        model = GridSearchCV(model, strengths, cv=inner, scoring=_balanced_accuracy)
    model.fit(train.codes, train.labels)
    probabilities = np.zeros((len(codes), train.classes))
    probabilities[:, model.classes_] = model.predict_proba(codes)
    return probabilities


def paper_mlp(train: CodeTable, codes: np.ndarray, seed: int) -> np.ndarray:
    """Run the classifier of Tellez et al. 2019, appendix; see :mod:`napari_nic.evaluation.mlp`."""
    from napari_nic.evaluation.mlp import train_mlp

    if train.groups_of_rarest() > 1:
        fit, check = split_by_group(train.groups, (1 - HELD_OUT, HELD_OUT), labels=train.labels, seed=seed)
    else:
        fit = check = np.arange(len(train.labels))
    return train_mlp(train, fit, check, seed=seed)(codes)


CLASSIFIERS: dict[str, Classifier] = {"knn": nearest_neighbours, "linear": linear_probe, "mlp": paper_mlp}
DESCRIPTIONS = {
    "knn": f"{NEIGHBOURS} nearest neighbours, Euclidean on codes as they are, votes weighed by class size",
    "linear": "logistic regression on standardised codes, balanced classes, C of "
    f"{', '.join(f'{c:g}' for c in STRENGTHS)} by {INNER_FOLDS} inner folds of groups",
    "mlp": "dense 256, batch norm, LeakyReLU, output on the codes as they are; Adam 1e-2, / 10 on plateau to"
    " 1e-5; balanced classes",
}


def get_classifier(name: str) -> Classifier:
    """Return a classifier by its name: ``knn``, ``linear`` or ``mlp``.

    Raises
    ------
    UnknownNameError
    MissingDependencyError
        If scikit-learn is not installed, which the first two need.
    """
    if name not in CLASSIFIERS:
        raise UnknownNameError(f"unknown classifier {name!r}", expected=f"one of {', '.join(CLASSIFIERS)}")
    if name != "mlp":
        check_installed("sklearn", f"the classifier {name}")
    return CLASSIFIERS[name]


def group_folds(
    groups: np.ndarray, labels: np.ndarray, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split into (training, test) indices `folds` times: by group, classes spread evenly, each index once.

    Raises
    ------
    InvalidParameterError
        If there are fewer groups than folds.
    """
    parts = split_by_group(groups, (1 / folds,) * folds, labels=labels, seed=seed)
    everything = np.arange(len(labels))
    return [(np.setdiff1d(everything, part), part) for part in parts]


def fewest_groups(labels: np.ndarray, groups: np.ndarray) -> int:
    """Return the number of groups that hold the class which is in fewest."""
    return min(len(np.unique(groups[labels == label])) for label in np.unique(labels))


def _balanced_accuracy(model: Any, codes: np.ndarray, labels: np.ndarray) -> float:
    right = model.predict(codes) == labels
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))
