"""The networks, in PyTorch, with CompressAI's names of parameters, so that its published weights load.

After Balle, Minnen, Singh, Hwang and Johnston, *Variational image compression with a scale hyperprior*, ICLR
2018; written anew from the papers and the names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.tables import SymbolTables, frequencies

CHANNELS = {quality: (128, 192) if quality <= 5 else (192, 320) for quality in range(1, 9)}
"""(N, M) of bmshj2018-factorized by quality."""

STEP = 16
"""Pixels along a side that one symbol of a channel stands for."""

_OFFSET = 2.0**-18
_BETA_LEAST = 1e-6
_TAIL = 1e-9
_FILTERS = (1, 3, 3, 3, 3, 1)
_START_SCALE = 10.0


class _NotNegative(nn.Module):
    """Parameters as squares, so that what is used of them never is below a bound."""

    def __init__(self, least: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("pedestal", torch.tensor([_OFFSET**2]))
        self.lower_bound = nn.Module()
        self.lower_bound.register_buffer("bound", torch.tensor([(least + _OFFSET**2) ** 0.5]))

    def stored(self, value: torch.Tensor) -> torch.Tensor:
        """What is stored for a value."""
        pedestal = self.get_buffer("pedestal")
        return torch.sqrt(torch.maximum(value + pedestal, pedestal))

    def forward(self, stored: torch.Tensor) -> torch.Tensor:
        """Return the value of what is stored."""
        bound = self.lower_bound.get_buffer("bound")
        return torch.maximum(stored, bound) ** 2 - self.get_buffer("pedestal")


class Gdn(nn.Module):
    """Generalised divisive normalisation (Balle 2016): x / sqrt(beta + gamma x^2); the inverse multiplies."""

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta_reparam, self.gamma_reparam = _NotNegative(_BETA_LEAST), _NotNegative()
        self.beta = nn.Parameter(self.beta_reparam.stored(torch.ones(channels)))
        self.gamma = nn.Parameter(self.gamma_reparam.stored(0.1 * torch.eye(channels)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same."""
        gamma = self.gamma_reparam(self.gamma)[:, :, None, None]
        norm = nn.functional.conv2d(x * x, gamma, self.beta_reparam(self.beta))
        return x * (torch.sqrt(norm) if self.inverse else torch.rsqrt(norm))


class EntropyBottleneck(nn.Module):
    """How probable each symbol of a channel is, by a cumulative function that a small network computes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        scale = _START_SCALE ** (1 / (len(_FILTERS) - 1))
        sizes = list(pairwise(_FILTERS))
        self.matrices = nn.ParameterList(
            torch.full((channels, o, i), math.log(math.expm1(1 / scale / o))) for i, o in sizes
        )
        self.biases = nn.ParameterList(torch.rand(channels, o, 1) - 0.5 for _, o in sizes)
        self.factors = nn.ParameterList(torch.zeros(channels, o, 1) for _, o in sizes[:-1])
        start = torch.tensor([-_START_SCALE, 0.0, _START_SCALE])
        self.quantiles = nn.Parameter(start.repeat(channels, 1, 1))

    @property
    def medians(self) -> torch.Tensor:
        """(C,): where a channel's symbol 0 lies."""
        return self.quantiles[:, 0, 1].detach()

    def logits(self, values: torch.Tensor) -> torch.Tensor:
        """Cumulative function, as logits, of values (C, 1, n)."""
        for number, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            values = torch.matmul(nn.functional.softplus(matrix), values) + bias
            if number < len(self.factors):
                values = values + torch.tanh(self.factors[number]) * torch.tanh(values)
        return values

    def likelihood(self, values: torch.Tensor) -> torch.Tensor:
        """Probability of an interval of width 1 around values (C, 1, n)."""
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        return torch.sigmoid(upper) - torch.sigmoid(lower)

    @torch.no_grad()
    def make_tables(self) -> SymbolTables:
        """Compute the tables, in float64 on the processor: once, for a network that is trained."""
        own = EntropyBottleneck(self.channels).double()
        own.load_state_dict({name: value.double().cpu() for name, value in self.state_dict().items()})
        quantiles = own.quantiles[:, 0]
        below = torch.ceil(quantiles[:, 1] - quantiles[:, 0]).clamp(min=0).long()
        above = torch.ceil(quantiles[:, 2] - quantiles[:, 1]).clamp(min=0).long()
        span = torch.arange(int((below + above).max()) + 1, dtype=torch.float64)
        values = span[None, None] + (quantiles[:, 1] - below)[:, None, None]
        shares = own.likelihood(values)[:, 0].numpy()
        lengths = (below + above + 1).numpy()
        tables = []
        for row, length in zip(shares, lengths, strict=True):
            inside = row[:length]
            tables.append(frequencies(np.append(inside, max(0.0, 1 - inside.sum()))))
        return SymbolTables(-below.numpy(), tuple(tables))


