"""What a model says about a slide, as a whole and cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.dihedral import open_transformed
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.inputs import N_DIHEDRAL, apply_dihedral, prediction_corners
from napari_nic.slide_models.sources import StoredSlide
from napari_nic.slide_vectors import SlideVector, mean_vector, vector_beside

if TYPE_CHECKING:
    from napari_nic.slide_models.inference import Predictor

TEST_CROPS = 10
"""Crops that a slide is predicted from larger than one (T of Tellez et al. 2019)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Scores of a slide and of its cells.

    Attributes
    ----------
    card : ModelCard
        The model that predicted.
    mean, std : ndarray of float32, (K,)
        Per class (probabilities), regressed value or risk, over all views of the slide.
    n_crops, n_views : int
        Crops, and crops times eight positions.
    cell_scores : ndarray of float32, (rows, cols, K)
        The head of the network evaluated where each cell lies; see :func:`predict_codes`. Not-a-number of a
        model on slide vectors; :meth:`of_cells` refuses those.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
        Of the cells, in micrometres.
    transformed_patches : bool
        Whether patches were transformed and encoded anew (the augmentation of the paper), or only the places
        of the codes were.
    """

    card: ModelCard
    mean: np.ndarray
    std: np.ndarray
    n_crops: int
    n_views: int
    cell_scores: np.ndarray
    mask: np.ndarray
    placement: Placement
    transformed_patches: bool = False

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes, or names of the regressed values, in the order of the scores."""
        return self.card.class_names

    @property
    def best(self) -> int:
        """Number of the class with the highest mean score."""
        return int(np.argmax(self.mean))

    @property
    def is_of_vector(self) -> bool:
        """Whether the score is of one vector of the slide: then no cell has a score of its own."""
        return self.card.network.is_of_vectors

    def of_cells(self) -> np.ndarray:
        """Return the scores of cells: ndarray of float32, (rows, cols, K).

        Raises
        ------
        InvalidParameterError
            If the model sees one vector of the slide, so that no cell has a score of its own.
        """
        if self.is_of_vector:
            raise InvalidParameterError(
                f"model {self.card.name!r} sees one vector of the slide: cells have no scores of their own",
                hint="choose a model that learned from grids of codes",
            )
        return self.cell_scores

    @property
    def views(self) -> str:
        """What the slide score is the mean of: ``"10 crops x 8 dihedral transforms of the grid"``."""
        if self.is_of_vector:
            return "one vector of the slide"
        transforms = "dihedral transforms" + (
            ", patches encoded anew" if self.transformed_patches else " of the grid"
        )
        return f"{self.n_crops} crop{'s' * (self.n_crops != 1)} x {N_DIHEDRAL} {transforms}"

    @property
    def scores_text(self) -> str:
        """Slide score and its spread: ``"lesion: 0.93 ± 0.02"``.

        Of classes the best one, with its probability; of a regression every value; of survival the risk,
        which is no probability. Spread is the standard deviation over views.
        """
        names, mean, std = self.class_names, self.mean, self.std
        if self.is_of_vector and self.card.task == "classification":
            return f"{names[self.best]}: {mean[self.best]:.2f}"
        if self.is_of_vector:
            return ", ".join(f"{name}: {value:.3g}" for name, value in zip(names, mean, strict=True))
        if self.card.task == "classification":
            return f"{names[self.best]}: {mean[self.best]:.2f} ± {std[self.best]:.2f}"
        return ", ".join(f"{names[k]}: {mean[k]:.3g} ± {std[k]:.2g}" for k in range(len(mean)))

    @property
    def summary(self) -> str:
        """One line for people: ``"lesion: 0.93 ± 0.02 (10 crops x 8 dihedral transforms of the grid)"``."""
        return f"{self.scores_text} ({self.views})"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: the slide's scores, not those of its cells."""
        values = zip(self.class_names, self.mean, self.std, strict=True)
        return {
            "model": self.card.name,
            "task": self.card.task,
            "class": self.class_names[self.best] if self.card.task == "classification" else None,
            "scores": {name: {"mean": float(mean), "std": float(std)} for name, mean, std in values},
            "crops": self.n_crops,
            "views": self.n_views,
            "transformed": "patches" if self.transformed_patches else "grid",
            "encoded_cells": int(self.mask.sum()),
        }


