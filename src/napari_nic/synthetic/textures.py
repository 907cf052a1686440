"""Seamlessly repeating textures, in pixels, from which every slide takes its fine structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from napari_nic.synthetic.noise import smooth_noise, smoothstep

SIDE = 1024
"""Side of a texture; a power of 2 lets indices wrap by a mask."""

TEXTURE_STREAM = 5

NEIGHBOURS = 5
"""So many lattice points in a row are looked at to find the nearest ones."""


@dataclass(frozen=True, eq=False)
class Textures:
    """Textures of (SIDE, SIDE) float32, for one resolution.

    Attributes
    ----------
    fibres : ndarray, (SIDE, SIDE)
        Collagen running along x: about 0 in the clefts between bundles, 1 in a dense bundle.
    grain : ndarray
        Fine granules (cytoplasm, ragged borders); mean 0, standard deviation 1.
    clouds : ndarray
        Coarser unevenness; mean 0, standard deviation 1.
    membranes : ndarray
        Walls of fat cells: 1 on a wall, 0 in the cells.
    to_fat_cell : ndarray, (SIDE, SIDE, 2)
        (y, x) from each pixel to the centre of its fat cell, so that a cell is there as a whole or not.
    nests : ndarray, (SIDE, SIDE)
        Septa between nests of tumour cells: 1 in the middle of a septum, 0 in the nests.
    sensor : ndarray, (SIDE, SIDE, 3)
        Noise of the camera in grey values.
    """

    fibres: np.ndarray
    grain: np.ndarray
    clouds: np.ndarray
    membranes: np.ndarray
    to_fat_cell: np.ndarray
    nests: np.ndarray
    sensor: np.ndarray


@lru_cache(maxsize=4)
def make_textures(pixels_per_um: float) -> Textures:
    """Make all textures for a resolution (about half a second, then kept)."""
    rng = np.random.default_rng(TEXTURE_STREAM)
    fat_gap, to_fat_cell = _cell_gaps(55 * pixels_per_um, 2.5 * pixels_per_um, rng)
    nest_gap, _ = _cell_gaps(75 * pixels_per_um, 2.0 * pixels_per_um, rng)
    return Textures(
        fibres=_fibres(pixels_per_um, rng),
        grain=smooth_noise((SIDE, SIDE), 0.6 * pixels_per_um, rng),
        clouds=smooth_noise((SIDE, SIDE), 4.0 * pixels_per_um, rng),
        membranes=1 - smoothstep(fat_gap, 0.4 * pixels_per_um, 2.2 * pixels_per_um),
        to_fat_cell=to_fat_cell,
        nests=1 - smoothstep(nest_gap, 4.0 * pixels_per_um, 14.0 * pixels_per_um),
        sensor=rng.normal(0, 1.3, (SIDE, SIDE, 3)).astype(np.float32),
    )


def _fibres(scale: float, rng: np.random.Generator) -> np.ndarray:
    """Streaks of three widths; the widest decide where the clefts are."""
    shape = (SIDE, SIDE)
    bundles = smooth_noise(shape, (2.6 * scale, 30 * scale), rng)
    strands = smooth_noise(shape, (0.9 * scale, 14 * scale), rng)
    threads = smooth_noise(shape, (0.35 * scale, 5 * scale), rng)
    density = 0.62 + 0.15 * bundles + 0.12 * strands + 0.07 * threads
    clefts = smoothstep(bundles + 0.7 * strands, -2.1, -1.2)
    return np.clip(density * (0.12 + 0.88 * clefts), 0.03, 1.3).astype(np.float32)


def _cell_gaps(spacing: float, rounding: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tile the texture with the cells of points on a jittered lattice (Worley 1996, F2 - F1), seamlessly.

    Parameters
    ----------
    spacing : float
        Mean distance of the points in pixels.
    rounding : float
        Radius, about, that rounds the corners where three cells meet, in pixels; above 0.

    Returns
    -------
    gap : ndarray of float32, (SIDE, SIDE)
        Distance to the second nearest point less that to the nearest: 0 on the cells' borders, below 0 in
        rounded corners.
    to_center : ndarray of float32, (SIDE, SIDE, 2)
        (y, x) from each pixel to its nearest point.
    """
    count = max(NEIGHBOURS, round(SIDE / spacing))
    step = SIDE / count
    points = np.moveaxis(np.mgrid[:count, :count], 0, -1) + 0.5 + rng.uniform(-0.42, 0.42, (count, count, 2))
    points = (points * step).astype(np.float32)
    closest = _closest_points(points)
    at = np.arange(SIDE, dtype=np.float32)
    pixels = np.stack(np.broadcast_arrays(at[:, None], at[None, :]), -1)
    shifts = points.reshape(-1, 2)[closest] - pixels
    shifts -= SIDE * np.rint(shifts / SIDE)
    distances = np.hypot(shifts[..., 0], shifts[..., 1])
    first = distances.argmin(axis=0)[None]
    to_center = np.take_along_axis(shifts, first[..., None], axis=0)[0]
    nearest = np.sort(distances, axis=0)
    borders = nearest[1:] - nearest[0]
    # A soft minimum over both other cells.
    gap = -rounding * np.log(np.exp(-borders[0] / rounding) + np.exp(-borders[1] / rounding))
    return gap.astype(np.float32), to_center


def _closest_points(points: np.ndarray) -> np.ndarray:
    """Find the three points closest to each pixel, in no order, up to half a block of 2 x 2 pixels.

    Parameters
    ----------
    points : ndarray of float32, (count, count, 2)
        (y, x), one in each square of a lattice over the texture.

    Returns
    -------
    ndarray of int, (3, SIDE, SIDE)
        Indices into the flattened points.
    """
    count = len(points)
    at = np.arange(0.5, SIDE, 2, dtype=np.float32)
    square = (at * (count / SIDE)).astype(int)
    reach = range(-(NEIGHBOURS // 2), NEIGHBOURS // 2 + 1)
    indices, distances = [], []
    for row in reach:
        for col in reach:
            index = (square[:, None] + row) % count * count + (square[None, :] + col) % count
            near = points.reshape(-1, 2)[index]
            dy, dx = near[..., 0] - at[:, None], near[..., 1] - at[None, :]
            dy -= SIDE * np.rint(dy / SIDE)
            dx -= SIDE * np.rint(dx / SIDE)
            indices.append(index)
            distances.append(dy * dy + dx * dx)
    ranks = np.argpartition(np.stack(distances), 3, axis=0)[:3]
    closest = np.take_along_axis(np.stack(indices), ranks, axis=0)
    return closest.repeat(2, axis=1).repeat(2, axis=2)
