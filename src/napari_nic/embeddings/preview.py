"""The picture inside a store: a small multiscale RGB image in OME-Zarr 0.5 form."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr

from napari_nic.embeddings.layout import CODEC
from napari_nic.errors import InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.slides.shrink import halve

OME, OME_VERSION = "ome", "0.5"
"""Attribute that describes the levels, and the version of the format."""

SMALLEST = 64
"""Levels are halved until the longer side is at most this."""

PREVIEW_CHUNK = 512


def write_preview(root: zarr.Group, rgb: np.ndarray, grid: PatchGrid, name: str) -> None:
    """Write ``preview/0..n`` and describe them in the root attributes.

    Parameters
    ----------
    root : zarr.Group
        Opened for writing.
    rgb : ndarray of uint8, (rows, cols, 3)
    grid : PatchGrid
        Tells where the picture lies on the slide.
    name : str
        What viewers call it.

    Raises
    ------
    InvalidParameterError
        If it is no such picture of the grid.
    """
    if rgb.shape != (*grid.shape, 3) or rgb.dtype != np.uint8:
        raise InvalidParameterError(
            "the preview does not fit the grid",
            expected=f"uint8 {(*grid.shape, 3)}",
            found=f"{rgb.dtype} {rgb.shape}",
        )
    levels = _pyramid(rgb)
    for index, level in enumerate(levels):
        _write_level(root, f"preview/{index}", np.moveaxis(level, -1, 0))
    # The description comes last: it never names a level that is not there.
    root.attrs[OME] = ome_metadata(len(levels), grid, name)


def read_preview(root: zarr.Group) -> np.ndarray | None:
    """Return the finest picture, uint8 (rows, cols, 3); None where there is none."""
    array = root.get("preview/0")
    if not isinstance(array, zarr.Array) or array.ndim != 3 or array.dtype != np.uint8 or array.shape[0] != 3:
        return None
    return np.moveaxis(np.asarray(array[:]), 0, -1)


def ome_metadata(n_levels: int, grid: PatchGrid, name: str) -> dict[str, Any]:
    """Describe the levels as OME-NGFF 0.5 does: axes, and per level scale and translation in micrometres.

    Translations place element centres, with the centre of the slide's level-0 pixel 0 at 0: the convention
    of the viewers that read this metadata, see :meth:`napari_nic.geometry.Placement.centred_on`.
    """
    (scale_y, scale_x), (shift_y, shift_x) = grid.placement.centred_on(grid.pixel_size)
    datasets = []
    for index in range(n_levels):
        factor = 2**index
        half = (factor - 1) / 2
        scale = [1.0, scale_y * factor, scale_x * factor]
        translation = [0.0, shift_y + half * scale_y, shift_x + half * scale_x]
        datasets.append(
            {
                "path": f"preview/{index}",
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": translation},
                ],
            }
        )
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"
    ]
    multiscales = [{"name": f"{name} PCA", "axes": axes, "datasets": datasets, "type": "mean"}]
    return {"version": OME_VERSION, "multiscales": multiscales, "omero": _omero()}


def _omero() -> dict[str, Any]:
    """Tell viewers that the three channels are red, green and blue."""
    window = {"min": 0, "start": 0, "end": 255, "max": 255}
    channels = [
        {"label": label, "color": color, "active": True, "window": window}
        for label, color in (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    ]
    return {"channels": channels, "rdefs": {"model": "color"}}


def _pyramid(rgb: np.ndarray) -> list[np.ndarray]:
    levels = [rgb]
    while max(levels[-1].shape[:2]) > SMALLEST and min(levels[-1].shape[:2]) > 1:
        levels.append(halve(levels[-1]))
    return levels


def _write_level(root: zarr.Group, path: str, image: np.ndarray) -> None:
    """Write or rewrite one level; its shape follows from the grid, so it never changes."""
    if path in root:
        array = root[path]
        if isinstance(array, zarr.Array):
            array[:] = image
            return
    root.create_array(
        path,
        data=image,
        chunks=(len(image), *(min(PREVIEW_CHUNK, side) for side in image.shape[1:])),
        compressors=CODEC,
        dimension_names=("c", "y", "x"),
    )
