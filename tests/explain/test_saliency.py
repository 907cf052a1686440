"""Saliency: equal to captum's, at the right place, and true on a planted lesion."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerActivation, LayerGradCam, LayerGradientXActivation
from sklearn.metrics import roc_auc_score

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import SaliencyMap, grad_cam, saliency_overlay
from napari_nic.explain.gradients import LayerGradients
from napari_nic.explain.saliency import CamMethod, canvas_for, combine
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import ModelBundle, SlideNetConfig, Standardiser, TrainingSettings, train
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.features import FeatureGrid
from napari_nic.slide_models.striped import STRIP_BYTES

STRIDED = (2, 2, 1)
METHODS: tuple[CamMethod, ...] = ("Grad-CAM", "LayerCAM", "HiResCAM")


def values_of(toys: Any, side: int, seed: int = 0) -> np.ndarray:
    """Standardised codes (side, side, C)."""
    return np.random.default_rng(seed).normal(size=(side, side, toys.code_size)).astype(np.float32)


def heat_of(
    bundle: ModelBundle, values: np.ndarray, method: CamMethod, *, strip_bytes: int = STRIP_BYTES, **what: int
) -> np.ndarray:
    """The map of a layer, before it is brought to cells, of standardised codes as the network's input."""
    plain = Standardiser(np.zeros(values.shape[2], np.float32), np.ones(values.shape[2], np.float32))
    canvas = Canvas(values, np.ones(values.shape[:2], bool), plain, values.shape[:2])
    return combine(LayerGradients(bundle, canvas, device="cpu", strip_bytes=strip_bytes, **what), method)


def by_captum(
    bundle: ModelBundle, values: np.ndarray, method: CamMethod, *, target: int, layer: int
) -> np.ndarray:
    """The same by captum, on the network as it was trained and the slide in one piece."""
    net = bundle.network()
    x = torch.from_numpy(values).permute(2, 0, 1)[None]
    if method == "Grad-CAM":
        heat = LayerGradCam(net, net.blocks[layer]).attribute(x, target=target)
    else:
        heat = LayerGradientXActivation(net, net.blocks[layer]).attribute(x, target=target)
        if method == "LayerCAM":  # captum has none; a product's and a feature's sign tell the gradient's
            features = LayerActivation(net, net.blocks[layer]).attribute(x)
            heat = heat * (heat * features > 0)
    found: np.ndarray = heat.sum(1)[0].detach().numpy()
    return found


@pytest.mark.parametrize("strip_bytes", [1, STRIP_BYTES])
@pytest.mark.parametrize("strides", [STRIDED, (1, 2, 1, 1)])
@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("target", [0, 2])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_those_of_captum(
    toys: Any, method: CamMethod, strides: tuple[int, ...], layer: int, target: int, strip_bytes: int
) -> None:
    """Whether the slide is computed at once or in strips of a single row of features."""
    network = SlideNetConfig(toys.code_size, 3, 24, 16, strides)
    bundle = toys.untrained(toys.card(network, class_names=("a", "b", "c")))
    values = values_of(toys, 27)
    ours = heat_of(bundle, values, method, target=target, layer=layer, strip_bytes=strip_bytes)
    expected = by_captum(bundle, values, method, target=target, layer=layer)
    np.testing.assert_allclose(ours, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer", [0, 1, 5, 7])
@pytest.mark.parametrize("method", METHODS)
def test_strips_of_a_slide_larger_than_a_crop_show_no_seam(toys: Any, method: CamMethod, layer: int) -> None:
    """The paper's network, which sees 383 cells at once, in strips of a few rows."""
    bundle = toys.untrained(toys.card(SlideNetConfig(toys.code_size, 1, 400, width=4)))
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(470, 405, toys.code_size)).astype(np.float16)
    mask = rng.random((470, 405)) < 0.7
    canvas = canvas_for(bundle, codes, mask, bundle.card.network.features(layer))
    source = partial(LayerGradients, bundle, canvas, target=1, layer=layer, device="cpu")
    whole = combine(source(), method)
    strips = combine(source(strip_bytes=30 * canvas.shape[1] * toys.code_size * 4), method)
    largest = np.abs(whole).max()
    assert largest > 0
    np.testing.assert_allclose(strips / largest, whole / largest, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_memory_is_bounded_by_the_strip_and_not_by_the_slide(
    toys: Any, method: CamMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    rows = Canvas.rows
    monkeypatch.setattr(Canvas, "rows", lambda *args: made.append(args[2] - args[1]) or rows(*args))
    bundle = toys.untrained(toys.card(SlideNetConfig(toys.code_size, 1, 24, 16, (2, 2, 2))))
    heat_of(
        bundle, values_of(toys, 300), method, target=1, layer=0, strip_bytes=20 * 300 * toys.code_size * 4
    )
    assert sum(made) > 300
    halo = 2 * FeatureGrid.after((2, 2, 2)).field
    assert max(made) <= 20 + halo


def test_a_cancelled_explanation_stops(toys: Any) -> None:
    bundle, token = toys.untrained(toys.card()), CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        grad_cam(bundle, values_of(toys, 20), np.ones((20, 20), bool), device="cpu", token=token)


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
    toys: Any, lesion_model: ModelBundle, method: CamMethod
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
