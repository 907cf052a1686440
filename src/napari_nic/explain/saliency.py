"""Where on the slide a model finds what speaks for a class: Grad-CAM and its relatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.explain.colormaps import DIVERGING
from napari_nic.explain.overlay import ROBUST, Overlay, symmetric_limits
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import ModelBundle, ModelCard, Task
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.features import FeatureGrid

if TYPE_CHECKING:
    from napari_nic.explain.gradients import LayerGradients

CamMethod = Literal["Grad-CAM", "LayerCAM", "HiResCAM"]
Method = Literal["Grad-CAM", "LayerCAM", "HiResCAM", "integrated gradients"]
INTEGRATED: Method = "integrated gradients"
NO_PLACES = "a model on slide vectors sees no places, so there is no saliency"
_FORMULAS: dict[str, str] = {
    "Grad-CAM": "features weighted by the mean of their gradients",
    "LayerCAM": "features times the positive part of their gradients",
    "HiResCAM": "features times their gradients",
    INTEGRATED: "codes times their gradients, averaged on the way from an empty slide",
}


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """What speaks for (+) and against (-) a target, cell by cell.

    Attributes
    ----------
    values : ndarray of float32, (rows, cols)
        Raw: neither clipped nor scaled, so that slides and targets can be compared.
    target : str
        Class, or regressed value, that is explained.
    target_index : int
    method : {"Grad-CAM", "LayerCAM", "HiResCAM", "integrated gradients"}
    layer : int
        Convolution whose features were used, from 0; -1 for the codes themselves.
    model : str
        Name of the bundle.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    task : {"classification", "regression", "survival"}
        Of the model: a class is spoken for, a value or risk is raised.
    """

    values: np.ndarray
    target: str
    target_index: int
    method: Method
    layer: int
    model: str
    mask: np.ndarray
    task: Task = "classification"

    @property
    def ends(self) -> tuple[str, str]:
        """What negative and positive values do to the target, in a word or two."""
        verbs = ("against", "for") if self.task == "classification" else ("lowers", "raises")
        return f"{verbs[0]} {self.target}", f"{verbs[1]} {self.target}"


def grad_cam(
    bundle: ModelBundle,
    codes: np.ndarray,
    mask: np.ndarray,
    *,
    target: int | None = None,
    layer: int = 0,
    method: CamMethod = "Grad-CAM",
    device: str = "auto",
    token: CancellationToken | None = None,
) -> SaliencyMap:
    """Explain a model's output for a whole slide.

    Parameters
    ----------
    bundle : ModelBundle
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells; the others count as background.
    target : int, optional
        Class or regressed value; by default the last one (of two classes, the positive one).
    layer : int
        Convolution, from 0; the first has the finest map.
    method : {"Grad-CAM", "LayerCAM", "HiResCAM"}
    device : str
    token : CancellationToken, optional
        Checked between strips.

    Raises
    ------
    InvalidParameterError
        If target, layer or method does not exist, or the codes do not fit the model.
    CancelledError

    Notes
    -----
    Grad-CAM is Eq. 7 of Tellez et al. 2019: ``h = sum_j f_j * gamma_j`` with ``gamma_j`` the spatial mean of
    ``dy / df_j``; f_j are the layer's features after batch norm and LeakyReLU, y the network's output before
    sigmoid or softmax. LayerCAM (Jiang et al. 2021) takes ``sum_j f_j * relu(dy / df_j)``, HiResCAM
    (Draelos and Carin 2020) ``sum_j f_j * dy / df_j``.

    The slide is seen as a whole but computed in strips, which overlap by what a convolution sees: the map is
    that of the slide in one piece, without seams, and memory does not grow with the number of rows. (Of
    attention, which weighs all cells against each other, the features are held whole.)

    The slide is padded with zeros to the model's crop size or, if it is larger, by a rim, so that cells at
    the edges lie under features too. Features come back to cells by their true centres, see
    :mod:`napari_nic.slide_models.features`. On a slide larger than a crop y is the output for the mean of
    the last feature map, and values shrink as the number of its locations grows.
    """
    target, grid = _checked(bundle.card, target, layer, method)
    shape = (mask.shape[0], mask.shape[1])
    canvas = canvas_for(bundle, codes, mask, grid)

    from napari_nic.explain.gradients import LayerGradients

    source = LayerGradients(bundle, canvas, target=target, layer=layer, device=device, token=token)
    cells = grid.to_cells(combine(source, method), shape, inset=canvas.inset)
    card = bundle.card
    return SaliencyMap(cells, card.class_names[target], target, method, layer, card.name, mask, card.task)


def combine(source: LayerGradients, method: CamMethod = "Grad-CAM") -> np.ndarray:
    """Combine features and gradients, strip by strip, into one signed map: float32 (h, w) of the layer."""
    if method == "Grad-CAM":
        total, count = np.zeros(1), 0
        for strip in source.strips():
            total = total + strip.gradients.sum(axis=(0, 1), dtype=np.float64)
            count += strip.gradients.shape[0] * strip.gradients.shape[1]
        weights = (total / count).astype(np.float32)
        return np.concatenate([features @ weights for _, features in source.features()])
    return np.concatenate([_weighted(s.features, s.gradients, method) for s in source.strips()])


def _weighted(features: np.ndarray, gradients: np.ndarray, method: CamMethod) -> np.ndarray:
    weights = np.maximum(gradients, 0) if method == "LayerCAM" else gradients
    return np.asarray(np.einsum("hwj,hwj->hw", features, weights))


def saliency_overlay(
    saliency: SaliencyMap, placement: Placement, *, limits: tuple[float, float] | None = None
) -> Overlay:
    """Show a saliency map: red speaks for the target, blue against it, pale is neutral.

    Parameters
    ----------
    saliency : SaliencyMap
    placement : Placement
        Of the cells, in micrometres.
    limits : (float, float), optional
        To paint several slides alike; by default symmetric, from the 99th percentile of the size.
    """
    shown = saliency.values[saliency.mask]
    whence = (
        f"Colours are symmetric about 0 and end at percentile {ROBUST[1]:g} of this slide's values."
        if limits is None
        else "Colours end at the limits that were set."
    )
    where = f"convolution {saliency.layer + 1}" if saliency.layer >= 0 else "the codes themselves"
    return Overlay(
        name=f"Saliency: {saliency.target}",
        kind="saliency",
        data=saliency.values,
        mask=saliency.mask,
        placement=placement,
        unit="raw",
        limits=limits or symmetric_limits(shown),
        colormap=DIVERGING,
        note=(
            f"{saliency.method[:1].upper()}{saliency.method[1:]} of model {saliency.model!r} at {where} "
            f"({_FORMULAS[saliency.method]}). {_colours(saliency)} {whence} No probability."
        ),
        ends=saliency.ends,
    )


def _colours(saliency: SaliencyMap) -> str:
    if saliency.task == "classification":
        return (
            f"Warm (red) cells speak for {saliency.target!r}, cold (blue) cells against it, pale cells for "
            "neither."
        )
    return (
        f"Warm (red) cells raise the slide's {saliency.target!r}, cold (blue) cells lower it, pale cells do "
        "neither."
    )


def _checked(card: ModelCard, target: int | None, layer: int, method: str) -> tuple[int, FeatureGrid]:
    """Return the target's number and where the layer's features lie; refuse what does not exist."""
    target = chosen_target(card, target)
    if method not in get_args(CamMethod):
        raise InvalidParameterError(
            "unknown method of saliency", expected=", ".join(get_args(CamMethod)), found=repr(method)
        )
    if layer < 0:
        raise InvalidParameterError("layers are counted from 0", found=str(layer))
    return target, card.network.features(layer)


def chosen_target(card: ModelCard, target: int | None) -> int:
    """Return the number of the class or value to explain: `target`, or the model's last one.

    Raises
    ------
    InvalidParameterError
        If the model has no such target, or sees no places.
    """
    if card.network.is_of_vectors:
        raise InvalidParameterError(NO_PLACES, found=f"model {card.name!r} sees {card.sees}")
    if target is None:
        return len(card.class_names) - 1
    if not 0 <= target < len(card.class_names):
        raise InvalidParameterError(
            "no such target",
            expected=", ".join(f"{number} ({name})" for number, name in enumerate(card.class_names)),
            found=str(target),
        )
    return target


def canvas_for(bundle: ModelBundle, codes: np.ndarray, mask: np.ndarray, grid: FeatureGrid) -> Canvas:
    """Frame a slide with zeros, so that the model's crop fits and all cells lie under features of `grid`."""
    shape, inset = _input_frame(bundle.card, grid, (mask.shape[0], mask.shape[1]))
    return Canvas(codes, mask, bundle.standardiser, shape, inset)


def _input_frame(
    card: ModelCard, grid: FeatureGrid, shape: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return size of the network's input and where cell [0, 0] lies in it."""
    sizes, insets = [], []
    for cells in shape:
        # One feature must be centred on or before the first cell, and one on or after the last.
        least = grid.covering(cells)
        size = max(card.crop_size, least, card.network.least_size)
        sizes.append(size)
        insets.append(max(grid.start, (size - cells) // 2) if size > least else grid.start)
    return (sizes[0], sizes[1]), (insets[0], insets[1])
