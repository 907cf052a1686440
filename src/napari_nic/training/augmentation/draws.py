"""What is drawn at random for every patch of a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch

from napari_nic.training.augmentation.options import AugmentOptions

SYMMETRIES = 8
ALPHA_SPREAD, SIGMA_SPREAD = 0.2, 0.1
"""Share by which the strength and the width of elastic deformation differ from patch to patch."""

NODE_STEP = 8
"""Distance of the nodes of elastic noise, px for a patch of 128 px: less than the width that smooths them."""

NODES = 23
"""Nodes along an axis: the patch, and beside it two widths of 12 px."""

_UNIFORM_SIGMA = math.sqrt(1 / 3)
"""Standard deviation of even noise in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Changes of B patches.

    Attributes
    ----------
    symmetry : tensor of int64, (B,)
        0 to 7, see :func:`napari_nic.training.augmentation.warp.turn`.
    zoom : tensor, (B,)
        Magnification.
    shift : tensor, (B, 2)
        y and x, px of the network's input.
    elastic_sigma : tensor, (B,)
        Width, px for a patch of 128 px.
    nodes : tensor, (B, 2, NODES, NODES)
        Noise for the displacement along y and x; its standard deviation is the displacement's, px for a patch
        of 128 px.
    brightness, contrast : tensor, (B,)
        Factors.
    hsv : tensor, (B, 3)
        Shifts of hue (turns), saturation and value.
    stain_scale, stain_offset : tensor, (B, 3)
        For the densities of haematoxylin, eosin and DAB.
    blur, noise : tensor, (B,)
        Sigma.
    """

    symmetry: torch.Tensor
    zoom: torch.Tensor
    shift: torch.Tensor
    elastic_sigma: torch.Tensor
    nodes: torch.Tensor
    brightness: torch.Tensor
    contrast: torch.Tensor
    hsv: torch.Tensor
    stain_scale: torch.Tensor
    stain_offset: torch.Tensor
    blur: torch.Tensor
    noise: torch.Tensor

    def to(self, device: torch.device | str) -> Draws:
        """Return the same on a device."""
        return Draws(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def part(self, start: int, stop: int) -> Draws:
        """Return those of some patches."""
        return Draws(**{field.name: getattr(self, field.name)[start:stop] for field in fields(self)})


def draw(options: AugmentOptions, count: int, generator: torch.Generator) -> Draws:
    """Draw the changes of `count` patches.

    As much is taken from the generator whatever is switched on, so that patches which are drawn with one
    strength changed differ in nothing else.

    Parameters
    ----------
    options : AugmentOptions
    count : int
    generator : torch.Generator
        Of the CPU, so that every device gets the same changes.
    """

    def within(limit: float, *shape: int) -> torch.Tensor:
        """Draw (count, *shape) evenly from [-limit, limit)."""
        return (2 * torch.rand(count, *shape, generator=generator) - 1) * limit

    def below(limit: float) -> torch.Tensor:
        """Draw (count,) evenly from [0, limit)."""
        return torch.rand(count, generator=generator) * limit

    symmetry = torch.randint(SYMMETRIES, (count,), generator=generator) * int(options.symmetries)
    alpha = options.elastic_alpha * (1 + within(ALPHA_SPREAD))
    sigma = options.elastic_sigma * (1 + within(SIGMA_SPREAD))
    # White noise smoothed by a two-dimensional Gaussian of this width keeps 1 / (2 sqrt(pi) width) of its
    # standard deviation.
    amplitude = alpha * _UNIFORM_SIGMA / (2 * math.sqrt(math.pi) * sigma.clamp_min(1e-6))
    return Draws(
        symmetry=symmetry,
        zoom=1 + within(options.zoom),
        shift=within(options.shift, 2),
        elastic_sigma=sigma,
        nodes=within(1 / _UNIFORM_SIGMA, 2, NODES, NODES) * amplitude[:, None, None, None],
        brightness=1 + within(options.brightness),
        contrast=1 + within(options.contrast),
        hsv=within(1, 3) * torch.tensor([options.hue, options.saturation, options.value]),
        stain_scale=1 + within(options.hed, 3),
        stain_offset=within(options.hed, 3),
        blur=below(options.blur),
        noise=below(options.noise),
    )
