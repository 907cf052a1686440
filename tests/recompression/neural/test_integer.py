"""Networks in whole numbers: exact, the same for any number of threads, and near what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits
from torch import nn

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.freezing import make_model
from napari_nic.recompression.neural.integer import (
    BLOCK,
    FRACTION,
    FULL,
    LEAKY,
    MOST,
    MOST_RESULT,
    RELU,
    IntegerLayer,
    IntegerNet,
    activations,
)


def layer_of(rng, kernel: int, inputs: int, outputs: int, **form: int) -> IntegerLayer:
    """A layer whose sums come as near to the bound as they may."""
    most = (2**24 - 1) // MOST // min(inputs, BLOCK)
    weights = rng.integers(-most, most + 1, (inputs, kernel, kernel, outputs))
    return IntegerLayer(
        weights.astype(np.float32),
        rng.integers(-(2**30), 2**30, outputs),
        rng.integers(-3, 14, outputs),
        slope=form.pop("slope", FULL),
        limit=form.pop("limit", MOST_RESULT),
        **form,
    )


def slowly(layer: IntegerLayer, x: np.ndarray) -> np.ndarray:
    """The layer in Python's own whole numbers, from its definition alone."""
    count, height, width, _ = x.shape
    size, stride = layer.weights.shape[1], layer.stride
    found = np.zeros((count, height * stride, width * stride, len(layer.bias)), object)
    found[:] = [int(value) for value in layer.bias]
    weights = layer.weights.astype(np.int64)
    for row, column, dy, dx in np.ndindex(height, width, size, size):
        y, x_ = row * stride + dy - size // 2, column * stride + dx - size // 2
        if 0 <= y < height * stride and 0 <= x_ < width * stride:
            found[:, y, x_] += x[:, row, column].astype(np.int64) @ weights[:, dy, dx]
    for channel, shift in enumerate(int(value) for value in layer.shift):
        for place in np.ndindex(found.shape[:3]):
            value = int(found[(*place, channel)])
            value = (value + (1 << shift >> 1)) >> shift if shift > 0 else value << -shift
            if value < 0:
                value = (value * layer.slope + (1 << 15)) >> 16 if layer.slope != FULL else value
            found[(*place, channel)] = max(-layer.limit, min(layer.limit, value))
    return found.astype(np.float64)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    slope=st.sampled_from([FULL, LEAKY, RELU]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_a_layer_is_exact_up_to_its_bounds(seed, kernel, stride, slope, size):
    rng = np.random.default_rng(seed)
    layer = layer_of(rng, kernel, 7, 3, stride=stride, slope=slope)
    x = rng.choice([-MOST, MOST, 0, 5], (2, *size, 7)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), slowly(layer, x))


def test_many_inputs_are_summed_in_blocks():
    rng = np.random.default_rng(0)
    layer = layer_of(rng, 3, BLOCK + 40, 2)
    x = rng.choice([-MOST, MOST], (1, 2, 2, BLOCK + 40)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), slowly(layer, x))


@pytest.mark.parametrize("transposed", [False, True])
def test_places_are_those_of_pytorch(transposed):
    rng = np.random.default_rng(1)
    weights = rng.integers(-9, 10, (4, 5, 5, 3)).astype(np.float32)
    layer = IntegerLayer(
        weights, np.arange(3), np.zeros(3, np.int64), FULL, MOST_RESULT, 2 if transposed else 1
    )
    x = rng.integers(-9, 10, (2, 3, 5, 4)).astype(np.float32)
    first = torch.from_numpy(x).permute(0, 3, 1, 2)
    bias = torch.arange(3.0)
    if transposed:
        kernel = torch.from_numpy(weights.transpose(0, 3, 1, 2).copy())
        wanted = nn.functional.conv_transpose2d(first, kernel, bias, 2, 2, output_padding=1)
    else:
        kernel = torch.from_numpy(weights[:, ::-1, ::-1].transpose(3, 0, 1, 2).copy())
        wanted = nn.functional.conv2d(first, kernel, bias, padding=2)
    np.testing.assert_array_equal(layer(x), wanted.permute(0, 2, 3, 1).numpy())


def test_sums_that_might_not_be_exact_are_refused():
    weights = np.full((8, 1, 1, 1), 2**24 // MOST // 8 + 1, np.float32)
    zero = np.zeros(1, np.int64)
    with pytest.raises(WeightsError, match="exact"):
        IntegerLayer(weights, zero, zero, FULL, MOST)
    small = weights // 2
    assert IntegerLayer(small, zero, zero, FULL, MOST)(np.ones((1, 1, 1, 8), np.float32)).shape == (
        1,
        1,
        1,
        1,
    )
    for wrong in (
        {"bias": zero + 2**53},
        {"shift": zero - 40},
        {"shift": zero + 61},
        {"weights": small + 0.5},
        {"weights": small * np.nan},
        {"slope": -1},
        {"limit": MOST_RESULT + 1},
        {"stride": 3},
    ):
        with pytest.raises(WeightsError):
            IntegerLayer(
                **{"weights": small, "bias": zero, "shift": zero, "slope": FULL, "limit": MOST, **wrong}
            )


def test_layers_must_fit_each_other():
    rng = np.random.default_rng(0)
    one, other = layer_of(rng, 1, 4, 3, limit=MOST), layer_of(rng, 1, 3, 2)
    bits = np.zeros(4, np.int64)
    assert IntegerNet(bits, (one, other))(np.ones((1, 2, 2, 4), np.float32)).shape == (1, 2, 2, 2)
    for layers in ((), (other, one), (layer_of(rng, 1, 4, 3), other)):
        with pytest.raises(WeightsError):
            IntegerNet(bits, layers)


def test_latents_are_rounded_to_the_bits_a_layer_wants():
    latents = np.array([-(2**39), -3, -2, 0, 1, 2, 3, 100, 2**39]).reshape(1, 1, 1, -1)
    found = activations(latents, np.array([FRACTION - 1]))
    np.testing.assert_array_equal(found.ravel(), [-MOST, -1, -1, 0, 1, 1, 2, 50, MOST])
    found = activations(latents, np.array([FRACTION + 1]))
    np.testing.assert_array_equal(found.ravel(), [-MOST, -6, -4, 0, 2, 4, 6, 200, MOST])


@pytest.mark.parametrize("name", ["bmshj2018-hyperprior", "mbt2018-mean"])
def test_whole_numbers_are_near_what_they_stand_for(name, nets, pixels):
    net, model = nets[name], make_model(nets[name], pixels)
    z = np.random.default_rng(0).integers(-4, 5, (2, len(model.hyper.medians), 4, 3)) * 2**FRACTION
    found = model.synthesis(activations(z, model.synthesis.bits)) / 2**FRACTION
    with torch.inference_mode():
        wanted = net.h_s(torch.from_numpy(z / 2**FRACTION).float()).permute(0, 2, 3, 1).numpy()
    error = found - wanted
    assert np.sqrt((error**2).mean()) < 0.005 * wanted.std() + 2**-FRACTION
    assert np.abs(error).max() < 0.03 * wanted.std() + 2**-FRACTION


def test_the_number_of_threads_changes_nothing():
    rng = np.random.default_rng(0)
    net = IntegerNet(np.zeros(200, np.int64), (layer_of(rng, 3, 200, 190, limit=MOST),))
    x = rng.integers(-MOST, MOST + 1, (2, 16, 16, 200)).astype(np.float32)
    with threadpool_limits(1):
        one = net(x)
    with threadpool_limits(2):
        np.testing.assert_array_equal(net(x), one)
