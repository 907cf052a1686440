"""A small picture of a whole slide, for finding one's way on it."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slides import RgbArray, Slide


def iter_thumbnail(
    slide: Slide, side: int, *, token: CancellationToken | None = None
) -> Generator[Progress, None, RgbArray]:
    """Return a picture of the whole slide, averaged from the coarsest level that a viewer shows.

    Pixel size and a slide's name of a level play no part: it works for slides of unknown um/px too. What was
    computed for the screen already is not computed again.

    Parameters
    ----------
    slide : Slide
    side : int
        Longer side of the picture in pixels, at most.
    token : CancellationToken, optional
        Checked between blocks of a slide that has no small levels.

    Yields
    ------
    Progress
        While levels are made that the file lacks.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)
        RGB; spans the whole of level 0.

    Raises
    ------
    InvalidParameterError
        If `side` is not positive.
    DamagedSlideError
        If a tile cannot be read, unless `slide` hatches those.
    CancelledError
        If `token` was cancelled.
    """
    if side < 1:
        raise InvalidParameterError("a picture has a side of a pixel at least", found=f"{side}")
    token = token or CancellationToken()
    for progress in slide.halvings[-1].iter_fill():
        token.checkpoint()
        yield progress
    token.checkpoint()
    # One thread: this runs beside the window's own reads, and a thread pool would outlive it.
    coarsest = np.asarray(slide.pyramid()[-1].compute(scheduler="synchronous"))
    token.checkpoint()
    factor = max(1.0, max(coarsest.shape[:2]) / side)
    rows, cols = (max(1, round(length / factor)) for length in coarsest.shape[:2])
    return np.ascontiguousarray(cv2.resize(coarsest, (cols, rows), interpolation=cv2.INTER_AREA))