class FactorizedPrior(nn.Module):
    """bmshj2018-factorized: four convolutions, and symbols that know nothing of each other.

    Parameters
    ----------
    filters, channels : int
        N and M of the paper.
    """

    def __init__(self, filters: int, channels: int) -> None:
        super().__init__()
        self.entropy_bottleneck = EntropyBottleneck(channels)
        self.g_a = nn.Sequential(*_layers([3, filters, filters, filters, channels], inverse=False))
        self.g_s = nn.Sequential(*_layers([channels, filters, filters, filters, 3], inverse=True))

    @torch.inference_mode()
    def symbols_of(self, x: torch.Tensor) -> torch.Tensor:
        """Map pixels (B, 3, h, w) in [0, 1] to symbols (B, M, h/16, w/16) int32, sides multiples of 16."""
        medians = self.entropy_bottleneck.medians[:, None, None]
        return torch.round(self.g_a(x) - medians).to(torch.int32)

    @torch.inference_mode()
    def pixels_of(self, symbols: torch.Tensor) -> torch.Tensor:
        """Map symbols to pixels (B, 3, h, w) in [0, 1]."""
        medians = self.entropy_bottleneck.medians[:, None, None]
        pixels: torch.Tensor = self.g_s(symbols + medians).clamp(0, 1)
        return pixels


def _layers(widths: Sequence[int], *, inverse: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        if number:
            layers.append(Gdn(inputs, inverse=inverse))
        layers.append(
            nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1)
            if inverse
            else nn.Conv2d(inputs, outputs, 5, 2, 2)
        )
    return layers


def load_factorized(state: Mapping[str, torch.Tensor]) -> tuple[FactorizedPrior, SymbolTables]:
    """Make the network of weights, and its tables: its own, or made of the weights where they have none.

    Parameters
    ----------
    state : mapping of str to tensor
        As CompressAI publishes it, of its older versions too.

    Raises
    ------
    WeightsError
        If they are of another network, or damaged.
    """
    named = {_renamed(name): value for name, value in state.items()}
    cumulative, lengths, offsets = (
        named.pop(f"entropy_bottleneck.{name}", None) for name in ("_quantized_cdf", "_cdf_length", "_offset")
    )
    for name in ("target", "likelihood_lower_bound.bound"):
        named.pop(f"entropy_bottleneck.{name}", None)
    try:
        net = FactorizedPrior(named["g_a.0.weight"].shape[0], named["g_a.6.weight"].shape[0])
        net.load_state_dict(named)
    except (LookupError, RuntimeError, AttributeError) as error:
        raise WeightsError(
            "these are no weights of bmshj2018-factorized", found=str(error).splitlines()[0][:200]
        ) from error
    if cumulative is None or lengths is None or offsets is None or cumulative.numel() == 0:
        return net.eval(), net.entropy_bottleneck.make_tables()
    numbers = (value.cpu().numpy() for value in (cumulative, lengths, offsets))
    return net.eval(), SymbolTables.of_cumulative(*numbers)


def _renamed(name: str) -> str:
    """The name of a parameter in weights of any version: of DataParallel, or numbered without a list."""
    name = name.removeprefix("module.")
    for old, new in (("_matrix", "matrices"), ("_bias", "biases"), ("_factor", "factors")):
        head = f"entropy_bottleneck.{old}"
        if name.startswith(head) and name[len(head) :].isdigit():
            return f"entropy_bottleneck.{new}.{name[len(head) :]}"
        name = name.replace(f"entropy_bottleneck._{new}.", f"entropy_bottleneck.{new}.")
    return name
