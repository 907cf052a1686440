"""Pictures of class numbers as PNG, TIFF and OME-Zarr, with their classes inside."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np

from napari_nic.annotations import label_image
from napari_nic.annotations.label_image import ClassPicture
from napari_nic.annotations.label_zarr import Version, iter_write_labels, picture_of, version_of
from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.names import LABEL_SUFFIXES, has_suffix

*_, ZARR_SUFFIX = LABEL_SUFFIXES

MAX_PNG_PIXELS = 2**29
"""A PNG is put together in memory; larger pictures go into TIFF or OME-Zarr, tile by tile."""


def write_label_image(
    image: ClassPicture, path: Path, mpp: float, *, token: CancellationToken | None = None
) -> None:
    """Do what :func:`iter_write_label_image` does, in one go."""
    result_of(iter_write_label_image(image, path, mpp, token=token))


def iter_write_label_image(
    image: ClassPicture,
    path: Path,
    mpp: float,
    *,
    version: Version | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, None]:
    """Write a picture; its suffix tells the format.

    Parameters
    ----------
    image : ClassPicture
        A :class:`~napari_nic.annotations.LabelImage`, for instance.
    path : Path
        ``.png`` (with the colours of the classes), ``.tif``, ``.tiff`` or ``.zarr``; also ``labels/NAME``
        in an OME-Zarr. What is there is replaced when the new one is whole.
    mpp : float
        Micrometres a pixel of the picture is wide.
    version : {"0.4", "0.5"}, optional
        Of OME-Zarr; that of the picture that it is put into, 0.5 without one.
    token : CancellationToken, optional
        Asked at each band of the picture.

    Raises
    ------
    InvalidParameterError
        If the suffix tells no format, or the picture is too large for a PNG.
    StoreError
        If it cannot be written.
    """
    picture = picture_of(path)
    if picture is not None or has_suffix(path, ZARR_SUFFIX):
        chosen = version or ("0.5" if picture is None else version_of(picture))
        yield from iter_write_labels(image, path, mpp, chosen, token)
        return
    write = next((write for suffix, write in _WRITERS.items() if has_suffix(path, suffix)), None)
    if write is None:
        raise InvalidParameterError(
            "the suffix tells no format of pictures", expected=", ".join(LABEL_SUFFIXES), found=path.name
        )
    yield Progress(0, image.shape[0], "Drawing areas", "rows")
    write(image, path, mpp, token)


def _write_png(image: ClassPicture, path: Path, mpp: float, token: CancellationToken | None) -> None:
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
        colors = [(0, 0, 0), *(image.colors[label] for label in image.values)]
        picture.putpalette([value for color in colors for value in color])
    text = PngImagePlugin.PngInfo()
    text.add_text("classes", json.dumps(image.values))
    text.add_text("um_per_pixel", f"{mpp}")
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def _write_tiff(image: ClassPicture, path: Path, mpp: float, token: CancellationToken | None) -> None:
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


def _tiles(image: ClassPicture, token: CancellationToken | None) -> Iterator[np.ndarray]:
    side = label_image.BAND_ROWS
    for band in image.bands(token):
        for left in range(0, image.shape[1], side):
            tile = np.zeros((side, side), image.dtype)
            part = band[:, left : left + side]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile


_WRITERS: dict[str, Callable[[ClassPicture, Path, float, CancellationToken | None], None]] = dict(
    zip(LABEL_SUFFIXES[:-1], (_write_png, _write_tiff, _write_tiff), strict=True)
)
