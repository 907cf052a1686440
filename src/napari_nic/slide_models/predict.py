"""What a model says about a slide, as a whole and cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.compressed import CompressedSlide
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.card import BundleCard
from napari_nic.slide_models.inputs import TURNS, judging_corners

if TYPE_CHECKING:
    from napari_nic.slide_models.inference import Judge

TEST_CROPS = 10
"""Crops that judge a slide larger than one (T of Tellez et al. 2019)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """Scores of a slide and of its cells.

    Attributes
    ----------
    card : BundleCard
        The model that judged.
    mean, std : ndarray of float32, (K,)
        Per class (probabilities), regressed value or risk, over all views of the slide.
    n_crops, n_views : int
        Crops, and crops times eight positions.
    cell_scores : ndarray of float32, (rows, cols, K)
        The head of the network evaluated where each cell lies; see :func:`predict_codes`.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
        Of the cells, in micrometres.
    """

    card: BundleCard
    mean: np.ndarray
    std: np.ndarray
    n_crops: int
    n_views: int
    cell_scores: np.ndarray
    mask: np.ndarray
    placement: Placement

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes, or names of the regressed values, in the order of the scores."""
        return self.card.class_names

    @property
    def best(self) -> int:
        """Number of the class with the highest mean score."""
        return int(np.argmax(self.mean))

    @property
    def summary(self) -> str:
        """One line for people: ``"lesion: 0.93 +- 0.02 (10 crops x 8 turns)"``."""
        spread = f"({self.n_crops} crop{'s' * (self.n_crops != 1)} x {TURNS} turns)"
        shown = (self.best,) if self.card.task == "classification" else range(len(self.mean))
        scores = ", ".join(f"{self.class_names[k]}: {self.mean[k]:.2f} ± {self.std[k]:.2f}" for k in shown)
        return f"{scores} {spread}"


def predict(
    bundle: ModelBundle,
    store: CompressedSlide,
    *,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Prediction:
    """Judge a compressed slide by the cells that are encoded so far; see :func:`predict_codes`.

    Raises
    ------
    BundleError
        If the model was trained on another encoder's codes.
    InvalidParameterError
        If no cell is encoded.
    CancelledError
    """
    bundle.check_store(store)
    return predict_codes(
        bundle, store.read(), store.encoded(), store.grid.placement, device=device, token=token
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
    """Judge codes.

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
    eight turns and mirrors (Tellez et al. 2019, section 4). Only places are turned, codes are not made anew.
    A slide that fits into one crop is one crop, centred and padded with zeros.

    Cell score: the head of the network, trained on the mean of the last feature map, applied to each single
    location of it, and interpolated linearly between locations' centres. It says how the model judges the
    surroundings of the cell (as many cells as ``card.network.least_size`` across, not the cell alone), and
    is more extreme than the slide score; it is no calibrated probability of the cell.
    """
    from napari_nic.slide_models.inference import Judge

    token = token or CancellationToken()
    if not mask.any():
        raise InvalidParameterError(
            "no cell of the slide is encoded yet", hint="compress the slide, or a part of it, first"
        )
    judge = Judge(bundle, device=device)
    scores, n_crops = _slide_scores(judge, bundle, codes, mask, token)
    token.checkpoint()
    return Prediction(
        card=bundle.card,
        mean=scores.mean(axis=0),
        std=scores.std(axis=0),
        n_crops=n_crops,
        n_views=len(scores),
        cell_scores=_cell_scores(judge, bundle, codes, mask),
        mask=mask,
        placement=placement,
    )


def _slide_scores(
    judge: Judge, bundle: ModelBundle, codes: np.ndarray, mask: np.ndarray, token: CancellationToken
) -> tuple[np.ndarray, int]:
    """Return the scores (views, K) of all crops in all positions, and the number of crops."""
    side = bundle.card.crop_size
    views, corners = [], judging_corners(mask, side, TEST_CROPS)
    for top, left in corners:
        token.checkpoint()
        crop = Canvas(codes, mask, bundle.standardiser, (side, side), (-top, -left))
        views.append(judge.crop_outputs(crop.rows(0, side)))
    return scores_of(np.concatenate(views), bundle.card), len(corners)


def _cell_scores(judge: Judge, bundle: ModelBundle, codes: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the scores (rows, cols, K) of cells."""
    grid = bundle.card.network.features()
    # Padded by half of what a location sees, so that location i is centred on cell i * step.
    shape = (grid.covering(mask.shape[0]), grid.covering(mask.shape[1]))
    canvas = Canvas(codes, mask, bundle.standardiser, shape, (grid.start, grid.start))
    locations = scores_of(judge.location_outputs(canvas), bundle.card)
    return grid.to_cells(locations, (mask.shape[0], mask.shape[1]), inset=canvas.inset)


def scores_of(outputs: np.ndarray, card: BundleCard) -> np.ndarray:
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
