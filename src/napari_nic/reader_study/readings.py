"""What is compared: a reader's annotations, a model's prediction, its saliency; all as areas of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_nic.annotations import AnnotationSet, cell_area
from napari_nic.errors import InvalidParameterError
from napari_nic.explain import AreaOptions, SaliencyMap, salient_area
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.reader_study.cells import areas_of_classes
from napari_nic.slide_models import Prediction

if TYPE_CHECKING:
    import shapely


@dataclass(frozen=True, eq=False)
class ValueMap:
    """A map of values, high where a class is.

    Attributes
    ----------
    values : ndarray of float, (rows, cols)
    mask : ndarray of bool, (rows, cols)
        Cells that have a value.
    grid : PatchGrid
    """

    values: np.ndarray
    mask: np.ndarray
    grid: PatchGrid


@dataclass(frozen=True, eq=False)
class Reading:
    """What one reader or model says of a slide.

    Attributes
    ----------
    name : str
        Of the reader or model.
    annotations : AnnotationSet
        Its areas, level-0 pixels.
    maps : mapping of str to ValueMap
        Class to the values that its areas were cut from; empty for a reader.
    seen : shapely geometry, optional
        Where it says something at all, level-0 pixels: the encoded cells of a model. None is everywhere.
    how : str
        How the areas came about, in a few words.
    """

    name: str
    annotations: AnnotationSet
    maps: Mapping[str, ValueMap] = field(default_factory=dict)
    seen: shapely.Geometry | None = None
    how: str = "drawn"

    def renamed(self, names: Mapping[str, str]) -> Reading:
        """Return it with other names of classes; what is not named stays."""
        if not names:
            return self
        shapes = tuple(replace(a, label=names.get(a.label, a.label)) for a in self.annotations.annotations)
        colors = {names.get(label, label): color for label, color in self.annotations.colors.items()}
        return replace(
            self,
            annotations=replace(self.annotations, annotations=shapes, colors=colors),
            maps={names.get(label, label): value for label, value in self.maps.items()},
        )


def prediction_reading(
    prediction: Prediction, grid: PatchGrid, *, token: CancellationToken | None = None
) -> Reading:
    """Take a model's prediction as a reading: each cell belongs to the class with the highest score.

    Parameters
    ----------
    prediction : Prediction
        Of a classification.
    grid : PatchGrid
        Of the store that was predicted.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If the model predicts no classes.
    """
    card = prediction.card
    if card.task != "classification":
        raise InvalidParameterError(
            "this model predicts no classes, so there are no areas to compare",
            expected="a model for classification",
            found=f"{card.name!r}, {card.task}",
        )
    best = prediction.of_cells().argmax(axis=-1)
    masks = {name: (best == k) & prediction.mask for k, name in enumerate(card.class_names)}
    maps = {
        name: ValueMap(prediction.of_cells()[..., k], prediction.mask, grid)
        for k, name in enumerate(card.class_names)
    }
    name = f"prediction of {card.name}"
    areas = areas_of_classes(masks, grid, source=name, token=token)
    how = "cells of the class with the highest score"
    return Reading(name, areas, maps, cell_area(prediction.mask, grid, token=token), how)


def saliency_reading(
    saliency: SaliencyMap,
    grid: PatchGrid,
    options: AreaOptions | None = None,
    *,
    token: CancellationToken | None = None,
) -> Reading:
    """Take saliency as a reading: where it speaks for its target is an area of that class.

    Parameters
    ----------
    saliency : SaliencyMap
    grid : PatchGrid
        Of the store that was explained.
    options : AreaOptions, optional
        How the map becomes an area; see :func:`~napari_nic.explain.salient_area`.
    token : CancellationToken, optional
    """
    options = options or AreaOptions()
    name = f"saliency of {saliency.model}"
    areas = areas_of_classes(
        {saliency.target: salient_area(saliency, options)}, grid, source=name, token=token
    )
    maps = {saliency.target: ValueMap(saliency.values, saliency.mask, grid)}
    cut = "Otsu's threshold" if options.threshold is None else f"values of {options.threshold:g} or more"
    how = (
        f"{saliency.method}, smoothed by {options.sigma:g} cells, {cut}, parts of {options.min_cells} cells "
        "or more"
    )
    return Reading(name, areas, maps, cell_area(saliency.mask, grid, token=token), how)


def only_labels(annotations: AnnotationSet, labels: Sequence[str] | None) -> AnnotationSet:
    """Return the shapes of some classes; all of them if none is named."""
    if labels is None:
        return annotations
    kept = tuple(a for a in annotations.annotations if a.label in labels)
    return replace(annotations, annotations=kept)


def labels_of(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Classes that have areas in any of the readings, in the order of their first one."""
    return tuple(dict.fromkeys(a.label for one in readings for a in one.annotations.annotations if a.is_area))
