"""Label images of OME-Zarr 0.4 and 0.5: numbers of areas, their names and colours, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.errors import DamagedSlideError, UnreadableSlideError, UnsupportedPixelsError
from napari_nic.slides.readers.omezarr_levels import (
    COPY_AGAIN,
    LIBRARY_ERRORS,
    axes_of,
    claims_of,
    datasets_of,
    open_array,
    open_group,
    start_of,
)
from napari_nic.slides.readers.omezarr_metadata import first_multiscale, ome_of
from napari_nic.zarr_files import CheckedStore

if TYPE_CHECKING:
    import zarr

LABELS = "labels"
MAX_CHUNK_BYTES = 2**28
"""Chunks are decoded whole."""

BAND_ROWS = 512
"""Rows that are read at once, or those of a chunk."""

_NAMES = ("class", "name", "label", "category", "label-name")
"""Where the properties of a number say what it stands for, by rank."""

_READ_ERRORS = (*LIBRARY_ERRORS, OSError)


@dataclass(frozen=True)
class LabelPicture:
    """The finest level of a label image.

    Attributes
    ----------
    folder : Path
        Of the label image.
    array : zarr.Array
    axes : tuple of str
        Of the array.
    step_um : (float, float) or None
        (y, x) um a pixel is high and wide; None where no unit is stated.
    start : (float, float) or None
        (y, x) of the middle of the first pixel, from that of the first pixel of the picture that it belongs
        to, in pixels of its own; None where it is not stated: both begin at one corner then.
    names : mapping of int to str
        What numbers stand for.
    colors : mapping of int to (r, g, b)
    """

    folder: Path
    array: zarr.Array[Any]
    axes: tuple[str, ...]
    step_um: tuple[float, float] | None
    start: tuple[float, float] | None
    names: Mapping[int, str]
    colors: Mapping[int, tuple[int, int, int]]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return int(self.array.shape[self.axes.index("y")]), int(self.array.shape[self.axes.index("x")])

    def bands(self) -> Iterator[np.ndarray]:
        """Read the numbers from above, some whole rows of chunks at a time.

        Raises
        ------
        DamagedSlideError
            If a chunk cannot be decoded.
        """
        y = self.axes.index("y")
        chunk = int(self.array.chunks[y])
        rows = chunk * max(1, BAND_ROWS // chunk)
        for top in range(0, self.shape[0], rows):
            index = tuple(slice(top, top + rows) if axis == "y" else _all(axis) for axis in self.axes)
            try:
                band = np.asarray(self.array[index])
            except _READ_ERRORS as error:
                raise DamagedSlideError(
                    f"rows {top} and below of the label image cannot be decoded",
                    path=self.folder,
                    found=str(error).partition("\n")[0][:200],
                    hint=COPY_AGAIN,
                ) from error
            yield band if self.axes.index("x") > y else band.T


def _all(axis: str) -> slice | int:
    return slice(None) if axis == "x" else 0


def open_labels(path: Path) -> LabelPicture:
    """Open a label image, or the only one of a picture.

    Parameters
    ----------
    path : Path
        Folder of the label image, of the group ``labels``, or of the picture that has it.

    Raises
    ------
    UnreadableSlideError
        If there is none, or several.
    UnsupportedPixelsError, DamagedSlideError
        If it is none of whole numbers in one plane, or damaged.
    """
    folder = _folder_of(path)
    group = open_group(folder)
    ome = ome_of(group)
    multiscale, _ = first_multiscale(ome)
    axes, dataset = axes_of(multiscale), datasets_of(multiscale)[0]
    array = open_array(folder, group, dataset, len(axes))
    _check(array, axes, folder)
    y, x = axes.index("y"), axes.index("x")
    claim = next(claims_of(multiscale, dataset, y, x), None)
    step = None if claim is None else (claim.y, claim.x)
    known = step is not None and np.isfinite(step).all() and min(step) > 0
    start = start_of(dataset, (y, x)) if known else None
    names, colors = _described(ome.get("image-label", {}))
    return LabelPicture(folder, array, axes, step if known else None, start, names, colors)


def _folder_of(path: Path) -> Path:
    ome = ome_of(open_group(path))
    if "multiscales" in ome and ("image-label" in ome or path.parent.name == LABELS):
        return path
    group = path if LABELS in ome and "multiscales" not in ome else path / LABELS
    listed = ome_of(open_group(group)).get(LABELS) if group.is_dir() else None
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    inside = [name for name in names if ".." not in Path(name).parts and not Path(name).is_absolute()]
    if not inside:
        raise UnreadableSlideError("a Zarr folder without a label image", path=path)
    if len(inside) > 1:
        raise UnreadableSlideError(
            f"the picture has {len(inside)} label images",
            path=path,
            found=", ".join(inside[:8]),
            hint=f"name one of them: {(group / inside[0])}",
        )
    return group / inside[0]


def _check(array: zarr.Array[Any], axes: tuple[str, ...], folder: Path) -> None:
    if array.dtype.kind not in "iub":
        raise UnsupportedPixelsError(
            f"a label image of numbers of the kind {array.dtype}, not whole ones", path=folder
        )
    planes = [axis for axis, size in zip(axes, array.shape, strict=True) if axis not in "yx" and size > 1]
    if planes:
        raise UnsupportedPixelsError(
            f"a label image of several planes ({', '.join(planes)})", path=folder, hint="export one of them"
        )
    if array.dtype.itemsize * int(np.prod(array.chunks, dtype=object)) > MAX_CHUNK_BYTES:
        raise UnsupportedPixelsError("a label image whose chunks are too large to be decoded", path=folder)
    if isinstance(array.store, CheckedStore):
        array.store.watch(array)


def _described(label: Any) -> tuple[dict[int, str], dict[int, tuple[int, int, int]]]:
    """Names and colours of numbers; what is malformed says nothing."""
    given = label if isinstance(label, Mapping) else {}
    names: dict[int, str] = {}
    colors: dict[int, tuple[int, int, int]] = {}
    for value, entry in _entries(given.get("properties")):
        words = (entry.get(word) for word in _NAMES)
        name = next((word.strip() for word in words if isinstance(word, str) and word.strip()), None)
        if name is not None:
            names.setdefault(value, name)
    for value, entry in _entries(given.get("colors")):
        rgba = entry.get("rgba")
        if isinstance(rgba, list) and len(rgba) in (3, 4) and all(_is_byte(part) for part in rgba):
            colors.setdefault(value, (rgba[0], rgba[1], rgba[2]))
    return names, colors


def _entries(listed: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for entry in listed if isinstance(listed, list) else []:
        value = entry.get("label-value") if isinstance(entry, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool):
            yield value, entry


def _is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255
