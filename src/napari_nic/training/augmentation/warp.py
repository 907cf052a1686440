"""Geometry of patches: symmetries exactly, then zoom, shift and elastic deformation in one interpolation."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.nn import functional

from napari_nic.training.augmentation.draws import NODE_STEP, NODES, SYMMETRIES, Draws
from napari_nic.training.augmentation.options import REFERENCE_SIDE


def turn(images: torch.Tensor, symmetry: torch.Tensor) -> torch.Tensor:
    """Rotate by ``symmetry % 4`` quarter turns counter-clockwise, then mirror left to right from 4 on.

    Parameters
    ----------
    images : tensor, (B, 3, s, s)
    symmetry : tensor of int64, (B,)
        0 to 7.
    """
    count, channels, side, _ = images.shape
    sources = _sources(side).to(images.device)[symmetry]
    moved = images.flatten(2).gather(2, sources[:, None].expand(-1, channels, -1))
    return moved.view(count, channels, side, side)


@lru_cache(maxsize=8)
def _sources(side: int) -> torch.Tensor:
    """For each symmetry and pixel, the pixel that it is taken from: (8, s * s)."""
    index = torch.arange(side * side).view(side, side)
    turned = [torch.rot90(index, symmetry % 4) for symmetry in range(SYMMETRIES)]
    return torch.stack([t.flip(1) if s >= SYMMETRIES // 2 else t for s, t in enumerate(turned)]).flatten(1)


def crop(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return the middle (B, 3, size, size) of the patches."""
    first = (images.shape[-1] - size) // 2
    return images[..., first : first + size, first : first + size]


def warp(images: torch.Tensor, draws: Draws, *, size: int, elastic: bool) -> torch.Tensor:
    """Zoom, shift and deform about the middle; what lies beyond the patch is its mirror image.

    Parameters
    ----------
    images : tensor of float32, (B, 3, s, s)
    draws : Draws
    size : int
        Side of the result; the middle `size` pixels of the patch fill it at zoom 1. In a larger patch, real
        tissue comes in from beside them.
    elastic : bool
        Whether to deform.

    Returns
    -------
    tensor of float32, (B, 3, size, size)
    """
    side = images.shape[-1]
    steps = torch.arange(size, device=images.device) + 0.5 - size / 2
    middle = (side - size) // 2 + size / 2
    # Corner-based pixel position of every row and column, then in [-1, 1] as grid_sample wants it.
    places = middle + steps / draws.zoom[:, None, None] + draws.shift[:, :, None]
    places = places * (2 / side) - 1
    rows, cols = places[:, 0, :, None], places[:, 1, None, :]
    if elastic:
        scale = size / REFERENCE_SIDE
        moved = _displacement(draws, steps / scale, unit=scale * 2 / side)
        rows, cols = moved[:, 0].add_(rows), moved[:, 1].add_(cols)
    grid = images.new_empty(len(images), size, size, 2)
    grid[..., 0], grid[..., 1] = cols, rows
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _displacement(draws: Draws, places: torch.Tensor, *, unit: float) -> torch.Tensor:
    """Return smooth displacements (B, 2, size, size) at `places` (size,), px for a patch of 128 px.

    Noise at the nodes of a coarse grid is weighed by Gaussians at every pixel, along one axis and then the
    other: the field is smooth without interpolation. Rows of weights have unit norm, so that the field's
    standard deviation is that of the noise, everywhere, times `unit`.
    """
    nodes = (torch.arange(NODES, device=places.device) - NODES // 2) * NODE_STEP
    distance = (places[:, None] - nodes) / draws.elastic_sigma[:, None, None]
    weights = functional.normalize(torch.exp(-0.5 * distance * distance), dim=-1)[:, None]
    return weights @ (draws.nodes * unit) @ weights.transpose(-1, -2)
