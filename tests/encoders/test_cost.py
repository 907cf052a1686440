import numpy as np
import pytest

from napari_nic.encoders import load_encoder
from napari_nic.encoders.cost import architecture_cost, encoder_cost
from napari_nic.encoders.torch_encoder import untrained_encoder

SIDES = (31, 15, 7, 3)
"""Of the maps of four 3 x 3 convolutions with stride 2 over 64 px without padding."""


def by_hand(widths, features, code_size):
    channels = (3, *widths)
    maps = sum(s * s * 9 * channels[i] * channels[i + 1] for i, s in enumerate(SIDES))
    return maps + features * code_size


@pytest.mark.parametrize(
    ("name", "widths", "features"),
    [
        ("nic-64", (128,) * 4, 9 * 128),
        ("nic-64-pooled", (128,) * 4, 6 * 128),
        ("nic-64-slim", (32, 96, 192, 384), 2 * (96 + 192 + 384)),
        ("nic-64-tiny", (32, 64, 128, 256), 2 * (64 + 128 + 256)),
    ],
)
def test_multiply_adds_are_those_of_a_count_by_hand(name, widths, features):
    assert architecture_cost(name, 24) == by_hand(widths, features, 24)


def test_slim_costs_half_and_tiny_a_quarter():
    pooled, slim, tiny = (architecture_cost(f"nic-64-{name}", 128) for name in ("pooled", "slim", "tiny"))
    assert slim < pooled / 2
    assert tiny < pooled / 3.9


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_runs_costs_what_was_trained(precision):
    encoder = untrained_encoder("nic-64-tiny", 24, device="cpu", precision=precision)
    assert encoder_cost(encoder) == architecture_cost("nic-64-tiny", 24)


def test_another_network_is_counted_layer_by_layer(gallery):
    """The oracle multiplies, for each layer that it is told of, weights and places."""
    import torch

    encoder = load_encoder(gallery("timm-maps"), device="cpu", precision="float32")
    found = []

    def count(module, _, output):
        if isinstance(module, torch.nn.Conv2d):
            found.append(module.weight.numel() * output[0, 0].numel())

    handle = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        encoder.encode(np.zeros((1, 64, 64, 3), np.uint8))
    finally:
        handle.remove()
    assert encoder_cost(encoder) == sum(found) > 0


@pytest.mark.parametrize("name", ["torchscript", "onnx", "mean-rgb"])
def test_what_cannot_be_counted_is_not_guessed(gallery, name):
    assert encoder_cost(load_encoder(gallery(name), device="cpu", trust=True)) is None
