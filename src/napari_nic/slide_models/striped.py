"""Feature maps of large slides, strip by strip; only imported when a model is used.

A convolution with valid padding sees a few rows above and below; a strip that brings these along gives
exactly the rows that the whole slide would give, so no seam shows, and memory does not grow with the number
of rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from napari_nic.jobs import CancellationToken, checked
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.features import FeatureGrid
from napari_nic.slide_models.gridnet import GridNet

STRIP_BYTES = 24 * 2**20
"""Bytes of a strip of input. Shorter strips compute more rows twice; longer ones are more memory than the C
library keeps, and to ask the system for it takes as long as a convolution."""

STEM_LAYERS = 3
"""Layers that run in strips; what is left for the others is, with strides of 2, 1/64 of the size."""


def grid_of(net: GridNet, first: int, last: int) -> FeatureGrid:
    """Say where the features after block ``last - 1`` lie on the map before block ``first``."""
    return FeatureGrid.after(net.config.strides[first:last])


def strips_of(
    rows: int, canvas: Canvas, step: int, strip_bytes: int = STRIP_BYTES
) -> Iterator[tuple[int, int]]:
    """Cut rows of features into (first, last) whose input is at most `strip_bytes`, at least one row each.

    Parameters
    ----------
    rows : int
        Rows of a feature map.
    canvas : Canvas
        The input.
    step : int
        Rows of the input between rows of features.
    """
    row_bytes = 4 * canvas.shape[1] * canvas.codes.shape[2]
    height = max(1, strip_bytes // (row_bytes * step))
    for first in range(0, rows, height):
        yield first, min(rows, first + height)


def feature_rows(net: GridNet, canvas: Canvas, first: int, last: int, *, layers: int) -> torch.Tensor:
    """Return rows ``first`` to ``last`` of the features after `layers` blocks: (1, width, rows, w)."""
    grid = grid_of(net, 0, layers)
    window = canvas.rows(first * grid.step, (last - 1) * grid.step + grid.field)
    place = next(net.parameters()).device
    codes = torch.from_numpy(window).permute(2, 0, 1)[None].to(place)
    return net.features(codes, last=layers)


def features_in_strips(
    net: GridNet,
    canvas: Canvas,
    *,
    layers: int | None = None,
    strip_bytes: int = STRIP_BYTES,
    token: CancellationToken | None = None,
) -> torch.Tensor:
    """Compute a feature map of a whole canvas.

    Parameters
    ----------
    net : GridNet
        In evaluation mode, on its device.
    canvas : Canvas
    layers : int, optional
        Blocks to run; by default all of them.
    strip_bytes : int
        Bytes of input that are seen at a time.
    token : CancellationToken, optional
        Asked at each strip.

    Returns
    -------
    Tensor of float32, (1, width, h, w)
        The same values as from the canvas in one piece.
    """
    layers = len(net.blocks) if layers is None else layers
    stem = min(layers, STEM_LAYERS)
    grid = grid_of(net, 0, stem)
    strips = strips_of(grid.size(canvas.shape[0]), canvas, grid.step, strip_bytes)
    maps = [feature_rows(net, canvas, first, last, layers=stem) for first, last in checked(strips, token)]
    return net.features(torch.cat(maps, dim=2), first=stem, last=layers)
