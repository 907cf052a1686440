"""Integrated gradients of a slide model: slow, and exact in what it adds up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.explain.saliency import INTEGRATED, SaliencyMap, canvas_for, chosen_target
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.features import FeatureGrid

STEPS = 32
"""Points on the way from an empty slide; twice as many change little, half as many may miss a bend."""


def integrated_gradients(
    bundle: ModelBundle,
    codes: np.ndarray,
    mask: np.ndarray,
    *,
    target: int | None = None,
    steps: int = STEPS,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> SaliencyMap:
    """Share a model's output out among the cells of a slide.

    A reference for the quicker :func:`~napari_nic.explain.grad_cam`: it needs as many passes as `steps`,
    and its map has the resolution of the cells.

    Parameters
    ----------
    bundle : ModelBundle
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells; the others count as background.
    target : int, optional
        Class or regressed value; by default the last one.
    steps : int
        Points of the integral.
    device : str
    token : CancellationToken, optional
        Checked between strips.

    Raises
    ------
    InvalidParameterError
        If there is no such target or no step, or the codes do not fit the model.
    CancelledError

    Notes
    -----
    Sundararajan, Taly and Yan 2017, Eq. 1, summed over the channels of a cell::

        h = sum_c x_c * integral over a from 0 to 1 of dy / dx_c (a x)

    x are standardised codes, y is the output before sigmoid or softmax, and the way begins at an empty slide
    (all background). The integral is taken by Gauss and Legendre's rule. The values of all cells add up to
    y(slide) - y(empty slide), as far as the steps suffice.
    """
    if steps < 1:
        raise InvalidParameterError("integrated gradients need at least one step", found=str(steps))
    target = chosen_target(bundle.card, target)
    canvas = canvas_for(bundle, codes, mask, FeatureGrid.after(()))
    heat = np.zeros(canvas.shape, np.float32)
    for at, weight in zip(*_gauss_legendre(steps), strict=True):
        part = replace(canvas, scale=float(at))
        for rows, products in _products(bundle, part, target, device=device, token=token):
            # The features are the scaled codes; the formula wants the codes.
            heat[rows] += weight / at * products
    top, left = canvas.inset
    cells = heat[top : top + mask.shape[0], left : left + mask.shape[1]].copy()
    name = bundle.card.class_names[target]
    return SaliencyMap(cells, name, target, INTEGRATED, -1, bundle.card.name, mask, bundle.card.task)


def _products(
    bundle: ModelBundle, canvas: Canvas, target: int, *, device: str, token: CancellationToken | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield rows of the canvas and, for their cells (rows, cols), codes times gradients, summed over C."""
    from napari_nic.explain.gradients import LayerGradients

    source = LayerGradients(bundle, canvas, target=target, layer=-1, device=device, token=token)
    for strip in source.strips():
        rows = slice(strip.first, strip.first + len(strip.features))
        yield rows, np.einsum("hwc,hwc->hw", strip.features, strip.gradients)


def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points within (0, 1) and their weights, which sum to 1."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (points + 1) / 2, weights / 2
