"""Layers that the networks of learned codecs share, with CompressAI's names of parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_OFFSET = 2.0**-18
_BETA_LEAST = 1e-6


class _Bound(torch.autograd.Function):
    """max(x, bound) whose gradient still leads values below the bound back above it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, bound: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, bound)
        return torch.maximum(x, bound)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        x, bound = ctx.saved_tensors
        return gradient * ((x >= bound) | (gradient < 0)), None


class LowerBound(nn.Module):
    """What is smaller than a bound becomes the bound."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.tensor([bound]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map a tensor to one of the same shape."""
        bounded: torch.Tensor = _Bound.apply(x, self.get_buffer("bound"))
        return bounded


class _NotNegative(nn.Module):
    """Parameters as squares, so that what is used of them never is below a bound."""

    def __init__(self, least: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("pedestal", torch.tensor([_OFFSET**2]))
        self.lower_bound = LowerBound((least + _OFFSET**2) ** 0.5)

    def stored(self, value: torch.Tensor) -> torch.Tensor:
        """What is stored for a value."""
        pedestal = self.get_buffer("pedestal")
        return torch.sqrt(torch.maximum(value + pedestal, pedestal))

    def forward(self, stored: torch.Tensor) -> torch.Tensor:
        """Return the value of what is stored."""
        value: torch.Tensor = self.lower_bound(stored) ** 2 - self.get_buffer("pedestal")
        return value


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


def conv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> nn.Conv2d:
    """Convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def deconv(inputs: int, outputs: int, kernel: int = 5, stride: int = 2) -> nn.ConvTranspose2d:
    """Transposed convolution that multiplies the size by `stride`."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, stride, kernel // 2, output_padding=stride - 1)


class CheckerboardConv(nn.Conv2d):
    """Convolution that sees the other colour of a checkerboard alone (He 2021)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, padding=2)
        row = torch.arange(5)
        self.register_buffer("mask", ((row[:, None] + row) % 2).float().expand_as(self.weight).clone())

    @property
    def seen(self) -> torch.Tensor:
        """(outputs, inputs, 5, 5): the weights, those of what is not seen being 0."""
        return self.weight * self.get_buffer("mask")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h, w)."""
        return nn.functional.conv2d(x, self.seen, self.bias, padding=2)


class ResidualBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution at half the channels, added to the input (He 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv(channels, half, 1, 1)
        self.conv2 = conv(half, half, 3, 1)
        self.conv3 = conv(half, channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same."""
        inner = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        total: torch.Tensor = self.conv3(inner) + x
        return total


class _ResidualUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv = nn.Sequential(
            conv(channels, half, 1, 1),
            nn.ReLU(),
            conv(half, half, 3, 1),
            nn.ReLU(),
            conv(half, channels, 1, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x) + x)


class Attention(nn.Module):
    """Attention of Cheng 2020, simplified: a branch, weighed by the sigmoid of another, is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_a = nn.Sequential(*(_ResidualUnit(channels) for _ in range(3)))
        self.conv_b = nn.Sequential(
            *(_ResidualUnit(channels) for _ in range(3)), conv(channels, channels, 1, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) to the same."""
        total: torch.Tensor = self.conv_a(x) * torch.sigmoid(self.conv_b(x)) + x
        return total
