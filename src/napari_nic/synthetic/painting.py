"""From the plan to amounts of dye: stroma, fat, tumour, glands and nuclei of one region."""

from __future__ import annotations

import cv2
import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.synthetic.cells import CellField
from napari_nic.synthetic.glands import GlandPainter
from napari_nic.synthetic.layout import Layout, interpolate_field, is_fat
from napari_nic.synthetic.noise import smoothstep
from napari_nic.synthetic.nuclei import stamp
from napari_nic.synthetic.spec import SyntheticSlideSpec
from napari_nic.synthetic.textures import SIDE, make_textures

BORDER_REACH_UM = 12.0
"""Nothing is painted farther outside the tissue."""

STROMA = (0.045, 0.53)
FAT = (0.0, 0.015)
TUMOUR = (0.16, 0.40)
"""Haematoxylin and eosin of dense collagen, of fat (washed out) and of tumour cells' bodies."""

FAT_MARGIN = 1.0
"""Where the plan's field of fat is below this, no fat cell reaches."""

TEXTURE_STREAM = 512


class Painter:
    """Paints the dyes of any region of a slide; safe to use from several threads.

    Parameters
    ----------
    layout : Layout
    spec : SyntheticSlideSpec
    """

    def __init__(self, layout: Layout, spec: SyntheticSlideSpec) -> None:
        self._layout, self._scale = layout, spec.pixels_per_um
        self.textures = make_textures(self._scale)
        self._offset = np.random.default_rng((TEXTURE_STREAM, spec.seed)).integers(0, SIDE, 2)
        self._cells = CellField(layout, spec, self.textures, self._offset)
        self._glands = GlandPainter(layout.glands, self._scale)

    def dyes(self, region: RegionPx) -> np.ndarray | None:
        """Amounts of haematoxylin and eosin.

        Returns
        -------
        ndarray of float32, (height, width, 2), or None
            None where there is only glass.
        """
        tissue = self.field(self._layout.tissue, region)
        if tissue.max() < -BORDER_REACH_UM:
            return None
        grain = self.texture(self.textures.grain, region)
        clouds = self.texture(self.textures.clouds, region)
        dyes = self._ground(region, grain, clouds)
        self._glands.paint(dyes, region, grain)
        dyes *= self.field(self._layout.thickness, region)[..., None]
        self._add_nuclei(dyes, region)
        dyes *= smoothstep(_ragged(tissue, grain, clouds), -1.5, 1.5)[..., None]
        return dyes

    def tissue(self, region: RegionPx) -> np.ndarray:
        """Distance to the ragged border of the tissue, um, about: positive where dye is painted.

        Returns
        -------
        ndarray of float32, (height, width)
        """
        depth = self.field(self._layout.tissue, region)
        grain, clouds = (self.texture(one, region) for one in (self.textures.grain, self.textures.clouds))
        return _ragged(depth, grain, clouds)

    def _ground(self, region: RegionPx, grain: np.ndarray, clouds: np.ndarray) -> np.ndarray:
        """Paint stroma, fat and the bodies of tumour cells."""
        fibres = self._fibres(region)
        haematoxylin = STROMA[0] + 0.03 * fibres
        eosin = STROMA[1] * fibres * (1 + 0.08 * clouds + 0.05 * grain)
        lesion = smoothstep(self.field(self._layout.lesion_depth, region), -5, 5)
        if self.field(self._layout.fat, region).max() > -FAT_MARGIN:
            fat = self._fat(region)
            walls = self.texture(self.textures.membranes, region)
            haematoxylin += fat * (FAT[0] + 0.04 * walls - haematoxylin)
            eosin += fat * (FAT[1] + 0.30 * walls - eosin)
        if lesion.any():
            nests = lesion * (1 - 0.85 * self.texture(self.textures.nests, region))
            body = 1 + 0.07 * grain + 0.14 * clouds
            haematoxylin += nests * (TUMOUR[0] * body - haematoxylin)
            eosin += nests * (TUMOUR[1] * body - eosin)
        return np.stack([haematoxylin, eosin], -1)

    def _fibres(self, region: RegionPx) -> np.ndarray:
        """Collagen along the plan's direction: a texture, turned and bent."""
        cos, sin = np.float32(np.cos(self._layout.turn)), np.float32(np.sin(self._layout.turn))
        y = np.arange(region.y, region.bottom, dtype=np.float32)[:, None]
        x = np.arange(region.x, region.right, dtype=np.float32)[None, :]
        along = cos * x + sin * y + self._scale * self.field(self._layout.warp_along, region)
        across = cos * y - sin * x + self._scale * self.field(self._layout.warp_across, region)
        for value in (along, across):  # a remainder, several times faster than np.mod
            value -= SIDE * np.floor(value * np.float32(1 / SIDE))
        return cv2.remap(self.textures.fibres, along, across, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)

    def _fat(self, region: RegionPx) -> np.ndarray:
        """1 in fat cells, 0 elsewhere: a cell is there as a whole or not at all."""
        shift = self.texture(self.textures.to_fat_cell, region)
        y = np.arange(region.y, region.bottom, dtype=np.float32)[:, None] + 0.5 + shift[..., 0]
        x = np.arange(region.x, region.right, dtype=np.float32)[None, :] + 0.5 + shift[..., 1]
        return is_fat(self._layout, y / self._scale, x / self._scale).astype(np.float32)

    def _add_nuclei(self, dyes: np.ndarray, region: RegionPx) -> None:
        plane = np.zeros(dyes.shape[:2], np.float32)
        stamp(plane, *self._cells.within(region))
        dyes[..., 0] += plane
        dyes[..., 1] *= 1 - 0.35 * np.minimum(plane, 1)

    def field(self, field: np.ndarray, region: RegionPx) -> np.ndarray:
        """Interpolate a field of the plan at every pixel centre of a region."""
        return interpolate_field(field, region, self._scale)

    def texture(self, texture: np.ndarray, region: RegionPx) -> np.ndarray:
        """Cut a region out of a repeating texture."""
        rows = (np.arange(region.y, region.bottom) + self._offset[0]) % SIDE
        cols = (np.arange(region.x, region.right) + self._offset[1]) % SIDE
        return texture.take(rows, axis=0).take(cols, axis=1)


def _ragged(depth: np.ndarray, grain: np.ndarray, clouds: np.ndarray) -> np.ndarray:
    return np.asarray(depth + 0.4 * grain + 3 * clouds)
