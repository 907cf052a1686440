"""Gradients of a slide model at one of its layers; only imported when a model is explained.

The network is taken apart at two places::

    canvas --blocks up to the layer--> features --a few blocks--> deep map --the rest--> output

The deep map is small: it is computed in strips, and the output's gradient by it at once. Each strip of
features then gets its gradient from the rows of the deep map that see it, which are all that matter. So the
gradient is that of the whole slide, seen at once, to the last rows of each strip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from napari_nic.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.striped import (
    STRIP_BYTES,
    feature_rows,
    features_in_strips,
    grid_of,
    strips_of,
)

DEEPER = 2
"""Blocks between the features and the deep map: with strides of 2, a map of 1/16 of the size."""


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """Some rows of a layer's features, and the gradient of the output by them.

    Attributes
    ----------
    first : int
        Row of the whole map that is the first here.
    features, gradients : ndarray of float32, (n, w, J)
    """

    first: int
    features: np.ndarray
    gradients: np.ndarray


class LayerGradients:
    """The features of one layer over a whole slide and the gradient of an output by them, strip by strip.

    Parameters
    ----------
    bundle : ModelBundle
    canvas : Canvas
        At least as large as the network's field.
    target : int
        Class or regressed value.
    layer : int
        Convolution block, from 0; its features are taken after batch norm and LeakyReLU. -1 for the
        standardised codes themselves.
    device : str
    token : CancellationToken, optional
        Checked between strips.
    strip_bytes : int
        Bytes of input that are seen at a time.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        canvas: Canvas,
        *,
        target: int,
        layer: int,
        device: str = "auto",
        token: CancellationToken | None = None,
        strip_bytes: int = STRIP_BYTES,
    ) -> None:
        place = torch.device(choose_device(device))
        net: GridNet = bundle.network().folded().to(place).to(memory_format=torch.channels_last)
        self._net = net.requires_grad_(requires_grad=False)
        self._canvas, self._target = canvas, target
        self._classes = bundle.card.task == "classification"
        self._token = token or CancellationToken()
        self._strip_bytes = strip_bytes
        self._layers = layer + 1
        self._deep = min(self._layers + DEEPER, len(net.blocks))
        self._grid = grid_of(net, 0, self._layers)

    @property
    def rows(self) -> int:
        """Count the rows of the layer's map."""
        return self._grid.size(self._canvas.shape[0])

    def output(self) -> float:
        """Return the output that speaks for the target, before sigmoid or softmax."""
        with torch.no_grad():
            return float(self._output(self._deep_map()))

    def features(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first row, features (n, w, J) float32) of strips from top to bottom."""
        for first, last in self._strips():
            with torch.no_grad():
                rows = feature_rows(self._net, self._canvas, first, last, layers=self._layers)
            yield first, _channels_last(rows)

    def strips(self) -> Iterator[FeatureRows]:
        """Yield features and gradients of strips from top to bottom."""
        deep = self._deep_map().requires_grad_()
        (by_deep,) = torch.autograd.grad(self._output(deep), deep)
        if self._deep == self._layers:
            yield FeatureRows(0, _channels_last(deep), _channels_last(by_deep))
            return
        for first, last in self._strips():
            yield self._strip(first, last, by_deep)

    def _strip(self, first: int, last: int, by_deep: torch.Tensor) -> FeatureRows:
        """Derive by the features of some rows: through all rows of the deep map that see any of them."""
        above = grid_of(self._net, self._layers, self._deep)
        deep_first = max(0, (first - above.field) // above.step + 1)
        deep_last = min(by_deep.shape[2], -(-last // above.step))
        if deep_first >= deep_last:  # valid padding leaves the last rows out
            with torch.no_grad():
                rows = feature_rows(self._net, self._canvas, first, last, layers=self._layers)
            return FeatureRows(first, _channels_last(rows), np.zeros_like(_channels_last(rows)))
        top = min(first, deep_first * above.step)
        bottom = max(last, (deep_last - 1) * above.step + above.field)
        with torch.no_grad():
            seen = feature_rows(self._net, self._canvas, top, bottom, layers=self._layers)
        seen = seen.detach().requires_grad_()
        deep = self._net.features(
            seen[:, :, deep_first * above.step - top :], first=self._layers, last=self._deep
        )
        wanted = by_deep[:, :, deep_first:deep_last]
        (gradients,) = torch.autograd.grad(deep[:, :, : wanted.shape[2]], seen, wanted)
        own = slice(first - top, last - top)
        return FeatureRows(first, _channels_last(seen)[own], _channels_last(gradients)[own])

    def _strips(self) -> Iterator[tuple[int, int]]:
        for strip in strips_of(self.rows, self._canvas, self._grid.step, self._strip_bytes):
            self._token.checkpoint()
            yield strip

    def _deep_map(self) -> torch.Tensor:
        with torch.no_grad():
            return features_in_strips(
                self._net,
                self._canvas,
                layers=self._deep,
                strip_bytes=self._strip_bytes,
                token=self._token,
            )

    def _output(self, deep: torch.Tensor) -> torch.Tensor:
        outputs = self._net.pooled(self._net.features(deep, first=self._deep))
        return target_output(outputs, self._target, classes=self._classes)


def target_output(outputs: torch.Tensor, target: int, *, classes: bool = True) -> torch.Tensor:
    """Return the output that speaks for `target`, before sigmoid or softmax.

    One output for two classes speaks for class 1, and its negative for class 0; one that is no class
    (`classes` is false: a regressed value, a risk) speaks for itself.
    """
    if outputs.shape[1] > 1 or not classes:
        return outputs[0, target]
    return outputs[0, 0] if target == 1 else -outputs[0, 0]


def _channels_last(maps: torch.Tensor) -> np.ndarray:
    array: np.ndarray = maps.detach()[0].permute(1, 2, 0).cpu().numpy()
    return array
