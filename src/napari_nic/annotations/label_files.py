"""Pictures of class numbers as PNG, TIFF and OME-Zarr, with their classes inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.annotations import label_image
from napari_nic.annotations.label_image import LabelImage
from napari_nic.disk import replacing, replacing_folder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.names import LABEL_SUFFIXES, has_suffix

MAX_PNG_PIXELS = 2**29
"""A PNG is put together in memory; larger pictures go into TIFF or OME-Zarr, tile by tile."""


def write_label_image(
    image: LabelImage, path: Path, mpp: float, *, token: CancellationToken | None = None
) -> None:
    """Write a picture; its suffix tells the format.

    Parameters
    ----------
    image : LabelImage
    path : Path
        ``.png`` (with the colours of the classes), ``.tif``, ``.tiff`` or ``.zarr``. What is there is
        replaced when the new one is whole.
    mpp : float
        Micrometres a pixel of the picture is wide.
    token : CancellationToken, optional
        Asked at each band of the picture.

    Raises
    ------
    InvalidParameterError
        If the suffix tells no format, or the picture is too large for a PNG.
    StoreError
        If it cannot be written.
    """
    write = next((write for suffix, write in _WRITERS.items() if has_suffix(path, suffix)), None)
    if write is None:
        raise InvalidParameterError(
            "the suffix tells no format of pictures", expected=", ".join(_WRITERS), found=path.name
        )
    write(image, path, mpp, token)


def _write_png(image: LabelImage, path: Path, mpp: float, token: CancellationToken | None) -> None:
    from PIL import Image, PngImagePlugin

    rows, cols = image.shape
    if rows * cols > MAX_PNG_PIXELS:
        raise InvalidParameterError(
            "the picture is too large for a PNG",
            expected=f"at most {MAX_PNG_PIXELS:,} pixels",
            found=f"{cols:,} x {rows:,}",
        )
    picture = Image.fromarray(np.concatenate(list(image.bands(token))))
    if image.dtype == np.uint8:
        colors = [(0, 0, 0), *(image.annotations.colors[label] for label in image.values)]
        picture.putpalette([value for color in colors for value in color])
    text = PngImagePlugin.PngInfo()
    text.add_text("classes", json.dumps(image.values))
    text.add_text("um_per_pixel", f"{mpp}")
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def _write_tiff(image: LabelImage, path: Path, mpp: float, token: CancellationToken | None) -> None:
    import tifffile

    described = json.dumps({"classes": image.values, "um_per_pixel": mpp})
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(image, token),
            shape=image.shape,
            dtype=image.dtype,
            tile=(label_image.BAND_ROWS,) * 2,
            photometric="minisblack",
            compression="zlib",
            description=described,
            metadata=None,
            resolution=(1e4 / mpp, 1e4 / mpp),
            resolutionunit="CENTIMETER",
            bigtiff=image.shape[0] * image.shape[1] > 2**31,
        )


def _tiles(image: LabelImage, token: CancellationToken | None) -> Iterator[np.ndarray]:
    side = label_image.BAND_ROWS
    for band in image.bands(token):
        for left in range(0, image.shape[1], side):
            tile = np.zeros((side, side), image.dtype)
            part = band[:, left : left + side]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


def _write_zarr(image: LabelImage, path: Path, mpp: float, token: CancellationToken | None) -> None:
    import zarr

    with replacing_folder(path) as folder:
        group = zarr.create_group(folder, zarr_format=3)
        group.attrs.update(_ome(image, mpp))
        array = group.create_array(
            "0", shape=image.shape, dtype=image.dtype, chunks=(label_image.BAND_ROWS,) * 2
        )
        top = 0
        for band in image.bands(token):
            array[top : top + len(band)] = band
            top += len(band)


def _ome(image: LabelImage, mpp: float) -> dict[str, Any]:
    """OME-Zarr 0.5: a label image of one level."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    # The middle of the first pixel lies half a pixel from the corner.
    place = [{"type": "scale", "scale": [mpp, mpp]}, {"type": "translation", "translation": [mpp / 2] * 2}]
    colors = [
        {"label-value": value, "rgba": [*image.annotations.colors[label], 255]}
        for label, value in image.values.items()
    ]
    properties = [{"label-value": value, "class": label} for label, value in image.values.items()]
    return {
        "ome": {
            "version": "0.5",
            "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": place}]}],
            "image-label": {"version": "0.5", "colors": colors, "properties": properties},
        }
    }


_WRITERS: dict[str, Callable[[LabelImage, Path, float, CancellationToken | None], None]] = dict(
    zip(LABEL_SUFFIXES, (_write_png, _write_tiff, _write_tiff, _write_zarr), strict=True)
)
