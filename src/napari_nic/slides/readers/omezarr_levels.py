"""Groups and levels of an OME-Zarr picture: opened and checked; axes, scales and translations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zarr
import zarr.errors

from napari_nic.disk import check_regular
from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.names import ZARR_FILES
from napari_nic.slides.levels import downsample_of, is_same_picture
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.pixel_size import um_of_unit
from napari_nic.slides.readers.zarr_pictures import register_picture_codecs
from napari_nic.slides.remote.mirrors import bring, fetch_for
from napari_nic.zarr_files import CheckedStore

_MAX_METADATA_BYTES = 2**26
_MAX_LEVELS = 64
COPY_AGAIN = "copy it again whole, with all its files"
_DEFAULT_AXES = ("t", "c", "z", "y", "x")  # of versions before 0.3, which name none
LIBRARY_ERRORS = (
    *(zarr.errors.BaseZarrError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(NotImplementedError, OverflowError, ZeroDivisionError, RuntimeError),
)
"""What zarr and numcodecs raise over metadata that are not what they should be."""


def open_group(folder: Path) -> zarr.Group:
    """Open a group whose metadata were checked."""
    _check_files(folder)
    register_picture_codecs()
    try:
        node = zarr.open(CheckedStore(folder, fetch_for(folder)), mode="r")
    except LIBRARY_ERRORS as error:
        raise unusable(folder, error) from error
    if not isinstance(node, zarr.Group):
        raise UnreadableSlideError(
            "a single array of a Zarr, without the metadata of a picture",
            hint=f"open the folder {folder.parent.name}",
        )
    return node


def _check_files(folder: Path) -> None:
    """Refuse metadata that are no files, or larger than any metadata."""
    bring(*(folder / name for name in ZARR_FILES))
    for name in ZARR_FILES:
        file = folder / name
        check_regular(file, DamagedSlideError)
        if file.is_file() and file.stat().st_size > _MAX_METADATA_BYTES:
            raise DamagedSlideError(f"{name} holds {file.stat().st_size} bytes", path=folder, hint=COPY_AGAIN)


def unusable(folder: Path, error: Exception) -> UnreadableSlideError:
    """Say what the library found wrong."""
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error).partition("\n")[0]
    return UnreadableSlideError(
        f"the Zarr metadata cannot be used: {what or type(error).__name__}", path=folder, hint=COPY_AGAIN
    )


def levels_of_the_slide(
    arrays: Sequence[zarr.Array[Any]], datasets: Sequence[Mapping[str, Any]], y: int, x: int
) -> tuple[tuple[zarr.Array[Any], ...], tuple[str, ...]]:
    """Leave out levels that show another part than the finest does: they would be shown misplaced."""
    full = arrays[0].shape[y], arrays[0].shape[x]
    kept, notices = [arrays[0]], []
    for array, dataset in zip(arrays[1:], datasets[1:], strict=True):
        shape = array.shape[y], array.shape[x]
        if not is_same_picture(full, shape):
            why = f"it is no smaller picture of the slide's {full[1]} x {full[0]} px"
        elif not _is_aligned(datasets[0], dataset, downsample_of(full, shape), (y, x)):
            why = "its translation puts it beside the slide"
        else:
            kept.append(array)
            continue
        notices.append(f"level {dataset['path']} of {shape[1]} x {shape[0]} px is left out: {why}")
    return tuple(kept), tuple(notices)


def _is_aligned(
    finest: Mapping[str, Any],
    coarse: Mapping[str, Any],
    downsample: tuple[float, float],
    places: tuple[int, int],
) -> bool:
    """Whether both start at one place, but for the pixel of the coarse one by which conventions differ."""
    return not any(  # a scale that is no number says nothing of places
        abs(_number(coarse, "translation", place, 0.0) - _number(finest, "translation", place, 0.0))
        > factor * abs(_number(finest, "scale", place, 1.0))
        for place, factor in zip(places, downsample, strict=True)
    )


def start_of(dataset: Mapping[str, Any], places: tuple[int, int]) -> tuple[float, float] | None:
    """Where the middle of a level's first pixel lies, in pixels of that level; None where nothing says it."""
    if not any(transform.get("type") == "translation" for transform in _transforms(dataset)):
        return None
    first, second = (
        _number(dataset, "translation", place, 0.0) / _number(dataset, "scale", place, 1.0)
        for place in places
    )
    return first, second


