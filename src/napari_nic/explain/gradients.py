"""Gradients of a slide model at one of its layers; only imported when a model is explained."""

from __future__ import annotations

import numpy as np
import torch

from napari_nic.encoders.device import choose_device
from napari_nic.slide_models import ModelBundle
from napari_nic.slide_models.gridnet import GridNet


def features_and_gradients(
    bundle: ModelBundle, values: np.ndarray, *, target: int, layer: int, device: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Run the network and derive its output by the features of a layer.

    Parameters
    ----------
    bundle : ModelBundle
    values : ndarray of float32, (rows, cols, C)
        Standardised codes; at least as large as the network's field.
    target : int
        Class or regressed value.
    layer : int
        Convolution block, from 0; its features are taken after batch norm and LeakyReLU.

    Returns
    -------
    features, gradients : ndarray of float32, (h, w, J)
    """
    place = torch.device(choose_device(device))
    net: GridNet = bundle.network().to(place).to(memory_format=torch.channels_last)
    net.requires_grad_(requires_grad=False)
    codes = torch.from_numpy(np.ascontiguousarray(values)).permute(2, 0, 1)[None].to(place)
    with torch.no_grad():
        features = net.features(codes, last=layer + 1)
    features.requires_grad_()
    outputs = net.pooled(net.features(features, first=layer + 1))
    classes = bundle.card.task == "classification"
    (gradients,) = torch.autograd.grad(target_output(outputs, target, classes=classes), features)
    return _channels_last(features), _channels_last(gradients)


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
