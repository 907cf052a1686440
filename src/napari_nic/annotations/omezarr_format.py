"""Label images of OME-Zarr 0.4 and 0.5, read: the connected areas of each number become outlines.

They are written at a resolution that is asked for, see :mod:`~napari_nic.annotations.label_files`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from napari_nic.annotations.building import Drawn, iter_build_set
from napari_nic.annotations.model import AnnotationSet
from napari_nic.annotations.region_outlines import TooManyCornersError, iter_region_outlines
from napari_nic.annotations.registry import OF_FOLDER, AnnotationFormat
from napari_nic.annotations.slide_extent import SlideExtent
from napari_nic.errors import AnnotationError, DamagedSlideError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.names import ANNOTATION_SUFFIXES

if TYPE_CHECKING:
    from napari_nic.slides.omezarr_labels import LabelPicture


def recognises(head: bytes) -> bool:
    """Whether a path is the folder of a Zarr."""
    return head.startswith(OF_FOLDER)


def read(path: Path, _token: CancellationToken | None = None) -> AnnotationSet:
    """Refuse a label image without its slide; see :func:`iter_read_on`."""
    raise AnnotationError("a label image has no place without its slide", path=path)


def on_slide(chosen: AnnotationFormat, extent: SlideExtent, _path: Path) -> AnnotationFormat:
    """Return the format for one slide, whose pixels label images count from."""
    return replace(chosen, read=partial(_read_on, extent), iter_read=partial(iter_read_on, extent))


def _read_on(extent: SlideExtent, path: Path, token: CancellationToken | None = None) -> AnnotationSet:
    return result_of(iter_read_on(extent, path, token))


def iter_read_on(
    extent: SlideExtent, path: Path, token: CancellationToken | None = None
) -> Generator[Progress, None, AnnotationSet]:
    """Read a label image in um, with progress and checkpoints of `token`.

    Raises
    ------
    AnnotationError
        If it is damaged, of noise, or in a unit that is not known.
    """
    from napari_nic.slides.omezarr_labels import open_labels

    try:
        picture = open_labels(path)
        step, corner = _place(picture, extent, path)
        found = yield from iter_region_outlines(picture.bands(), picture.shape[0], token)
    except (UnreadableSlideError, DamagedSlideError) as error:
        raise AnnotationError(
            error.problem, path=error.file or path, found=error.found, hint=error.hint
        ) from error
    except TooManyCornersError as error:
        raise AnnotationError(
            "the label image is too ragged to be outlined", path=path, found=str(error)
        ) from error
    labels = {value: picture.names.get(value, f"label {value}") for value in found}
    drawn = [
        Drawn(f"label {value}, area {number}", labels[value], "polygon", [], area=area)
        for value, areas in found.items()
        for number, area in enumerate(shapely.transform(areas, lambda points: points * step + corner), 1)
    ]
    colors = {labels[value]: color for value, color in picture.colors.items() if value in labels}
    return (yield from iter_build_set(drawn, path, colors=colors, token=token))


def _place(picture: LabelPicture, extent: SlideExtent, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Step and corner of the label image in um, (x, y) from the slide's corner."""
    if extent.pixel_size is None:
        raise AnnotationError("the pixel size of the slide is not known", path=path, hint="state it (--mpp)")
    pixel = np.array([extent.pixel_size.x, extent.pixel_size.y])
    if picture.step_um is None and picture.shape == extent.shape:
        return pixel, np.zeros(2)
    if picture.step_um is None:
        raise AnnotationError(
            "the label image does not say how large its pixels are",
            path=path,
            expected=f"a scale in a unit of length, or the slide's {extent.shape[1]} x {extent.shape[0]} px",
            found=f"{picture.shape[1]} x {picture.shape[0]} px without a unit",
        )
    step = np.array(picture.step_um[::-1])
    if picture.start is None:
        return step, np.zeros(2)
    # The middle of its first pixel counts from the middle of the slide's first one.
    return step, (np.array(picture.start[::-1]) - 0.5) * step + pixel / 2


FORMAT = AnnotationFormat(
    "OME-Zarr labels",
    ANNOTATION_SUFFIXES["omezarr"],
    recognises,
    read,
    unit="um",
    on_slide=on_slide,
)
