"""Pictures with masks of tissue from tiles with outlines, and from slides with annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import shapely

from napari_nic.annotations import AnnotationSet, covered_share, disjoint
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.patches import TileFolder, load_tiles
from napari_nic.slides import Slide, read_overview
from napari_nic.training.tissue.tiles import MaskedPicture

MAGNIFICATIONS = (2.0, 4.0, 8.0, 16.0)
"""um/px that a network is shown: 5x to 0.6x. At finer ones the inside of fat cells looks as glass does."""

LEAST_SIDE = 32
"""Smaller pictures show nothing, px."""


def pictures_of_tiles(
    folders: Iterable[TileFolder],
    magnifications: Sequence[float] = MAGNIFICATIONS,
    *,
    token: CancellationToken | None = None,
) -> list[MaskedPicture]:
    """Read tiles with masks at each magnification that they have.

    Parameters
    ----------
    folders : iterable of TileFolder
        Masks lie in a folder ``masks`` of each; what is brighter than the middle is tissue.
    magnifications : sequence of float
        um/px.
    token : CancellationToken, optional
        Asked at each tile.

    Raises
    ------
    InvalidParameterError
        If a folder holds no tile that can be used, or one without a mask.
    """
    found = []
    for folder in folders:
        loaded = load_tiles([folder], mpp=folder.mpp, least_side=1, token=token)
        for tile in checked(loaded.tiles, token):
            if tile.mask is None:
                raise InvalidParameterError(
                    "a tile has no mask of its tissue",
                    path=folder.path,
                    expected="a picture of the same name in the folder masks, white on tissue",
                    found=tile.group,
                )
            whole = MaskedPicture(tile.image, tile.mask.astype(np.uint8), folder.mpp, tile.group)
            found += at_magnifications(whole, magnifications)
    return found


def pictures_of_slide(
    slide: Slide,
    tissue: AnnotationSet,
    magnifications: Sequence[float] = MAGNIFICATIONS,
    *,
    token: CancellationToken | None = None,
) -> list[MaskedPicture]:
    """Read overviews of a slide, with outlines of its tissue as masks.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    tissue : AnnotationSet
        All of its areas are tissue, and all else is glass.
    magnifications : sequence of float
        um/px.
    token : CancellationToken, optional
    """
    overview = read_overview(slide, min(magnifications), token=token)
    pixel, step = slide.require_pixel_size(), overview.placement.step_um
    scale = np.array([pixel.x / step[1], pixel.y / step[0]])
    areas = shapely.transform(disjoint(tissue.polygons(), token=token), lambda points: points * scale)
    mask = covered_share(areas, overview.image.shape[:2], token=token) >= 0.5
    mpp = float(np.sqrt(step[0] * step[1]))
    whole = MaskedPicture(overview.image, mask.astype(np.uint8), mpp, slide.name)
    return at_magnifications(whole, magnifications)


def at_magnifications(picture: MaskedPicture, magnifications: Sequence[float]) -> list[MaskedPicture]:
    """Average a picture down to each resolution that is no finer than its own."""
    found = []
    for mpp in magnifications:
        factor = picture.mpp / mpp
        rows, cols = (round(side * factor) for side in picture.mask.shape)
        if factor > 1 + 1e-6 or min(rows, cols) < LEAST_SIDE:
            continue
        image = cv2.resize(picture.image, (cols, rows), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(picture.mask, (cols, rows), interpolation=cv2.INTER_NEAREST)
        found.append(MaskedPicture(image, mask, mpp, picture.group))
    return found
