"""Where on the slide a model finds what speaks for a class: Grad-CAM and its relatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.explain.colormaps import DIVERGING
from napari_nic.explain.overlay import ROBUST, Overlay, symmetric_limits
from napari_nic.geometry import Placement
from napari_nic.slide_models import BundleCard, ModelBundle
from napari_nic.slide_models.features import FeatureGrid
from napari_nic.slide_models.inputs import frame

Method = Literal["Grad-CAM", "LayerCAM", "HiResCAM"]
_FORMULAS: dict[str, str] = {
    "Grad-CAM": "features weighted by the mean of their gradients",
    "LayerCAM": "features times the positive part of their gradients",
    "HiResCAM": "features times their gradients",
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
    method : {"Grad-CAM", "LayerCAM", "HiResCAM"}
    layer : int
        Convolution whose features were used, from 0.
    model : str
        Name of the bundle.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    """

    values: np.ndarray
    target: str
    target_index: int
    method: Method
    layer: int
    model: str
    mask: np.ndarray


def grad_cam(
    bundle: ModelBundle,
    codes: np.ndarray,
    mask: np.ndarray,
    *,
    target: int | None = None,
    layer: int = 0,
    method: Method = "Grad-CAM",
    device: str = "auto",
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

    Raises
    ------
    InvalidParameterError
        If target, layer or method does not exist, or the codes do not fit the model.

    Notes
    -----
    Grad-CAM is Eq. 7 of Tellez et al. 2019: ``h = sum_j f_j * gamma_j`` with ``gamma_j`` the spatial mean of
    ``dy / df_j``; f_j are the layer's features after batch norm and LeakyReLU, y the network's output before
    sigmoid or softmax. LayerCAM (Jiang et al. 2021) takes ``sum_j f_j * relu(dy / df_j)``, HiResCAM
    (Draelos and Carin 2020) ``sum_j f_j * dy / df_j``.

    The slide is seen at once, padded with zeros to the model's crop size or, if it is larger, by a rim, so
    that cells at the edges lie under features too. Features come back to cells by their true centres, see
    :mod:`napari_nic.slide_models.features`. On a slide larger than a crop y is the output for the mean of
    the last feature map, and values shrink as the number of its locations grows.
    """
    card = bundle.card
    target = len(card.class_names) - 1 if target is None else target
    grid = _checked(card, target, layer, method)
    shape, inset = _input_frame(card, grid, (mask.shape[0], mask.shape[1]))
    values = frame(bundle.standardiser.apply(codes, mask), -inset[0], -inset[1], shape)

    from napari_nic.explain.gradients import features_and_gradients

    features, gradients = features_and_gradients(bundle, values, target=target, layer=layer, device=device)
    heat = combine(features, gradients, method)
    cells = grid.to_cells(heat, (mask.shape[0], mask.shape[1]), inset=inset)
    return SaliencyMap(cells, card.class_names[target], target, method, layer, card.name, mask)


def combine(features: np.ndarray, gradients: np.ndarray, method: Method = "Grad-CAM") -> np.ndarray:
    """Combine features and gradients (h, w, J) into one signed map (h, w)."""
    if method == "Grad-CAM":
        return np.asarray(features @ gradients.mean(axis=(0, 1)))
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
            f"{saliency.method} of model {saliency.model!r} at convolution {saliency.layer + 1} "
            f"({_FORMULAS[saliency.method]}). Warm (red) cells speak for {saliency.target!r}, cold (blue) "
            f"cells against it, pale cells for neither. {whence} No probability."
        ),
    )


def _checked(card: BundleCard, target: int, layer: int, method: str) -> FeatureGrid:
    if not 0 <= target < len(card.class_names):
        raise InvalidParameterError(
            "no such target",
            expected=", ".join(f"{number} ({name})" for number, name in enumerate(card.class_names)),
            found=str(target),
        )
    if method not in get_args(Method):
        raise InvalidParameterError(
            "unknown method of saliency", expected=", ".join(get_args(Method)), found=repr(method)
        )
    if layer < 0:
        raise InvalidParameterError("layers are counted from 0", found=str(layer))
    return card.network.features(layer)


def _input_frame(
    card: BundleCard, grid: FeatureGrid, shape: tuple[int, int]
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
