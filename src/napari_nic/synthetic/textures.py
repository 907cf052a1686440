"""Seamlessly repeating textures, in pixels, from which every slide takes its fine structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from napari_nic.synthetic.noise import smooth_noise, smoothstep

SIDE = 1024
"""Side of a texture; a power of 2 lets indices wrap by a mask."""

TEXTURE_STREAM = 5


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
    nests : ndarray
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
    fat_gap, to_fat_cell = _cell_gaps(50 * pixels_per_um, 7 * pixels_per_um, rng)
    nest_gap, _ = _cell_gaps(75 * pixels_per_um, 0.0, rng)
    return Textures(
        fibres=_fibres(pixels_per_um, rng),
        grain=smooth_noise((SIDE, SIDE), 0.6 * pixels_per_um, rng),
        clouds=smooth_noise((SIDE, SIDE), 4.0 * pixels_per_um, rng),
        membranes=1 - smoothstep(fat_gap, 0.8 * pixels_per_um, 2.6 * pixels_per_um),
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

    `rounding` widens the gaps by about so much where three cells meet.

    Returns
    -------
    gap : ndarray of float32, (SIDE, SIDE)
        Distance to the second nearest point less that to the nearest: 0 on the cells' borders.
    to_center : ndarray of float32, (SIDE, SIDE, 2)
        (y, x) from each pixel to its nearest point.
    """
    count = max(2, round(SIDE / spacing))
    rows, cols = np.mgrid[:count, :count]
    points = np.stack([rows, cols], -1).reshape(-1, 2) + 0.5 + rng.uniform(-0.42, 0.42, (count**2, 2))
    points *= SIDE / count
    wrapped = points[None] + SIDE * np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)])[:, None]
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([y, x], -1).reshape(-1, 2)
    distances, nearest = cKDTree(wrapped.reshape(-1, 2)).query(pixels, k=3)
    borders = distances[:, 1:] - distances[:, :1]
    gap = np.minimum(borders[:, 0], borders[:, 1] - rounding).reshape(SIDE, SIDE)
    to_center = (wrapped.reshape(-1, 2)[nearest[:, 0]] - pixels).reshape(SIDE, SIDE, 2)
    return gap.astype(np.float32), to_center.astype(np.float32)
