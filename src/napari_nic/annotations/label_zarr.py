"""Pictures of class numbers as OME-Zarr labels: a pyramid in tiles, with classes and colours inside."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_nic.annotations import label_image
from napari_nic.annotations.label_image import ClassPicture
from napari_nic.disk import replacing_folder
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import ZARR_FILES

Version = Literal["0.4", "0.5"]
VERSIONS: tuple[Version, ...] = ("0.5", "0.4")
_ZARR_FORMATS: dict[Version, Literal[2, 3]] = {"0.4": 2, "0.5": 3}

LABELS = "labels"
SMALLEST = 512
"""Levels are halved until both sides are no longer."""


def picture_of(path: Path) -> Path | None:
    """Return the OME-Zarr whose label image a path is, in its group ``labels``; None if it is of none."""
    picture = path.parent.parent
    is_one = path.parent.name == LABELS and any((picture / name).is_file() for name in ZARR_FILES)
    return picture if is_one else None


def version_of(picture: Path) -> Version:
    """Version of OME-Zarr that a picture is kept in, and its labels too."""
    return "0.5" if (picture / "zarr.json").is_file() else "0.4"


def iter_write_labels(
    image: ClassPicture, path: Path, mpp: float, version: Version, token: CancellationToken | None = None
) -> Generator[Progress, None, None]:
    """Write a label image, and enter it into the list of its picture if it lies in one.

    Each level is drawn anew, a band at a time: of outlines its pixels too have the number of the area that
    their centre lies in.

    Parameters
    ----------
    image : ClassPicture
        A :class:`~napari_nic.annotations.LabelImage`, for instance.
    path : Path
        Folder; ``PICTURE/labels/NAME`` for one of a picture.
    mpp : float
        Micrometres a pixel of the finest level is wide.
    version : str
        That of the picture, where there is one.
    token : CancellationToken, optional
        Asked at each band.

    Raises
    ------
    StoreError
        If it cannot be written, or the picture is of another version.
    """
    import zarr

    picture = picture_of(path)
    if picture is not None and version_of(picture) != version:
        raise StoreError(
            "the picture is of another version of OME-Zarr",
            path=picture,
            expected=f"version {version_of(picture)}",
            found=f"version {version}",
        )
    levels = _levels(image)
    rows = sum(level.shape[0] for level in levels)
    done = 0
    with replacing_folder(path) as folder:
        group = zarr.create_group(folder, zarr_format=_ZARR_FORMATS[version])
        group.attrs.update(_described(levels, mpp, version, inside=picture is not None))
        for number, level in enumerate(levels):
            array = _array(group, f"{number}", level, version)
            top = 0
            for band in level.bands(token):
                array[top : top + len(band)] = band
                top += len(band)
                done += len(band)
                yield Progress(done, rows, "Drawing areas", "rows")
    if picture is not None:
        _enter(path, version)


def _levels(image: ClassPicture) -> list[ClassPicture]:
    """The picture and its halves."""
    levels = [image]
    while max(levels[-1].shape) > SMALLEST:
        levels.append(levels[-1].halved())
    return levels


def _array(group: Any, name: str, level: ClassPicture, version: Version) -> Any:
    separator = {"name": "v2" if version == "0.4" else "default", "separator": "/"}
    return group.create_array(
        name,
        shape=level.shape,
        dtype=level.dtype,
        chunks=(label_image.BAND_ROWS,) * 2,
        chunk_key_encoding=separator,
        fill_value=0,
    )


def _described(levels: list[ClassPicture], mpp: float, version: Version, *, inside: bool) -> dict[str, Any]:
    """Attributes of the label image."""
    image = levels[0]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    pixel = mpp / np.array(image.scale)
    datasets = []
    for number in range(len(levels)):
        step = mpp * 2**number
        # Places are those of the middles of pixels, from the middle of the slide's first one.
        start = [float(value) for value in (step - pixel) / 2]
        place = [{"type": "scale", "scale": [step, step]}, {"type": "translation", "translation": start}]
        datasets.append({"path": f"{number}", "coordinateTransformations": place})
    colors = [
        {"label-value": value, "rgba": [*image.colors[label], 255]} for label, value in image.values.items()
    ]
    properties = [{"label-value": value, "class": label} for label, value in image.values.items()]
    label: dict[str, Any] = {"version": version, "colors": colors, "properties": properties}
    label |= {"source": {"image": "../../"}} if inside else {}
    multiscale: dict[str, Any] = {"name": "annotations", "axes": axes, "datasets": datasets}
    if version == "0.4":
        return {"multiscales": [multiscale | {"version": version}], "image-label": label}
    return {"ome": {"version": version, "multiscales": [multiscale], "image-label": label}}


def _enter(path: Path, version: Version) -> None:
    """Add a label image to the list in its group."""
    import zarr

    group = zarr.open_group(path.parent, mode="a", zarr_format=_ZARR_FORMATS[version])
    attributes: dict[str, Any] = dict(group.attrs.asdict())
    own = attributes.get("ome", {}) if version == "0.5" else attributes
    listed = own.get(LABELS, []) if isinstance(own, dict) else []
    names = [*listed, path.name] if path.name not in listed else listed
    listing = {LABELS: names} if version == "0.4" else {"ome": {**own, "version": version, LABELS: names}}
    group.attrs.update(listing)
