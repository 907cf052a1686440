"""A model's scores of cells as a raster: one class, or the class that wins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_nic.errors import OutOfBoundsError
from napari_nic.explain.colormaps import SCORES
from napari_nic.explain.overlay import Overlay, robust_limits
from napari_nic.slide_models import ModelCard, Prediction


def prediction_overlay(prediction: Prediction, *, target: int | None = None) -> Overlay:
    """Show scores of cells.

    Parameters
    ----------
    prediction : Prediction
    target : int, optional
        Class or regressed value to show; by default every cell has the colour of its best class (of a
        regression, the first value is shown).

    Raises
    ------
    OutOfBoundsError
        If there is no such class.

    Notes
    -----
    Where the model sees one vector of the slide, every cell has the slide's score, and the note says so.
    """
    card = prediction.card
    count = len(card.class_names)
    if target is not None and not 0 <= target < count:
        raise OutOfBoundsError("no such class", expected=f"0 to {count - 1}", found=str(target))
    if prediction.is_of_vector:
        scores = np.broadcast_to(prediction.mean, prediction.cell_scores.shape)
        prediction = replace(prediction, cell_scores=np.array(scores))
    if target is None and card.task == "classification":
        return _winners(prediction)
    return _scores(prediction, target or 0)


def _winners(prediction: Prediction) -> Overlay:
    card = prediction.card
    return Overlay(
        name="Prediction",
        kind="prediction",
        data=prediction.cell_scores.argmax(axis=-1).astype(np.uint8),
        mask=prediction.mask,
        placement=prediction.placement,
        legend=tuple(zip(card.class_names, card.class_colors, strict=True)),
        note=f"The class with the highest score in each cell. {_about(prediction)}",
    )


def _scores(prediction: Prediction, target: int) -> Overlay:
    card = prediction.card
    name = card.class_names[target]
    values = prediction.cell_scores[..., target]
    classes = card.task == "classification"
    return Overlay(
        name=f"Prediction: {name}",
        kind="prediction",
        data=values,
        mask=prediction.mask,
        placement=prediction.placement,
        unit="score" if classes else name,
        limits=(0.0, 1.0) if classes else robust_limits(values[prediction.mask]),
        colormap=SCORES,
        legend=((name, card.class_colors[target]),) if classes else (),
        note=f"{_meaning(card, name)} {_about(prediction)}",
        ends=(f"low {name}", f"high {name}"),
    )


def _meaning(card: ModelCard, name: str) -> str:
    if card.task == "classification":
        return f"Score of {name!r}: bright is high, from 0 to 1."
    colours = "Bright is high; the colours end at percentiles 1 and 99 of this slide."
    if card.task == "survival":
        return (
            f"The {name}, a logarithm of the hazard: higher means an earlier event. It has no unit and "
            f"compares with risks by this model only. {colours}"
        )
    return f"The value {name!r} in its own unit. {colours}"


def _about(prediction: Prediction) -> str:
    card = prediction.card
    if prediction.is_of_vector:
        return (
            f"Model {card.name!r} sees one vector of the slide: all cells have the slide's score, and "
            f"there is no saliency. Whole slide: {prediction.summary}."
        )
    kind = (
        "; no calibrated probability of the cell" if card.task == "classification" else ", not the cell alone"
    )
    return (
        f"Model {card.name!r} scores the surroundings of each cell ({card.network.least_size} cells across)"
        f"{kind}. Whole slide: {prediction.summary}."
    )
