"""Small pictures of slides with what readers agree and differ on."""

from __future__ import annotations

import cv2
import numpy as np

from napari_nic.errors import CancelledError, NicError
from napari_nic.explain import Overlay, PcaModel
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.reader_study.difference import difference_overlay
from napari_nic.reader_study.readings import Reading
from napari_nic.reader_study.slides import ReadSlide
from napari_nic.slides import choice_options, open_slide, read_overview

SIDE_PX = 400
"""Longest side of a picture."""

OPACITY = 0.45

_WHITE = 255


def difference_picture(
    read: ReadSlide, pair: tuple[Reading, Reading], label: str, *, token: CancellationToken | None = None
) -> np.ndarray:
    """Paint where two readings differ over a picture of the slide.

    Parameters
    ----------
    read : ReadSlide
        Below lies the slide itself or, where it is not at hand, its codes as colours; else nothing.
    pair : (Reading, Reading)
    label : str
    token : CancellationToken, optional

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)
    """
    region, pixel = read.region, read.pixel
    side_um = max(region.height * pixel.y, region.width * pixel.x)
    step = max(side_um / SIDE_PX, pixel.y, pixel.x)
    overlay = difference_overlay(*pair, label, region, pixel, step_um=step, token=token)
    rgba = overlay.to_rgba().astype(np.float32)
    alpha = rgba[..., 3:] / _WHITE * OPACITY
    below = backdrop(read, overlay, token=token)
    return np.rint(below * (1 - alpha) + rgba[..., :3] * alpha).astype(np.uint8)


def backdrop(read: ReadSlide, overlay: Overlay, *, token: CancellationToken | None = None) -> np.ndarray:
    """Return the slide on the raster of an overlay: uint8 (rows, cols, 3), white where nothing is known."""
    if read.picture is not None:
        try:
            choice = {} if read.store is None else choice_options(read.store.header.choice)
            with open_slide(read.picture, **choice) as slide:
                view = read_overview(
                    slide.with_pixel_size(read.pixel), max(overlay.placement.step_um), token=token
                )
            return _on_raster(view.image, view.placement, overlay)
        except CancelledError:
            raise
        except NicError:
            # A slide that was moved or cannot be read any more still has its codes.
            pass
    if read.store is not None:
        codes, mask = read.store.read(token=token), read.store.encoded()
        colors = PcaModel.fit(codes, mask, token=token).to_rgb(codes, mask, token=token)[..., :3]
        colors[~mask] = _WHITE
        return _on_raster(colors, read.store.grid.placement, overlay, smooth=False)
    return np.full((*overlay.mask.shape, 3), _WHITE, np.uint8)


def _on_raster(
    image: np.ndarray, placement: Placement, overlay: Overlay, *, smooth: bool = True
) -> np.ndarray:
    """Bring a picture to the places of an overlay's elements."""
    rows, cols = overlay.mask.shape
    target = overlay.placement
    # The centre of element 0 of the overlay in pixels of the picture, whose centres OpenCV counts from 0.
    scale = [t / s for t, s in zip(target.step_um, placement.step_um, strict=True)]
    start = [
        (t + step / 2 - o) / s - 0.5
        for t, step, o, s in zip(
            target.origin_um, target.step_um, placement.origin_um, placement.step_um, strict=True
        )
    ]
    matrix = np.array([[scale[1], 0, start[1]], [0, scale[0], start[0]]])
    how = (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    fill = (_WHITE,) * 3
    return np.asarray(
        cv2.warpAffine(np.ascontiguousarray(image), matrix, (cols, rows), flags=how, borderValue=fill)
    )
