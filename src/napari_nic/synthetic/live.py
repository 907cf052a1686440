"""Painted slides that are read as they are painted, without a file of pixels."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from napari_nic.errors import OutOfBoundsError
from napari_nic.slides import Level, PixelSizeClaim, RgbArray, Slide, SourceInfo
from napari_nic.synthetic.pyramid import JPEG_QUALITY, SOFTWARE, TIFF_TILE, Painting

READER = "painted"
_JPEG_CHROMA = (2, 2)


def open_painting(painting: Painting, recipe: Path) -> Slide:
    """Open a slide that is painted tile by tile while it is read.

    Parameters
    ----------
    painting : Painting
    recipe : Path
        File that says how the slide is painted: it stands for the slide, gives its name and fingerprint.

    Returns
    -------
    Slide
        Of one level, whose pixels are those that :func:`~napari_nic.synthetic.pyramid.write_pyramid` would
        have written, JPEG's losses included.

    Raises
    ------
    StoreError
        If the recipe is not there.
    """
    return Slide(recipe, READER, PaintedSource(painting, recipe))


class PaintedSource:
    """A painting as an open file; see :class:`napari_nic.slides.model.SlideSource`.

    Parameters
    ----------
    painting : Painting
    recipe : Path

    Attributes
    ----------
    info : SourceInfo
    """

    def __init__(self, painting: Painting, recipe: Path) -> None:
        self._painting = painting
        level = Level(*painting.shape, tile=(TIFF_TILE, TIFF_TILE))
        claim = PixelSizeClaim(painting.mpp, painting.mpp, "painter")
        self.info = SourceInfo(
            vendor=SOFTWARE, levels=(level,), pixel_sizes=(claim,), fingerprint_files=(recipe,)
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray:
        """Paint one tile and take it through JPEG; cropped at the edge, (rows, cols, 3) uint8."""
        region = self.info.levels[level].tile_region(row, col)
        painted = self._painting.read(region)
        # The edge is repeated before, as in the file: JPEG's blocks of 8 x 8 px see it.
        pad = [(0, TIFF_TILE - region.height), (0, TIFF_TILE - region.width), (0, 0)]
        return through_jpeg(np.pad(painted, pad, mode="edge"))[: region.height, : region.width]

    def read_associated(self, name: str) -> RgbArray:
        """Raise :class:`OutOfBoundsError`: there is no label and no macro image."""
        raise OutOfBoundsError(f"no associated image {name!r}", expected="none")

    def close(self) -> None:
        """Do nothing: no file is open."""


def through_jpeg(pixels: np.ndarray) -> RgbArray:
    """Return pixels (rows, cols, 3) uint8 as they come back from a slide's JPEG tile."""
    data = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels),
        level=JPEG_QUALITY,
        colorspace="RGB",
        outcolorspace="YCBCR",
        subsampling=_JPEG_CHROMA,
    )
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace="YCBCR", outcolorspace="RGB"))
