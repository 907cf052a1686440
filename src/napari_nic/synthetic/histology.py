"""Paint synthetic tissue stained with haematoxylin and eosin, any rectangle of a slide at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from napari_nic.errors import OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.layout import FIELD_UM, Layout, lesion_polygons, plan_layout
from napari_nic.synthetic.painting import Painter
from napari_nic.synthetic.spec import SyntheticSlideSpec
from napari_nic.synthetic.stains import Stain

if TYPE_CHECKING:
    import shapely

TILE = 512
"""Slides are painted in squares of this side, each with a margin; so every region gives equal pixels."""

MARGIN = 8
"""Pixels painted around a tile so that the blur of the optics has its neighbours."""

BORDER_REACH_UM = 12.0
"""The ragged border reaches at most so far beyond the plan's."""

FRAME = 1024
"""Side of the frames that the scanner stitches, in pixels."""

OPTICS_UM = 0.22
"""Sigma of the blur of a 20x lens with NA 0.75, about 0.61 * 0.55 um / 0.75 / 2."""


class Scene:
    """A synthetic slide that is painted on demand; safe to use from several threads.

    Parameters
    ----------
    spec : SyntheticSlideSpec
    stain : Stain, optional
        Drawn by the spec's seed otherwise.

    Attributes
    ----------
    layout : Layout
        Its plan at low resolution.
    stain : Stain
    """

    def __init__(self, spec: SyntheticSlideSpec, stain: Stain | None = None) -> None:
        self.spec = spec
        self.layout: Layout = plan_layout(spec)
        self.stain = stain or Stain.drawn(spec.seed, spec.stain_variation)
        self._painter = Painter(self.layout, spec)
        self._cached_tile = lru_cache(maxsize=4)(self._paint_tile)

    @property
    def region(self) -> RegionPx:
        """The whole of level 0."""
        return RegionPx(0, 0, self.spec.height, self.spec.width)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of level 0."""
        return self.spec.height, self.spec.width

    @property
    def mpp(self) -> float:
        """Micrometres per pixel of level 0."""
        return self.spec.mpp

    def lesion_polygons(self) -> list[shapely.Polygon]:
        """Outline the lesions within the tissue: (x, y) in level-0 pixels, corner-based, largest first."""
        return lesion_polygons(self.layout, self.spec.pixels_per_um)

    def is_tissue(self, y_px: float, x_px: float) -> bool:
        """Whether the plan has tissue at a level-0 point, up to the raggedness of its border."""
        step = FIELD_UM * self.spec.pixels_per_um
        tissue = self.layout.tissue
        row, col = min(int(y_px / step), tissue.shape[0] - 1), min(int(x_px / step), tissue.shape[1] - 1)
        return bool(tissue[row, col] > 0)

    def tissue_mask(self, region: RegionPx) -> np.ndarray:
        """Say which pixels of a rectangle of level 0 are painted as tissue: lumens and fat too.

        Returns
        -------
        ndarray of bool, (height, width)
        """
        return self._painter.tissue(region) > 0

    def fat_mask(self, region: RegionPx) -> np.ndarray:
        """Say which pixels of a rectangle of level 0 the plan fills with fat.

        Returns
        -------
        ndarray of bool, (height, width)
        """
        fat = self._painter.field(self.layout.fat, region) > 0
        return np.asarray(fat & (self._painter.field(self.layout.lesion, region) < 0))

    def read(self, region: RegionPx) -> np.ndarray:
        """Paint a rectangle of level-0 pixels.

        Returns
        -------
        ndarray of uint8, (height, width, 3)
            RGB; the same pixels whatever the rectangle they are asked in.

        Raises
        ------
        OutOfBoundsError
            If the rectangle passes the slide's edge.
        """
        inside = region.y >= 0 and region.x >= 0
        if not inside or region.bottom > self.spec.height or region.right > self.spec.width:
            raise OutOfBoundsError(
                "the region passes the slide's edge",
                expected=f"within {self.spec.height} x {self.spec.width} px",
                found=f"{region}",
            )
        out = np.empty((region.height, region.width, 3), np.uint8)
        for top in range(region.y // TILE * TILE, region.bottom, TILE):
            for left in range(region.x // TILE * TILE, region.right, TILE):
                common = region.intersect(RegionPx(top, left, TILE, TILE))
                tile = self._cached_tile(top, left)
                source = RegionPx(common.y - top, common.x - left, common.height, common.width)
                target = RegionPx(common.y - region.y, common.x - region.x, common.height, common.width)
                out[target.slices] = tile[source.slices]
        return out

    def _paint_tile(self, top: int, left: int) -> np.ndarray:
        """Paint one aligned tile: (TILE, TILE, 3) uint8."""
        region = RegionPx(top - MARGIN, left - MARGIN, TILE + 2 * MARGIN, TILE + 2 * MARGIN)
        inner = RegionPx(top, left, TILE, TILE)
        dyes = self._painter.dyes(region)
        if dyes is None:
            dyes = np.zeros((TILE, TILE, 2), np.float32)
        else:
            dyes = cv2.GaussianBlur(dyes, (0, 0), OPTICS_UM * self.spec.pixels_per_um)
            dyes = np.ascontiguousarray(dyes[MARGIN:-MARGIN, MARGIN:-MARGIN])
        rgb = self.stain.to_rgb(dyes, _light(inner))
        noise = self._painter.texture(self._painter.textures.sensor, inner)
        return cv2.add(rgb, noise, dtype=cv2.CV_8U)


def _light(region: RegionPx) -> np.ndarray:
    """Return the slight unevenness of the lamp over each frame that a scanner takes."""
    y = np.arange(region.y, region.bottom, dtype=np.float32)[:, None] % FRAME / FRAME - 0.5
    x = np.arange(region.x, region.right, dtype=np.float32)[None, :] % FRAME / FRAME - 0.5
    return np.float32(1.001) - np.float32(0.006) * (y * y + x * x)
