"""Units and corners that files count in, brought to level-0 pixels by what is known of the slide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_nic.annotations.scaling import Scaling, pair
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize, RegionPx

if TYPE_CHECKING:
    from napari_nic.slides import Slide

Unit = Literal[
    "px",
    "px from the bottom",
    "parts of the width",
    "um",
    "nm from the middle of the glass",
    "px of a DICOM slide",
]
"""What a file counts in. From the top left corner of level 0, where nothing else is said."""

OF_DICOM: Unit = "px of a DICOM slide"

NM_PER_UM = 1000.0

_OFFSETS = ("hamamatsu.XOffsetFromSlideCentre", "hamamatsu.YOffsetFromSlideCentre")


@dataclass(frozen=True)
class SlideExtent:
    """What annotations need to know of a slide.

    Attributes
    ----------
    shape : (int, int)
        (rows, cols) of level 0.
    pixel_size : PixelSize or None
        None where it is not known.
    centre_nm : (float, float) or None
        (x, y) of the picture's centre from the middle of the glass, as Hamamatsu's scanners state it.
    bounds : RegionPx or None
        The scanned part, level-0 pixels.
    name : str
        For messages.
    path : Path or None
        Of the slide, for files that refer to its pictures; None where it is not at hand.
    """

    shape: tuple[int, int]
    pixel_size: PixelSize | None = None
    centre_nm: tuple[float, float] | None = None
    bounds: RegionPx | None = None
    name: str = ""
    path: Path | None = None

    @classmethod
    def of(cls, slide: Slide) -> SlideExtent:
        """Take it from an open slide."""
        return cls(
            slide.levels[0].shape,
            slide.pixel_size,
            _centre_nm(slide.properties),
            slide.bounds,
            slide.path.name,
            slide.path,
        )


def to_pixels(unit: Unit, extent: SlideExtent | None, path: Path) -> Scaling:
    """Return how a file's numbers become level-0 pixels.

    Parameters
    ----------
    unit : Unit
    extent : SlideExtent or None
        Not needed for ``"px"``.
    path : Path
        For messages.

    Raises
    ------
    AnnotationError
        If the slide, its pixel size or its place on the glass is needed and not known.
    """
    if unit == "px" or (unit == OF_DICOM and extent is not None):
        return Scaling()
    if extent is None:
        raise AnnotationError(
            f"the coordinates are {unit}: they have no place without their slide",
            path=path,
            expected="a slide to lay them on",
            hint="name the slide (--slide), or open it first",
        )
    rows, cols = extent.shape
    if unit == "parts of the width":
        return Scaling((float(cols), float(cols)))
    if unit == "px from the bottom":
        return Scaling((1.0, -1.0), (0.0, float(rows)))
    pixel = _known_pixel(unit, extent, path)
    if unit == "um":
        return Scaling(pair(1 / pixel))
    if extent.centre_nm is None:
        raise AnnotationError(
            "the slide does not say where it lies on the glass, which the annotations count from",
            path=path,
            expected=" and ".join(_OFFSETS),
            found=extent.name or "a slide that is not of Hamamatsu's scanners",
            hint="name the .ndpi file that they were drawn on",
        )
    scale = 1 / (pixel * NM_PER_UM)
    return Scaling(pair(scale), pair(np.array([cols, rows]) / 2 - np.array(extent.centre_nm) * scale))


def _known_pixel(unit: Unit, extent: SlideExtent, path: Path) -> np.ndarray:
    """Return um/px as (x, y)."""
    if extent.pixel_size is None:
        raise AnnotationError(
            f"the coordinates are {unit}, and the pixel size of the slide is not known",
            path=path,
            found=extent.name or "a slide without a pixel size",
            hint="state it (--mpp)",
        )
    return np.array([extent.pixel_size.x, extent.pixel_size.y])


def _centre_nm(properties: Mapping[str, str]) -> tuple[float, float] | None:
    try:
        x, y = (float(properties[name]) for name in _OFFSETS)
    except (KeyError, ValueError):
        return None
    return x, y
