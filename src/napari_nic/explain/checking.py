"""Measure whether a saliency map should be believed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np

from napari_nic.embeddings.dihedral import N_DIHEDRAL, apply_dihedral, undo_dihedral
from napari_nic.errors import InvalidParameterError
from napari_nic.explain.curves import Curve, measure_curves
from napari_nic.explain.reliability import Reliability
from napari_nic.explain.saliency import INTEGRATED, CamMethod, SaliencyMap, canvas_for, grad_cam
from napari_nic.explain.stability import cell_spread, crops_of, mean_agreement, rank_correlation
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slide_models import ModelBundle, SlideScorer, Standardiser

N_VIEWS = N_DIHEDRAL
SLAB = 64
"""Rows of codes that are looked at together."""

CALIBRATED_FOR = ("classification", "Grad-CAM", 0)


def check_saliency(
    bundle: ModelBundle,
    codes: np.ndarray,
    saliency: SaliencyMap,
    *,
    folds: Sequence[ModelBundle] = (),
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Generator[Progress, None, Reliability]:
    """Measure whether a saliency map should be believed.

    Parameters
    ----------
    bundle : ModelBundle
        The map's model.
    codes : ndarray of float, (rows, cols, C)
    saliency : SaliencyMap
        Of :func:`~napari_nic.explain.grad_cam`.
    folds : sequence of ModelBundle
        Models that learned the same from other slides, where there are any.
    device : str
    token : CancellationToken, optional
        Asked at each map and score.

    Yields
    ------
    Progress
        Of maps, then of orders in which cells are masked; the :class:`Reliability` is what it returns.

    Raises
    ------
    InvalidParameterError
        If the map is of integrated gradients, another fold has other targets, or no cell is encoded.
    CancelledError

    Notes
    -----
    What is masked becomes background, as if it were not encoded: 0 after standardisation, which is both what
    the model was shown around slides and the mean code of its training, so that masking is nothing that it
    has never seen. (Attention leaves such cells out.) Curves are those of Petsiuk, Das and Saenko 2018
    (:mod:`~napari_nic.explain.curves`); random masks have a seed of their own, so that equal slides get equal
    numbers. All this asks whether the map shows what the model uses, and always does; whether the model uses
    the right thing no map can tell, so the slide's distance from the training's counts as well.
    """
    _check_folds(bundle, saliency, folds)
    token = token or CancellationToken()
    work = _Work(bundle, codes, saliency, device, token)
    parts = crops_of(saliency.mask, bundle.card.crop_size)
    total = N_VIEWS + len(parts) + len(folds)
    views, crops, others = [], [], []
    for number in range(total):
        token.checkpoint()
        yield Progress(number, total, "looking again", "maps")
        if number < N_VIEWS:
            views.append(work.view(number))
        elif number < N_VIEWS + len(parts):
            crops.append(work.crop(parts[number - N_VIEWS]))
        else:
            others.append(work.fold(folds[number - N_VIEWS - len(parts)]))
    score = partial(work.score, codes)
    curves = yield from measure_curves(score, saliency.values, saliency.mask, token=token)
    return work.result(views, crops, others, curves)


@dataclass(eq=False)
class _Work:
    """One map that is checked; the scores of all views are kept."""

    bundle: ModelBundle
    codes: np.ndarray
    saliency: SaliencyMap
    device: str
    token: CancellationToken

    def __post_init__(self) -> None:
        self.scores: list[float] = []
        self._scorer = SlideScorer(self.bundle, device=self.device, token=self.token)

    def score(self, codes: np.ndarray, mask: np.ndarray, *, by: ModelBundle | None = None) -> float:
        """Score the target by the cells of `mask` alone; the slide is framed as for the map."""
        bundle, scorer = self.bundle, self._scorer
        if by is not None:
            bundle, scorer = by, SlideScorer(by, device=self.device, token=self.token)
        canvas = canvas_for(bundle, codes, mask, bundle.card.network.features(self.saliency.layer))
        return float(scorer(canvas)[self.saliency.target_index])

    def view(self, transform: int) -> np.ndarray:
        """Return the map of a dihedral view, upright again."""
        codes, mask = (apply_dihedral(array, transform) for array in (self.codes, self.saliency.mask))
        self.scores.append(self.score(codes, mask))
        found = self._map(self.bundle, codes, mask)
        return np.ascontiguousarray(undo_dihedral(found, transform))

    def crop(self, part: np.ndarray) -> float:
        """Return how the map of a part of the slide agrees with the whole one there."""
        mask = self.saliency.mask & part
        self.scores.append(self.score(self.codes, mask))
        return rank_correlation(self._map(self.bundle, self.codes, mask)[mask], self.saliency.values[mask])

    def fold(self, other: ModelBundle) -> np.ndarray:
        """Return another model's map."""
        self.scores.append(self.score(self.codes, self.saliency.mask, by=other))
        return self._map(other, self.codes, self.saliency.mask)

    def _map(self, bundle: ModelBundle, codes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        like = self.saliency
        what: dict[str, Any] = {"target": like.target_index, "layer": like.layer, "method": like.method}
        return grad_cam(bundle, codes, mask, **what, device=self.device, token=self.token).values

    def result(
        self,
        views: Sequence[np.ndarray],
        crops: Sequence[float],
        others: Sequence[np.ndarray],
        curves: tuple[Curve, Curve],
    ) -> Reliability:
        like, mask = self.saliency, self.saliency.mask
        return Reliability(
            target=like.target,
            score=float(curves[0].scores[0]),
            score_std=float(np.std(self.scores)),
            n_scores=len(self.scores),
            deletion=curves[0],
            insertion=curves[1],
            views=mean_agreement(views, mask),
            crops=float(np.mean(crops)) if crops else float("nan"),
            folds=mean_agreement([like.values, *others], mask),
            unlike=unlikeness(self.codes, mask, self.bundle.standardiser),
            cell_spread=cell_spread([*views, *others], mask),
            calibrated=(like.task, like.method, like.layer) == CALIBRATED_FOR,
        )


def _check_folds(bundle: ModelBundle, saliency: SaliencyMap, folds: Sequence[ModelBundle]) -> None:
    if saliency.method == INTEGRATED:
        raise InvalidParameterError(
            "maps of integrated gradients are not checked: each needs as many passes as fifty others",
            expected=", ".join(get_args(CamMethod)),
            found=saliency.method,
        )
    for other in folds:
        if other.card.class_names != bundle.card.class_names:
            raise InvalidParameterError(
                f"model {other.name!r} is no other fold of {bundle.name!r}",
                expected=f"the targets {', '.join(bundle.card.class_names)}",
                found=", ".join(other.card.class_names),
            )


def unlikeness(codes: np.ndarray, mask: np.ndarray, standardiser: Standardiser) -> float:
    """Return how far a slide's codes are from those of a training, in nats.

    Parameters
    ----------
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    standardiser : Standardiser
        Mean and spread of the training's cells.

    Notes
    -----
    Mean over the channels of the Kullback-Leibler divergence of the training's cells from the slide's, both
    taken as normal: ``((1 + m^2) / s^2 - 1) / 2 + log(s)``, where m and s are the slide's mean and standard
    deviation after standardisation. 0 for a slide like the training as a whole.
    """
    slabs = ((codes[top : top + SLAB], mask[top : top + SLAB]) for top in range(0, len(mask), SLAB))
    slide = Standardiser.fit(slabs)
    means = (slide.mean.astype(np.float64) - standardiser.mean) / standardiser.std
    spreads = slide.std.astype(np.float64) / standardiser.std
    return float(np.mean(((1 + means**2) / spreads**2 - 1) / 2 + np.log(spreads)))