def predict(
    bundle: ModelBundle,
    store: CompressedSlide,
    *,
    transformed: Sequence[CompressedSlide] | None = None,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Prediction:
    """Predict a compressed slide by the cells that are encoded so far; see :func:`predict_codes`.

    Parameters
    ----------
    bundle : ModelBundle
        One on slide vectors takes the mean of the codes, if that is what it learned from.
    store : CompressedSlide
    transformed : sequence of CompressedSlide, optional
        Codes of the patches under the dihedral transforms 1 to 7. By default those that the store holds, if
        they are complete (``compress --augment 8``); where there are none, only the places of the codes
        are transformed.
    device : str
    token : CancellationToken, optional

    Raises
    ------
    BundleError
        If the model was trained on another encoder's codes, or on vectors of a slide encoder, which it must
        be given (:func:`predict_vector`).
    InvalidParameterError
        If no cell is encoded.
    StoreMismatchError
        If the transformed patches that the store holds are of another slide, grid or encoder.
    CancelledError
    """
    bundle.check_store(store)
    mask = store.encoded()
    if bundle.card.network.is_of_vectors:
        _check_encoded(mask)
        beside = vector_beside(store, bundle.card.encoder) if bundle.wants_slide_encoder else None
        vector = beside or mean_vector(store, token=token)
        return predict_vector(bundle, vector, placement=store.grid.placement, mask=mask, device=device)
    transformed = open_transformed(store) if transformed is None else tuple(transformed)
    source = (
        StoredSlide(store.path.name, store, mask, label=math.nan, transformed=transformed)
        if transformed
        else None
    )
    token = token or CancellationToken()
    seen = _Seen(bundle, store.read(token=token), mask, store.grid.placement, source)
    return _predict(seen, device, token)


def predict_vector(
    bundle: ModelBundle,
    vector: SlideVector,
    *,
    placement: Placement | None = None,
    mask: np.ndarray | None = None,
    device: str = "auto",
) -> Prediction:
    """Predict a slide from its vector.

    Parameters
    ----------
    bundle : ModelBundle
        Trained on vectors of the same slide encoder.
    vector : SlideVector
    placement : Placement, optional
        Of the cells that the vector was made from.
    mask : ndarray of bool, (rows, cols), optional
        Which of them are encoded.
    device : str

    Returns
    -------
    Prediction
        Of one view. Cells have no scores of their own: not-a-number.

    Raises
    ------
    BundleError
        If the model was trained on grids, or on vectors of another slide encoder.
    """
    from napari_nic.slide_models.inference import Predictor

    bundle.check_vector(vector)
    predictor = Predictor(bundle, device=device)
    cell = bundle.standardiser.apply(vector.values[None, None], np.ones((1, 1), bool))
    scores = scores_of(predictor.outputs(cell[None]), bundle.card)[0]
    mask = np.ones((1, 1), bool) if mask is None else mask
    return Prediction(
        card=bundle.card,
        mean=scores,
        std=np.zeros_like(scores),
        n_crops=1,
        n_views=1,
        cell_scores=np.full((*mask.shape, len(scores)), np.nan, np.float32),
        mask=mask,
        placement=placement or Placement((0.0, 0.0), (1.0, 1.0)),
    )


def predict_codes(
    bundle: ModelBundle,
    codes: np.ndarray,
    mask: np.ndarray,
    placement: Placement,
    *,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Prediction:
    """Predict from codes.

    Parameters
    ----------
    bundle : ModelBundle
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells; the others count as background.
    placement : Placement
        Of the cells.
    device : str
    token : CancellationToken, optional

    Notes
    -----
    Slide score: mean and standard deviation over T = 10 crops, evenly spaced over the encoded cells, times
    the eight dihedral transforms (Tellez et al. 2019, section 4). Only places are transformed, codes are not
    made anew; with codes of transformed patches at hand :func:`predict` takes those, as the paper does. A
    slide that fits into one crop is one crop, centred and padded with zeros.

    Cell score: the head of the network, trained on the mean of the last feature map, applied to each single
    location of it, and interpolated linearly between locations' centres. It says how the model scores the
    surroundings of the cell (as many cells as ``card.network.least_size`` across, not the cell alone), and
    is more extreme than the slide score; it is no calibrated probability of the cell.
    """
    return _predict(_Seen(bundle, codes, mask, placement), device, token or CancellationToken())


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is predicted, and by what; `transformed` gives crops of transformed patches if there are any."""

    bundle: ModelBundle
    codes: np.ndarray
    mask: np.ndarray
    placement: Placement
    apply_dihedral: StoredSlide | None = None

    def views(self, corner: tuple[int, int]) -> Callable[[int], np.ndarray]:
        """Return what gives a crop as the network sees it after a transform: float32 (R, R, C)."""
        side, standardiser, source = self.bundle.card.crop_size, self.bundle.standardiser, self.apply_dihedral
        if source is not None:
            return lambda transform: standardiser.apply(*source.crop(*corner, side, transform))
        canvas = Canvas(self.codes, self.mask, standardiser, (side, side), (-corner[0], -corner[1]))
        return partial(apply_dihedral, canvas.rows(0, side))


def _check_encoded(mask: np.ndarray) -> None:
    if not mask.any():
        raise InvalidParameterError(
            "no cell of the slide is encoded yet", hint="compress the slide, or a part of it, first"
        )


def _predict(seen: _Seen, device: str, token: CancellationToken) -> Prediction:
    from napari_nic.slide_models.inference import Predictor

    _check_encoded(seen.mask)
    if seen.bundle.card.network.is_of_vectors:
        raise InvalidParameterError(
            "a model on slide vectors takes no codes of patches",
            hint="give it the vector of the slide: napari-nic predict VECTOR.h5",
        )
    predictor = Predictor(seen.bundle, device=device)
    scores, n_crops = _slide_scores(predictor, seen, token)
    token.checkpoint()
    return Prediction(
        card=seen.bundle.card,
        mean=scores.mean(axis=0),
        std=scores.std(axis=0),
        n_crops=n_crops,
        n_views=len(scores),
        cell_scores=_cell_scores(predictor, seen, token),
        mask=seen.mask,
        placement=seen.placement,
        transformed_patches=seen.apply_dihedral is not None,
    )


def _slide_scores(predictor: Predictor, seen: _Seen, token: CancellationToken) -> tuple[np.ndarray, int]:
    """Return the scores (views, K) of all crops in all positions, and the number of crops."""
    card = seen.bundle.card
    corners = prediction_corners(seen.mask, card.crop_size, TEST_CROPS)
    views = [predictor.dihedral_outputs(_checked_view(seen.views(corner), token)) for corner in corners]
    return scores_of(np.concatenate(views), card), len(corners)


def _checked_view(view: Callable[[int], np.ndarray], token: CancellationToken) -> Callable[[int], np.ndarray]:
    """Come to a checkpoint before each transform: one of a large crop takes a second."""

    def view_of(transform: int) -> np.ndarray:
        token.checkpoint()
        return view(transform)

    return view_of


def _cell_scores(predictor: Predictor, seen: _Seen, token: CancellationToken) -> np.ndarray:
    """Return the scores (rows, cols, K) of cells."""
    bundle, mask = seen.bundle, seen.mask
    grid = bundle.card.network.features()
    # Padded by half of what a location sees, so that location i is centred on cell i * step.
    shape = (grid.covering(mask.shape[0]), grid.covering(mask.shape[1]))
    canvas = Canvas(seen.codes, mask, bundle.standardiser, shape, (grid.start, grid.start))
    locations = scores_of(predictor.location_outputs(canvas, token), bundle.card)
    return grid.to_cells(locations, (mask.shape[0], mask.shape[1]), inset=canvas.inset)


def scores_of(outputs: np.ndarray, card: ModelCard) -> np.ndarray:
    """Turn the network's outputs (..., outputs) into scores (..., K), float32.

    Classification gives probabilities that sum to 1 (sigmoid of one output for two classes, softmax
    otherwise); regression and survival give the outputs.
    """
    values = outputs.astype(np.float64)
    if card.task != "classification":
        return values.astype(np.float32)
    if values.shape[-1] == 1:
        values = np.concatenate([np.zeros_like(values), values], axis=-1)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
