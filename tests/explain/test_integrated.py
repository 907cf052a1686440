"""Integrated gradients: equal to captum's, and adding up to what the network says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import integrated_gradients, saliency_overlay
from napari_nic.explain.gradients import LayerGradients
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import SlideNetConfig
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.inputs import frame


def toy_slide(toys: Any, rows: int = 30, cols: int = 27) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, cols, toys.code_size)).astype(np.float16), rng.random((rows, cols)) < 0.8


@pytest.mark.parametrize("strides", [(2, 2, 1), (1, 2, 1, 1)])
@pytest.mark.parametrize("steps", [1, 8])
def test_they_are_those_of_captum(toys: Any, strides: tuple[int, ...], steps: int) -> None:
    network = SlideNetConfig(toys.code_size, 3, 24, 16, strides)
    bundle = toys.untrained(toys.card(network, class_names=("a", "b", "c")))
    codes, mask = toy_slide(toys)
    ours = integrated_gradients(bundle, codes, mask, target=1, steps=steps, device="cpu")
    x = torch.from_numpy(bundle.standardiser.apply(codes, mask)).permute(2, 0, 1)[None]
    found = IntegratedGradients(bundle.network()).attribute(x, target=1, n_steps=steps)
    np.testing.assert_allclose(ours.values, found.sum(1)[0].numpy(), atol=1e-5)
    assert (ours.method, ours.layer, ours.target) == ("integrated gradients", -1, "b")


def test_the_cells_add_up_to_the_output_less_that_of_an_empty_slide(toys: Any) -> None:
    """On a slide smaller than a crop, which is framed; and background gets nothing."""
    bundle = toys.untrained(toys.card())
    codes, mask = toy_slide(toys, 19, 15)
    saliency = integrated_gradients(bundle, codes, mask, steps=64, device="cpu")
    net = bundle.network()
    values = frame(bundle.standardiser.apply(codes, mask), -2, -4, (24, 24))
    x = torch.from_numpy(values).permute(2, 0, 1)[None]
    with torch.inference_mode():
        difference = float(net(x) - net(torch.zeros_like(x)))
    assert saliency.values.sum() == pytest.approx(difference, rel=1e-2)
    assert saliency.values.shape == mask.shape
    assert not saliency.values[~mask].any()


def test_strips_change_nothing(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    codes, mask = toy_slide(toys, 60, 30)
    canvas = Canvas(codes, mask, bundle.standardiser, (60, 30))
    whole, short = (
        LayerGradients(bundle, canvas, target=1, layer=-1, device="cpu", strip_bytes=size)
        for size in (2**30, 5 * 30 * toys.code_size * 4)
    )
    assert len(list(short.features())) == 12
    for name in ("features", "gradients"):
        np.testing.assert_allclose(
            np.concatenate([getattr(strip, name) for strip in short.strips()]),
            np.concatenate([getattr(strip, name) for strip in whole.strips()]),
            atol=1e-7,
        )


def test_the_overlay_says_what_was_done(toys: Any) -> None:
    codes, mask = toy_slide(toys)
    saliency = integrated_gradients(toys.untrained(toys.card()), codes, mask, steps=2, device="cpu")
    note = saliency_overlay(saliency, toys.placement).note
    assert note.startswith("Integrated gradients of model 'toy-lesion' at the codes themselves")


def test_what_does_not_exist_is_refused_and_cancelling_stops(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    codes, mask = toy_slide(toys)
    with pytest.raises(InvalidParameterError, match="no such target"):
        integrated_gradients(bundle, codes, mask, target=2)
    with pytest.raises(InvalidParameterError, match="at least one step"):
        integrated_gradients(bundle, codes, mask, steps=0)
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        integrated_gradients(bundle, codes, mask, device="cpu", token=token)
