"""How probable symbols are: by a learned cumulative function for each channel, or by Gaussians."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.layers import LowerBound
from napari_nic.recompression.neural.tables import PRECISION, SCALES, SymbolTables, frequencies

_TAIL = 1e-9
_LEAST_LIKELIHOOD = 1e-9
_FILTERS = (1, 3, 3, 3, 3, 1)
_START_SCALE = 10.0
_SEARCH = 1e5
_STEPS = 60


def rounded(x: torch.Tensor) -> torch.Tensor:
    """Round, with the gradient of doing nothing (Theis 2017)."""
    return x + (torch.round(x) - x).detach()


def disturbed(x: torch.Tensor) -> torch.Tensor:
    """Add noise between -1/2 and 1/2, which stands for rounding in training (Balle 2017)."""
    return x + torch.empty_like(x).uniform_(-0.5, 0.5)


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
        self.likelihood_bound = _bound_apart(_LEAST_LIKELIHOOD)
        # Logits between which all but the tails of a distribution lies.
        far = math.log(2 / _TAIL - 1)
        self.register_buffer("levels", torch.tensor([-far, 0.0, far]), persistent=False)

    @property
    def medians(self) -> torch.Tensor:
        """(C,): where a channel's symbol 0 lies."""
        return self.quantiles[:, 0, 1].detach()

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map values (B, C, h, w) to what stands for them once coded, and to how probable that is."""
        medians = self.medians[:, None, None]
        coded = disturbed(values) if self.training else torch.round(values - medians) + medians
        flat = coded.transpose(0, 1)
        likelihood = self.likelihood(flat.reshape(self.channels, 1, -1)).reshape(flat.shape).transpose(0, 1)
        bounded: torch.Tensor = self.likelihood_bound(likelihood)
        return coded, bounded

    def logits(self, values: torch.Tensor, *, fixed: bool = False) -> torch.Tensor:
        """Cumulative function, as logits, of values (C, 1, n); `fixed`: no gradients to its parameters."""
        matrices, biases, factors = (
            [parameter.detach() if fixed else parameter for parameter in group]
            for group in (self.matrices, self.biases, self.factors)
        )
        for number, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
            values = torch.matmul(nn.functional.softplus(matrix), values) + bias
            if number < len(factors):
                values = values + torch.tanh(factors[number]) * torch.tanh(values)
        return values

    def likelihood(self, values: torch.Tensor) -> torch.Tensor:
        """Probability of an interval of width 1 around values (C, 1, n)."""
        lower, upper = self.logits(values - 0.5), self.logits(values + 0.5)
        return torch.sigmoid(upper) - torch.sigmoid(lower)

    def aux_loss(self) -> torch.Tensor:
        """How far the quantiles, of which tables are made, are from where they should be."""
        return (self.logits(self.quantiles, fixed=True) - self.get_buffer("levels")).abs().sum()

    @torch.no_grad()
    def find_quantiles(self) -> None:
        """Put the quantiles where they belong, by bisection in float64: exact, where aux_loss comes near."""
        own = self._in_float64()
        low, high = (torch.full_like(own.quantiles, side) for side in (-_SEARCH, _SEARCH))
        for _ in range(_STEPS):
            middle = (low + high) / 2
            is_below = own.logits(middle) < own.get_buffer("levels")
            low, high = torch.where(is_below, middle, low), torch.where(is_below, high, middle)
        self.quantiles.copy_((low + high) / 2)

    @torch.no_grad()
    def make_tables(self) -> SymbolTables:
        """Compute the tables, in float64 on the processor: once, for a network that is trained."""
        own = self._in_float64()
        quantiles = own.quantiles[:, 0]
        below = torch.ceil(quantiles[:, 1] - quantiles[:, 0]).clamp(min=0).long()
        above = torch.ceil(quantiles[:, 2] - quantiles[:, 1]).clamp(min=0).long()
        if not torch.isfinite(quantiles).all() or int((below + above).max()) > 1 << PRECISION:
            raise WeightsError(
                "the quantiles of a learned codec span more symbols than a table has",
                expected=f"at most {1 << PRECISION}",
                hint="train the network for longer, with its auxiliary loss too",
            )
        span = torch.arange(int((below + above).max()) + 1, dtype=torch.float64)
        values = span[None, None] + (quantiles[:, 1] - below)[:, None, None]
        shares = own.likelihood(values)[:, 0].numpy()
        lengths = (below + above + 1).numpy()
        tables = []
        for row, length in zip(shares, lengths, strict=True):
            inside = row[:length]
            tables.append(frequencies(np.append(inside, max(0.0, 1 - inside.sum()))))
        return SymbolTables(-below.numpy(), tuple(tables))

    def _in_float64(self) -> EntropyBottleneck:
        own = EntropyBottleneck(self.channels).double()
        own.load_state_dict({name: value.double().cpu() for name, value in self.state_dict().items()})
        return own


class GaussianConditional(nn.Module):
    """Gaussians whose scales, and perhaps means, come from a network."""

    def __init__(self) -> None:
        super().__init__()
        self.scale_bound, self.likelihood_bound = _bound_apart(SCALES[0]), _bound_apart(_LEAST_LIKELIHOOD)

    def forward(
        self, values: torch.Tensor, scales: torch.Tensor, means: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map values to what stands for them once coded, and to how probable that is; all of one shape."""
        middle = torch.zeros_like(values) if means is None else means
        coded = disturbed(values) if self.training else torch.round(values - middle) + middle
        scales = self.scale_bound(scales)
        # The mirror image of a value below the mean is as probable, and is exact in the tail.
        distance = (coded - middle).abs()
        upper, lower = _cumulative((0.5 - distance) / scales), _cumulative((-0.5 - distance) / scales)
        bounded: torch.Tensor = self.likelihood_bound(upper - lower)
        return coded, bounded


def _cumulative(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * torch.erfc(-(2**-0.5) * x)


def _bound_apart(bound: float) -> LowerBound:
    """A bound that is no part of the weights: it is the same for all networks."""
    module = LowerBound(bound)
    module.register_buffer("bound", module.get_buffer("bound"), persistent=False)
    return module