def _number(dataset: Mapping[str, Any], kind: str, place: int, default: float) -> float:
    """Return what the transforms of a level state for an axis: the last one of that kind."""
    value = default
    for transform in _transforms(dataset):
        if transform.get("type") == kind and isinstance(transform.get(kind), list):
            try:
                value = float(transform[kind][place])
            except (IndexError, TypeError, ValueError) as error:
                raise UnreadableSlideError(
                    f"the Zarr metadata cannot be used: a {kind} does not fit the axes", hint=COPY_AGAIN
                ) from error
    return value


def axes_of(multiscale: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the axes, in their order."""
    listed = multiscale.get("axes", _DEFAULT_AXES)
    if not isinstance(listed, list | tuple):
        raise UnreadableSlideError("the Zarr metadata cannot be used: axes is no list", hint=COPY_AGAIN)
    axes = tuple(str(axis.get("name") if isinstance(axis, Mapping) else axis) for axis in listed)
    if not {"y", "x"} <= set(axes) <= set("tczyx") or len(set(axes)) < len(axes):
        raise UnreadableSlideError(f"axes {', '.join(axes)} are not those of a picture")
    return axes


def datasets_of(multiscale: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the descriptions of the levels, finest first."""
    listed = multiscale.get("datasets")
    if (
        not isinstance(listed, list)
        or not 0 < len(listed) <= _MAX_LEVELS
        or not all(isinstance(entry, Mapping) and isinstance(entry.get("path"), str) for entry in listed)
    ):
        raise UnreadableSlideError(
            "the Zarr metadata cannot be used: datasets is no list of levels", hint=COPY_AGAIN
        )
    return listed


def open_array(folder: Path, group: zarr.Group, dataset: Mapping[str, Any], ndim: int) -> zarr.Array[Any]:
    """Open the array of a level."""
    name = dataset["path"]
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise UnreadableSlideError(f"the Zarr metadata name a level {name!r}", hint=COPY_AGAIN)
    _check_files(folder / name)
    if not (folder / name).is_dir():
        raise DamagedSlideError(f"the level {name} is not there", path=folder, hint=COPY_AGAIN)
    try:
        array = group[name]
    except LIBRARY_ERRORS as error:
        raise unusable(folder / name, error) from error
    if not isinstance(array, zarr.Array):
        raise UnreadableSlideError(f"{name!r} is no array")
    if array.ndim != ndim or 0 in array.shape or 0 in array.chunks:
        raise UnreadableSlideError(f"the level {name} is of shape {array.shape}, which is no picture's")
    if isinstance(array.store, CheckedStore):
        array.store.watch(array)
    return array


def claims_of(
    multiscale: Mapping[str, Any], dataset: Mapping[str, Any], y: int, x: int
) -> Iterator[PixelSizeClaim]:
    """Multiply the scale of the finest level by that which all levels share."""
    scales = [
        transform["scale"]
        for holder in (dataset, multiscale)
        for transform in _transforms(holder)
        if transform.get("type") == "scale" and isinstance(transform.get("scale"), list)
    ]
    if not scales:
        return
    try:
        size_y, size_x = (math.prod(float(scale[axis]) for scale in scales) for axis in (y, x))
    except (IndexError, TypeError, ValueError) as error:
        raise UnreadableSlideError(
            "the Zarr metadata cannot be used: a scale does not fit the axes", hint=COPY_AGAIN
        ) from error
    axes = multiscale.get("axes", ())
    units = [axes[i].get("unit") if axes and isinstance(axes[i], Mapping) else None for i in (y, x)]
    um_y, um_x = (um_of_unit(unit) or math.nan for unit in units)
    named = " and ".join(dict.fromkeys(str(unit) for unit in units if unit)) or "no unit"
    unclear = f" ({size_x:g} x {size_y:g} of {named})" if math.isnan(um_y) or math.isnan(um_x) else ""
    yield PixelSizeClaim(size_y * um_y, size_x * um_x, f"OME-Zarr scale{unclear}")


def _transforms(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = holder.get("coordinateTransformations", [])
    return [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
