"""Paint glands: a sheet of column-shaped cells around a lumen."""

from __future__ import annotations

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.synthetic.layout import Gland
from napari_nic.synthetic.noise import smoothstep

EPITHELIUM_UM = 17.0
"""Height of the epithelium."""

NUCLEUS_SPACING_UM = 6.6
NUCLEUS_DEPTH_UM = 6.0
"""Nuclei lie at the base of their cells, this far from the gland's border."""

CYTOPLASM = (0.13, 0.40)
SECRETION = (0.04, 0.05)
"""Haematoxylin and eosin of the cells' bodies and of what fills the lumen."""


def gland_nuclei(gland: Gland) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nuclei of a gland: y and x in micrometres, and direction; the long axes point to the lumen."""
    theta = np.linspace(0, 2 * np.pi, 721)
    rng = np.random.default_rng((gland.seed, 1))
    inset = 1 - NUCLEUS_DEPTH_UM / min(gland.radii_um)
    y, x = gland.border_um(theta, inset)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(y), np.diff(x)))])
    count = int(length[-1] / NUCLEUS_SPACING_UM)
    places = (np.arange(count) + rng.uniform(-0.25, 0.25, count)) * NUCLEUS_SPACING_UM
    at = np.interp(places, length, theta)
    y, x = gland.border_um(at, inset)
    ahead_y, ahead_x = gland.border_um(at + 0.01, inset)
    normal = np.arctan2(ahead_y - y, ahead_x - x) + np.pi / 2
    inwards = rng.normal(0, 1.2, count)
    y, x = y + inwards * np.sin(normal), x + inwards * np.cos(normal)
    return y, x, normal + rng.normal(0, 0.12, count)


class GlandPainter:
    """Lays glands over the dyes of a region.

    Parameters
    ----------
    glands : tuple of Gland
    pixels_per_um : float
    """

    def __init__(self, glands: tuple[Gland, ...], pixels_per_um: float) -> None:
        self._glands, self._scale = glands, pixels_per_um

    def paint(self, dyes: np.ndarray, region: RegionPx, grain: np.ndarray) -> None:
        """Replace stroma by epithelium and lumen.

        Parameters
        ----------
        dyes : ndarray of float32, (height, width, 2)
            Amounts of haematoxylin and eosin in the region; changed in place.
        region : RegionPx
        grain : ndarray of float32, (height, width)
            Texture of the cytoplasm.
        """
        for gland in self._glands:
            reach = max(gland.radii_um) * 1.25 + 4
            center = np.array([gland.y_um, gland.x_um])
            low = np.floor((center - reach) * self._scale).astype(int)
            side = int(2 * reach * self._scale) + 2
            box = RegionPx(int(low[0]), int(low[1]), side, side).intersect(region)
            if not box.is_empty:
                local = RegionPx(box.y - region.y, box.x - region.x, box.height, box.width).slices
                self._paint_one(dyes[local], gland, box, grain[local])

    def _paint_one(self, dyes: np.ndarray, gland: Gland, box: RegionPx, grain: np.ndarray) -> None:
        y = (np.arange(box.y, box.bottom, dtype=np.float32)[:, None] + 0.5) / self._scale
        x = (np.arange(box.x, box.right, dtype=np.float32)[None, :] + 0.5) / self._scale
        depth = gland.depth_um(y, x)
        whole = smoothstep(depth, -0.8, 0.6)
        lumen = smoothstep(depth + 0.9 * grain, EPITHELIUM_UM - 1.2, EPITHELIUM_UM + 0.8)
        # The side of the cells that faces the lumen is paler: mucin.
        apical = smoothstep(depth, 0.45 * EPITHELIUM_UM, 0.95 * EPITHELIUM_UM)
        membrane = np.exp(-((depth + 0.6) ** 2))
        for index in range(2):
            body = CYTOPLASM[index] * (1 - 0.4 * apical) * (1 + 0.13 * grain)
            inside = body * (1 - lumen) + SECRETION[index] * lumen
            dyes[..., index] += whole * (inside - dyes[..., index])
        dyes[..., 1] += 0.35 * membrane
