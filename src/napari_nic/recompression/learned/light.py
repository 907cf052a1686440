"""A light decoder: depthwise convolutions and pixel shuffles, of a few thousand multiplications a pixel.

::

    y (B, M, h/16, w/16) --3x3, blocks--> shuffled x 4 --> blocks at a quarter --3x3--> shuffled x 4

A block is a depthwise convolution of 3 x 3 and two of 1 x 1, added to what it was given. Layers at a quarter
of the resolution are few and narrow, since each costs as much as sixteen below: memory takes the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from napari_nic.errors import WeightsError

_DEEP, _DEEP_BLOCKS, _UP, _KERNEL = 128, 2, 4, 3

_RIDGE, _FLAT = 1e-6, 1e-6
_LEAST_SPREAD = 0.5
"""Of a channel: noise of channels that are nearly always 0 is not made larger."""


class LightDecoder(nn.Module):
    """Maps what a codec's synthesis takes to pixels.

    Parameters
    ----------
    channels : int
        M of the codec.
    width, blocks : int
        Channels at a quarter of the resolution, and blocks there.
    """

    def __init__(self, channels: int, width: int = 48, blocks: int = 4) -> None:
        super().__init__()
        self.channels, self.width, self.blocks = channels, width, blocks
        self.first = nn.Conv2d(channels, _DEEP, 3, padding=1)
        self.deep = nn.Sequential(*(_Block(_DEEP) for _ in range(_DEEP_BLOCKS)))
        self.rise = nn.Sequential(nn.Conv2d(_DEEP, width * _UP**2, 1), nn.PixelShuffle(_UP))
        self.quarter = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.last = nn.Sequential(nn.Conv2d(width, 3 * _UP**2, 3, padding=1), nn.PixelShuffle(_UP))
        nn.init.constant_(self.last[0].bias, 0.5)  # type: ignore[arg-type] # has one

    @torch.no_grad()
    def start_from(self, y: torch.Tensor, pixels: torch.Tensor) -> None:
        """Start as the linear map that fits a sample best, where the decoder is wide enough for one.

        A narrower one keeps random weights, the first layer's such that all channels count alike.

        Parameters
        ----------
        y : Tensor, (n, M, h, w)
        pixels : Tensor, (n, 3, 16 h, 16 w)
            In [0, 1].
        """
        if self.width < 3 * _UP**2:
            self.first.weight /= y.std((0, 2, 3)).clamp(min=_LEAST_SPREAD)[:, None, None]
            return
        into, out, bias = _linear_map(y, pixels, _DEEP)
        self.first.weight.zero_()
        self.first.weight[:, :, 1, 1], bias_in = into[:, :-1], into[:, -1]
        self.first.bias.copy_(bias_in)  # type: ignore[union-attr] # has one
        for block in (*self.deep, *self.quarter):
            block.two.weight.zero_()
            block.two.bias.zero_()
        self._set_rise(out, bias)

    def _set_rise(self, out: torch.Tensor, bias: torch.Tensor) -> None:
        """Let each group of 16 channels become a pixel in each of the 4 x 4 parts of a block."""
        # (colours, rows of parts, rows in one, columns of parts, columns in one) -> parts last
        parts = (3, _UP, _UP, _UP, _UP)
        order = torch.arange(3 * _UP**4).reshape(parts).permute(0, 2, 4, 1, 3).flatten()
        rise, last = cast(nn.Conv2d, self.rise[0]), cast(nn.Conv2d, self.last[0])
        assert rise.bias is not None and last.bias is not None  # noqa: S101, PT018  # as they were made
        rise.weight[: len(order), :, 0, 0] = out[order]
        rise.bias[: len(order)] = bias[order]
        last.weight.zero_()
        own = torch.arange(3 * _UP**2)
        last.weight[own, own, 1, 1] = 1
        last.bias.zero_()

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Map (B, M, h, w) to (B, 3, 16 h, 16 w), about in [0, 1], in the precision of the weights."""
        given = y.to(self.first.weight.dtype, memory_format=torch.channels_last)
        x = self.rise(self.deep(self.first(given)))
        pixels: torch.Tensor = self.last(self.quarter(x))
        return pixels

    @property
    def macs(self) -> float:
        """Multiplications for a pixel."""
        width, up = self.width, _UP**2
        deep = 9 * self.channels * _DEEP + _DEEP_BLOCKS * _DEEP * (9 + 2 * _DEEP) + _DEEP * width * up
        quarter = self.blocks * width * (9 + 2 * width) + 9 * width * 3 * up
        return deep / up**2 + quarter / up


def _linear_map(
    y: torch.Tensor, pixels: torch.Tensor, rank: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fit blocks of 16 x 16 px by the channels at their place, through few numbers of spread 1.

    Returns
    -------
    into : Tensor, (rank, M + 1)
        The last column is the bias.
    out : Tensor, (768, rank)
    bias : Tensor, (768,)
    """
    given = nn.functional.pad(y.transpose(0, 1).flatten(1).T.double(), (0, 1), value=1.0)
    wanted = nn.functional.pixel_unshuffle(pixels, _UP**2).transpose(0, 1).flatten(1).T.double()
    ridge = _RIDGE * len(given) * torch.eye(given.shape[1], dtype=given.dtype)
    solved = torch.linalg.solve(given.T @ given + ridge, given.T @ wanted)
    made = given @ solved
    bias = made.mean(0)
    _, vectors = torch.linalg.eigh((made - bias).T @ (made - bias))
    axes = vectors.flip(1)[:, :rank]
    solved[-1] -= bias
    spread = ((made - bias) @ axes).std(0).clamp(min=_FLAT)
    return (solved @ axes / spread).T.float(), (axes * spread).float(), bias.float()


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.one, self.two = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.two(nn.functional.relu(self.one(self.depthwise(x)), inplace=True))


def pack_light(net: LightDecoder, decoder_sha256: str) -> bytes:
    """Return a light decoder as a file that names the decoder whose streams it takes."""
    facts = {
        "of": decoder_sha256,
        "channels": str(net.channels),
        "width": str(net.width),
        "blocks": str(net.blocks),
    }
    return bytes(save({name: value.cpu().contiguous() for name, value in net.state_dict().items()}, facts))


def load_light(data: bytes, facts: Mapping[str, str]) -> LightDecoder:
    """Make a light decoder of a file's content.

    Parameters
    ----------
    data : bytes
    facts : mapping
        The file's own metadata.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    try:
        net = LightDecoder(int(facts["channels"]), int(facts["width"]), int(facts["blocks"]))
        net.load_state_dict(load(data))
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        raise WeightsError(
            "the light decoder does not fit its description", found=str(error).splitlines()[0][:200]
        ) from error
    return net.requires_grad_(False).eval().to(memory_format=torch.channels_last)
