"""From a trained network to the whole numbers that decide how its symbols decode.

What the float networks compute is approximated by :mod:`~napari_nic.recompression.neural.integer`:
activations of 12 bits with a scale for each channel, weights of up to 13 bits with a scale for each output,
scales being powers of 2. Ranges of activations are taken from sample pictures, with a margin; what exceeds
them is clipped, which costs bits and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.neural.elic import Elic
from napari_nic.recompression.neural.integer import (
    BLOCK,
    EXACT_32,
    FRACTION,
    FULL,
    LEAKY,
    MOST,
    MOST_RESULT,
    RELU,
    IntegerLayer,
    IntegerNet,
    Wholes,
)
from napari_nic.recompression.neural.layers import CheckerboardConv
from napari_nic.recompression.neural.models import (
    ChannelModel,
    GroupModel,
    GroupNets,
    HyperModel,
    SymbolModel,
)
from napari_nic.recompression.neural.nets import (
    CompressionNet,
    FactorizedPrior,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from napari_nic.recompression.neural.tables import gaussian_tables

MARGIN = 2.0
"""Activations may be so many times as large as in the sample before they are clipped."""

SAMPLE_SIDE, SAMPLE_COUNT = 256, 4

_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.ReLU, nn.LeakyReLU)
_MOST_BITS, _LEAST_BITS = 16, -8
_MOST_SCALE, _MOST_BIAS_BITS = 40, 40


@dataclass(frozen=True)
class _Ranges:
    """By layer: the largest magnitude (channels,) float64 of each channel that goes in and comes out."""

    inputs: dict[nn.Module, npt.NDArray[np.float64]] = field(default_factory=dict)
    outputs: dict[nn.Module, npt.NDArray[np.float64]] = field(default_factory=dict)

    def bits_in(self, layer: nn.Module) -> Wholes:
        """Bits after the point of what goes into a layer."""
        return _bits(self.inputs[layer])

    def bits_out(self, layer: nn.Module) -> Wholes:
        """Bits after the point of what comes out of it."""
        return _bits(self.outputs[layer])


def make_model(net: CompressionNet, pixels: npt.NDArray[np.uint8] | None = None) -> SymbolModel:
    """Make the model of a network's symbols.

    Parameters
    ----------
    net : CompressionNet
        In float32, on the processor, in evaluation mode.
    pixels : ndarray of uint8, (n, h, w, 3), optional
        Pictures like those that will be coded, from which the ranges of activations are taken; sides
        multiples of the network's factor. Without it: pictures made by code.

    Raises
    ------
    WeightsError
        If the weights give what no table or no whole number holds.
    """
    bottleneck = net.bottleneck
    hyper = ChannelModel(bottleneck.make_tables(), _wholes(bottleneck.medians), _name_of_bottleneck(net))
    if isinstance(net, FactorizedPrior):
        return hyper
    ranges = _ranges(net, sample_pixels() if pixels is None else pixels)
    if isinstance(net, Elic):
        return _group_model(net, hyper, ranges)
    assert isinstance(net, ScaleHyperprior)  # noqa: S101  # there are no others
    synthesis = _compiled(net.h_s, ranges, ranges.bits_in(net.h_s[0]))
    return HyperModel(hyper, synthesis, gaussian_tables(), isinstance(net, MeanScaleHyperprior))


def sample_pixels(count: int = SAMPLE_COUNT, side: int = SAMPLE_SIDE) -> npt.NDArray[np.uint8]:
    """Make pictures as manifold as tissue: (count, side, side, 3) uint8, the same every time."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    pictures = []
    for number in range(count):
        # From smooth to sharp: the spectrum of natural pictures falls about as 1 / f.
        spectrum = np.fft.rfft2(rng.normal(size=(3, side, side))) / frequency ** (1.5 - 0.4 * number)
        noise = np.fft.irfft2(spectrum, (side, side))
        noise /= noise.std()
        shade = noise[:1] + 0.3 * noise
        colors = np.array([200.0, 150.0, 190.0])[:, None, None] + 55 * shade
        colors[:, : side // 8] = 243
        pictures.append(np.clip(np.rint(colors), 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.stack(pictures)


def _name_of_bottleneck(net: CompressionNet) -> str:
    return "y" if isinstance(net, FactorizedPrior) else "z"


def _wholes(values: torch.Tensor) -> Wholes:
    return np.rint(values.double().numpy() * 2**FRACTION).astype(np.int64)


def _group_model(net: Elic, hyper: ChannelModel, ranges: _Ranges) -> GroupModel:
    h_s = net.latent_codec.hyper.h_s
    known_bits = ranges.bits_out(h_s[-1])
    groups = []
    for number, size in enumerate(net.groups):
        prior = net.prior(number)
        context = prior.context_prediction
        bits = [ranges.bits_out(context)]
        spatial = _compiled([context], ranges, ranges.bits_in(context), bits[0])
        channel = None
        if number:
            layers = net.channel_context(number)
            bits.append(ranges.bits_out(layers[-1]))
            channel = _compiled(layers, ranges, ranges.bits_in(layers[0]), bits[-1])
        parameters = _compiled(prior.entropy_parameters, ranges, np.concatenate([*bits, known_bits]))
        groups.append(GroupNets(size, spatial, parameters, channel))
    synthesis = _compiled(h_s, ranges, ranges.bits_in(h_s[0]), known_bits)
    return GroupModel(hyper, synthesis, gaussian_tables(), tuple(groups))


def _ranges(net: CompressionNet, pixels: npt.NDArray[np.uint8]) -> _Ranges:
    """Watch all layers while the network codes pictures."""
    check_pixels(pixels)
    ranges = _Ranges()

    def watch(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        for found, values in ((ranges.inputs, inputs[0]), (ranges.outputs, output)):
            most = values.abs().amax((0, 2, 3)).double().numpy()
            found[layer] = np.maximum(most, found.get(layer, most))

    watched = [layer for layer in net.modules() if isinstance(layer, _LAYERS)]
    handles = [layer.register_forward_hook(watch) for layer in watched]
    try:
        with torch.inference_mode():
            for picture in pixels:  # one at a time: several would take a lot of memory
                net.latents(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    finally:
        for handle in handles:
            handle.remove()
    return ranges


def check_pixels(pixels: npt.NDArray[np.uint8]) -> None:
    """Refuse what are no pictures.

    Raises
    ------
    InvalidParameterError
        If they are not uint8 (n, h, w, 3).
    """
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise InvalidParameterError(
            "these are no pixels for a learned codec",
            expected="uint8 (n, h, w, 3)",
            found=f"{pixels.dtype} {pixels.shape}",
        )


def _compiled(
    layers: Iterable[nn.Module], ranges: _Ranges, bits: Wholes, last: Wholes | None = None
) -> IntegerNet:
    """Turn layers, convolutions with or without an activation after each, into whole numbers.

    Parameters
    ----------
    layers : iterable of Module
    ranges : _Ranges
    bits : ndarray of int64, (inputs,)
        Bits after the point of what goes in.
    last : ndarray of int64, (outputs,), optional
        Of what comes out, which is clipped to what another network takes; FRACTION and much wider by default.
    """
    pairs: list[tuple[nn.Module, int, nn.Module]] = []
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            pairs.append((layer, FULL, layer))
        else:
            pairs[-1] = (pairs[-1][0], RELU if isinstance(layer, nn.ReLU) else LEAKY, layer)
    made, bits_in = [], bits
    for number, (layer, slope, end) in enumerate(pairs):
        is_last = number == len(pairs) - 1
        bits_out, limit = ranges.bits_out(end), MOST
        if is_last and last is not None:
            bits_out = last
        elif is_last:
            bits_out, limit = np.full_like(bits_out, FRACTION), MOST_RESULT
        weight, bias, stride = _parameters(layer)
        scaled = weight * np.exp2(-bits_in)[:, None, None, None]
        made.append(_layer(scaled, bias, bits_out, slope=slope, limit=limit, stride=stride))
        bits_in = bits_out
    return IntegerNet(bits, tuple(made))


def _parameters(layer: nn.Module) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Weights (inputs, kernel, kernel, outputs) as a transposed convolution has them, bias and stride."""
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)  # noqa: S101  # as all are built
    assert layer.bias is not None  # noqa: S101  # likewise
    bias = layer.bias.detach().double().numpy()
    weight = layer.seen if isinstance(layer, CheckerboardConv) else layer.weight
    values = weight.detach().double().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        return values.transpose(0, 2, 3, 1), bias, layer.stride[0]
    return values.transpose(1, 2, 3, 0)[:, ::-1, ::-1], bias, 1


def _layer(
    weight: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64],
    bits_out: Wholes,
    *,
    slope: int,
    limit: int,
    stride: int,
) -> IntegerLayer:
    """Scale each output's weights as far as sums stay exact, and round them."""
    scale = _largest_scale(weight, bias)
    whole = np.rint(weight * np.exp2(scale))
    return IntegerLayer(
        np.ascontiguousarray(whole, np.float32),
        np.rint(bias * np.exp2(scale)).astype(np.int64),
        scale - bits_out,
        slope=slope,
        limit=limit,
        stride=stride,
    )


def _largest_scale(weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> Wholes:
    """(outputs,): the power of 2 that weights are multiplied by."""
    starts = range(0, len(weight), BLOCK)

    def most(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums = [np.abs(values[start : start + BLOCK]).sum(0).max((0, 1)) for start in starts]
        return np.asarray(np.max(sums, 0))

    with np.errstate(divide="ignore"):
        scale = np.floor(np.log2((EXACT_32 - 1) / MOST / most(weight)))
        scale = np.minimum(scale, _MOST_BIAS_BITS - np.ceil(np.log2(np.abs(bias))))
    scale = np.clip(scale, -_MOST_SCALE, _MOST_SCALE).astype(np.int64)
    # Rounding up can make a sum a little larger than it was.
    scale -= most(np.rint(weight * np.exp2(scale))) * MOST >= EXACT_32
    return scale


def _bits(most: npt.NDArray[np.float64]) -> Wholes:
    """Bits after the point for channels of which these are the largest magnitudes."""
    with np.errstate(divide="ignore"):
        wanted = np.floor(np.log2(MOST / (MARGIN * most)))
    return np.clip(wanted, _LEAST_BITS, _MOST_BITS).astype(np.int64)
