"""Saliency: equal to captum's, at the right place, and true on a planted lesion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from sklearn.metrics import roc_auc_score

from napari_nic.errors import InvalidParameterError
from napari_nic.explain import SaliencyMap, grad_cam, saliency_overlay
from napari_nic.explain.gradients import features_and_gradients
from napari_nic.explain.saliency import Method, combine
from napari_nic.slide_models import ModelBundle, SlideNetConfig, Standardiser, TrainingSettings, train

STRIDED = (2, 2, 1)
METHODS: tuple[Method, ...] = ("Grad-CAM", "LayerCAM", "HiResCAM")


def values_of(toys: Any, side: int, seed: int = 0) -> np.ndarray:
    """Standardised codes (side, side, C)."""
    return np.random.default_rng(seed).normal(size=(side, side, toys.code_size)).astype(np.float32)


@pytest.mark.parametrize("strides", [STRIDED, (1, 2, 1, 1)])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("target", [0, 2])
def test_grad_cam_is_that_of_captum(toys: Any, strides: tuple[int, ...], layer: int, target: int) -> None:
    network = SlideNetConfig(toys.code_size, 3, 24, 16, strides)
    bundle = toys.untrained(toys.card(network, class_names=("a", "b", "c")))
    values = values_of(toys, 27)
    ours = combine(*features_and_gradients(bundle, values, target=target, layer=layer, device="cpu"))
    net = bundle.network()
    x = torch.from_numpy(values).permute(2, 0, 1)[None]
    oracle = LayerGradCam(net, net.blocks[layer]).attribute(x, target=target)
    np.testing.assert_allclose(ours, oracle[0, 0].detach().numpy(), atol=1e-5, rtol=1e-5)


def test_the_relatives_by_their_formulas(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    f, g = features_and_gradients(bundle, values_of(toys, 24), target=1, layer=0, device="cpu")
    np.testing.assert_allclose(combine(f, g, "HiResCAM"), (f * g).sum(-1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(combine(f, g, "LayerCAM"), (f * g.clip(0)).sum(-1), rtol=1e-4, atol=1e-6)


def test_two_classes_with_one_output_are_opposites(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    codes, mask = values_of(toys, 20), np.ones((20, 20), bool)
    against = grad_cam(bundle, codes, mask, target=0, device="cpu")
    speaks_for = grad_cam(bundle, codes, mask, device="cpu")
    assert (against.target, speaks_for.target) == ("normal", "lesion")
    np.testing.assert_allclose(against.values, -speaks_for.values, rtol=1e-5)


@pytest.mark.parametrize("task", ["regression", "survival"])
def test_a_single_value_is_explained_by_its_own_sign(toys: Any, task: str) -> None:
    value = toys.untrained(toys.card(task=task, class_names=("value",)))
    classes = toys.untrained(toys.card())
    codes, mask = values_of(toys, 20), np.ones((20, 20), bool)
    heat = grad_cam(value, codes, mask, device="cpu").values
    np.testing.assert_allclose(heat, grad_cam(classes, codes, mask, device="cpu").values, rtol=1e-5)


def test_attention_is_explained_at_its_one_layer(toys: Any) -> None:
    bundle = toys.untrained(toys.card(SlideNetConfig.attention(toys.code_size, 1, 24, width=8)))
    codes, mask = values_of(toys, 20), np.ones((20, 20), bool)
    mask[:5] = False
    heat = grad_cam(bundle, codes, mask, device="cpu").values
    assert not heat[~mask].any()
    assert np.abs(heat[mask]).min() > 0
    with pytest.raises(InvalidParameterError, match="no such layer"):
        grad_cam(bundle, codes, mask, layer=1, device="cpu")


def looking_at_one_channel(toys: Any, strides: tuple[int, ...], crop: int) -> ModelBundle:
    """A network that sums channel 0 over 3 x 3 cells in every layer and passes it through, all positive."""
    network = SlideNetConfig(toys.code_size, 1, crop, toys.code_size, strides)
    bundle = toys.untrained(toys.card(network))
    weights = {}
    for name, value in bundle.weights.items():
        array = np.zeros_like(value)
        if name.endswith(("norm.weight", "running_var")):
            array = np.ones_like(value)
        elif name.endswith("depthwise.weight"):
            array[:] = 1 / 9
        elif name.endswith(("pointwise.weight", "dense.weight", "output.weight")):
            array[0, 0] = 1
        weights[name] = array
    size = toys.code_size
    return ModelBundle(
        bundle.card, weights, Standardiser(np.zeros(size, np.float32), np.ones(size, np.float32))
    )


PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.3), (0.55, 0.36))
"""Shares of the grid's height and width: its corners, and two cells inside."""


@pytest.mark.parametrize("strides", [STRIDED, (1, 2, 1, 1)])
@pytest.mark.parametrize("shape", [(24, 24), (25, 23), (11, 8), (22, 23), (40, 31)])
@pytest.mark.parametrize("place", PLACES)
def test_a_hot_cell_lights_up_where_it_lies(
    toys: Any,
    strides: tuple[int, ...],
    shape: tuple[int, int],
    place: tuple[float, float],
) -> None:
    bundle = looking_at_one_channel(toys, strides, 24)
    row, col = (round(share * (size - 1)) for share, size in zip(place, shape, strict=True))
    codes, mask = np.zeros((*shape, toys.code_size), np.float16), np.ones(shape, bool)
    codes[row, col, 0] = 9
    heat = grad_cam(bundle, codes, mask, device="cpu").values
    assert heat.shape == shape
    assert heat[row, col] > 0
    assert heat[row, col] >= heat.max() * (1 - 1e-5)
    far = np.ones(shape, bool)
    far[max(0, row - 2) : row + 3, max(0, col - 2) : col + 3] = False
    assert np.abs(heat[far]).max() < 1e-6
    inner = 3 <= row < shape[0] - 3 and 3 <= col < shape[1] - 3
    if inner:
        y, x = np.mgrid[: shape[0], : shape[1]]
        np.testing.assert_allclose([(heat * y).sum(), (heat * x).sum()] / heat.sum(), [row, col], atol=1e-3)


@pytest.fixture(scope="module")
def lesion_model(toys: Any) -> ModelBundle:
    learn = [planted.slide for planted in toys.plant(40, seed=0)]
    choose = [planted.slide for planted in toys.plant(16, seed=1)]
    settings = TrainingSettings(epochs=8, steps=8, seed=1)
    best = list(train(toys.card(), learn, choose, settings=settings, device="cpu"))[-1].best
    assert best is not None
    return best


@pytest.mark.parametrize("method", METHODS)
def test_saliency_finds_a_lesion_that_only_labels_told_of(
    toys: Any, lesion_model: ModelBundle, method: Method
) -> None:
    aucs = []
    for planted in toys.plant(20, seed=2):
        slide = planted.slide
        if slide.label:
            heat = grad_cam(lesion_model, slide.codes, slide.mask, method=method, device="cpu").values
            aucs.append(roc_auc_score(planted.lesion[slide.mask], heat[slide.mask]))
    assert np.mean(aucs) > 0.85


def test_scale_and_sign_are_kept(toys: Any, lesion_model: ModelBundle) -> None:
    healthy, ill = toys.plant(2, seed=9)
    heats = [grad_cam(lesion_model, p.slide.codes, p.slide.mask, device="cpu").values for p in (healthy, ill)]
    assert min(heat.min() for heat in heats) < 0
    assert heats[1][ill.lesion].mean() > heats[0][healthy.slide.mask].mean()


def test_the_overlay_says_what_it_shows(toys: Any) -> None:
    values = np.linspace(-1, 4, 16, dtype=np.float32).reshape(4, 4)
    mask = np.ones((4, 4), bool)
    saliency = SaliencyMap(values, "lesion", 1, "LayerCAM", 0, "toy", mask)
    overlay = saliency_overlay(saliency, toys.placement)
    assert overlay.limits is not None
    assert overlay.limits[0] == -overlay.limits[1]
    assert overlay.colormap == "coolwarm"
    for word in ("lesion", "LayerCAM", "toy", "convolution 1", "Warm", "cold"):
        assert word in overlay.note
    assert saliency_overlay(saliency, toys.placement, limits=(-2, 2)).limits == (-2, 2)
    assert overlay.value_at(0, 0) == -1


def test_what_does_not_exist_is_refused(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    codes, mask = values_of(toys, 20), np.ones((20, 20), bool)
    with pytest.raises(InvalidParameterError, match="1 \\(lesion\\)"):
        grad_cam(bundle, codes, mask, target=2)
    with pytest.raises(InvalidParameterError, match="0 to 3"):
        grad_cam(bundle, codes, mask, layer=4)
    with pytest.raises(InvalidParameterError):
        grad_cam(bundle, codes, mask, layer=-1)
    with pytest.raises(InvalidParameterError, match="LayerCAM"):
        grad_cam(bundle, codes, mask, method="ScoreCAM")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="do not fit the model"):
        grad_cam(bundle, codes[..., 1:], mask)
