"""What the metadata of an OME-Zarr say: which group holds the picture, its axes and pixel size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import zarr
import zarr.errors

from napari_nic.disk import check_regular
from napari_nic.errors import ChannelsError, DamagedSlideError, UnreadableSlideError, UnsupportedPixelsError
from napari_nic.names import ZARR_FILES
from napari_nic.slides.levels import downsample_of, is_same_picture
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.pixel_size import um_of_unit
from napari_nic.slides.readers.checked_store import CheckedStore

_STORE_KEYS = ("napari_nic", "napari_nic_patches")  # by which our own rooms mark what they write
_MAX_METADATA_BYTES = 2**26
_MAX_LEVELS, _MAX_SERIES = 64, 4096
_MAIN_BY = 4  # a picture is the slide, and the others label and macro, if it is that many times larger
_COPY_AGAIN = "copy it again whole, with all its files"
_DEFAULT_AXES = ("t", "c", "z", "y", "x")  # of versions before 0.3, which name none

_LIBRARY_ERRORS = (
    *(zarr.errors.BaseZarrError, ValueError, KeyError, TypeError, AttributeError, IndexError),
    *(NotImplementedError, OverflowError, ZeroDivisionError, RuntimeError),
)
"""What zarr and numcodecs raise over metadata that are not what they should be."""


@dataclass(frozen=True)
class Multiscale:
    """One picture of an OME-Zarr.

    Attributes
    ----------
    axes : tuple of str
        Of ``t``, ``c``, ``z``, ``y`` and ``x``, in the arrays' order.
    arrays : tuple of zarr.Array
        Finest first.
    version, name : str
    pixel_sizes : tuple of PixelSizeClaim
    omero : mapping
        How channels are shown; empty where nothing is said.
    notices : tuple of str
    choice : mapping of str to JSON values
        Which of several pictures it is.
    """

    axes: tuple[str, ...]
    arrays: tuple[zarr.Array[Any], ...]
    version: str
    name: str
    pixel_sizes: tuple[PixelSizeClaim, ...]
    omero: Mapping[str, Any]
    notices: tuple[str, ...] = ()
    choice: Mapping[str, Any] | None = None

    def size(self, axis: str) -> int:
        """Length of an axis on the finest level; 1 where it has none."""
        return int(self.arrays[0].shape[self.axes.index(axis)]) if axis in self.axes else 1


def open_multiscale(path: Path, scene: str | int | None) -> Multiscale:
    """Find and check the picture in a folder.

    Raises
    ------
    UnreadableSlideError
        If there is none; the text says what the folder is.
    UnsupportedPixelsError, DamagedSlideError, ChannelsError
        If it cannot be shown, is damaged, or one of several must be chosen.
    """
    folder = path
    group = _open_group(folder)
    _refuse_ours(group)
    ome = _ome(group)
    choice: dict[str, Any] = {}
    notices: tuple[str, ...] = ()
    if "multiscales" not in ome:
        chosen, choice, notices = _choose_series(path, ome, scene)
        folder = path / chosen
        group = _open_group(folder)
        ome = _ome(group)
    elif str(1 if scene is None else scene) != "1":
        raise ChannelsError(
            f"there is no scene {scene}: it has one picture", path=path, hint="open it without --scene"
        )
    if "image-label" in ome:
        raise UnsupportedPixelsError(
            "a label image of an OME-Zarr (numbers of objects, not colours)",
            hint="open the picture it belongs to",
        )
    multiscale, found = _first_multiscale(ome)
    picture = _read(folder, group, multiscale, ome)
    return Multiscale(**(vars(picture) | {"notices": (*notices, *found, *picture.notices), "choice": choice}))


def _open_group(folder: Path) -> zarr.Group:
    _check_files(folder)
    try:
        node = zarr.open(CheckedStore(folder), mode="r")
    except _LIBRARY_ERRORS as error:
        raise _unusable(folder, error) from error
    if not isinstance(node, zarr.Group):
        raise UnreadableSlideError(
            "a single array of a Zarr, without the metadata of a picture",
            hint=f"open the folder {folder.parent.name}",
        )
    return node


def _check_files(folder: Path) -> None:
    """Refuse metadata that are no files, or larger than any metadata."""
    for name in ZARR_FILES:
        file = folder / name
        check_regular(file, DamagedSlideError)
        if file.is_file() and file.stat().st_size > _MAX_METADATA_BYTES:
            raise DamagedSlideError(
                f"{name} holds {file.stat().st_size} bytes", path=folder, hint=_COPY_AGAIN
            )


def _unusable(folder: Path, error: Exception) -> UnreadableSlideError:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error).partition("\n")[0]
    return UnreadableSlideError(
        f"the Zarr metadata cannot be used: {what or type(error).__name__}", path=folder, hint=_COPY_AGAIN
    )


def _refuse_ours(group: zarr.Group) -> None:
    if any(key in group.attrs for key in _STORE_KEYS):
        raise UnreadableSlideError(
            "a compressed slide (its picture is a preview of codes), not a slide",
            hint="open it as a compressed slide",
        )


def _ome(group: zarr.Group) -> Mapping[str, Any]:
    """Return the attributes of OME: 0.5 keeps everything under "ome", 0.4 at the top."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


# -- which group -------------------------------------------------------------------------------------------


def _choose_series(
    path: Path, ome: Mapping[str, Any], scene: str | int | None
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """Return the inner group that is meant, and what must be told of it."""
    for key, what, hint in (
        ("plate", "a plate of many wells", "open one picture in it, such as A/1/0"),
        ("well", "a well of many pictures", "open one picture in it, such as 0"),
        ("labels", "a list of label images", "open the picture that they belong to"),
    ):
        if key in ome:
            raise UnreadableSlideError(f"{what} of an OME-Zarr, not a slide", hint=hint)
    names = list(_series_names(path, ome))
    if not names:
        raise UnreadableSlideError(
            "a Zarr folder without OME multiscale metadata",
            hint="open the folder that holds the picture's levels",
        )
    sizes = [_finest_size(path / name) for name in names]
    if scene is not None:
        return _series_by_number(path, names, sizes, scene)
    if len(names) == 1:
        return names[0], {}, ()
    areas = [height * width for height, width in sizes]
    largest = max(range(len(names)), key=areas.__getitem__)
    if any(area * _MAIN_BY > areas[largest] for i, area in enumerate(areas) if i != largest):
        raise _choose_one(
            path, f"{len(names)} pictures, none of which is the slide by its size", names, sizes
        )
    notice = f"of {len(names)} pictures the largest, {names[largest]}, is shown"
    return names[largest], {"scene": largest}, (notice,)


def _series_by_number(
    path: Path, names: Sequence[str], sizes: Sequence[tuple[int, int]], scene: str | int
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    text = str(scene).strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= len(names)):
        raise _choose_one(path, f"there is no scene {text!r}", names, sizes)
    return names[int(text) - 1], {"scene": int(text) - 1}, ()


def _choose_one(
    path: Path, problem: str, names: Sequence[str], sizes: Sequence[tuple[int, int]]
) -> ChannelsError:
    listed = tuple(
        f"{number} ({path.name}/{name}, {width} x {height} px)"
        for number, (name, (height, width)) in enumerate(zip(names, sizes, strict=True), 1)
    )
    error = ChannelsError(
        f"{problem}: {', '.join(listed[:12])}",
        path=path,
        hint="choose one by its number, for instance --scene 1",
    )
    error.scenes = listed
    return error


def _series_names(path: Path, ome: Mapping[str, Any]) -> Iterator[str]:
    """Yield the pictures of a bioformats2raw layout: listed in the group OME, else numbered from 0."""
    if "bioformats2raw.layout" not in ome:
        return
    listed: object = None
    if any((path / "OME" / name).is_file() for name in ZARR_FILES):
        _check_files(path / "OME")
        try:
            listed = _ome(zarr.open_group(CheckedStore(path / "OME"), mode="r")).get("series")
        except _LIBRARY_ERRORS as error:
            raise _unusable(path / "OME", error) from error
    names = listed if isinstance(listed, list) else [str(number) for number in range(_MAX_SERIES)]
    for name in names[:_MAX_SERIES]:
        folder = path / str(name)
        if not isinstance(name, str) or ".." in Path(name).parts or Path(name).is_absolute():
            raise UnreadableSlideError(f"the Zarr metadata name a picture {name!r}", hint=_COPY_AGAIN)
        if any((folder / file).is_file() for file in ZARR_FILES):
            if "multiscales" in _ome(_open_group(folder)):
                yield name
        elif isinstance(listed, list):
            raise DamagedSlideError(f"the picture {name} is not there", path=path, hint=_COPY_AGAIN)
        else:
            return


def _finest_size(folder: Path) -> tuple[int, int]:
    group = _open_group(folder)
    multiscale, _ = _first_multiscale(_ome(group))
    axes = _axes(multiscale)
    array = _array(folder, group, _datasets(multiscale)[0], len(axes))
    return int(array.shape[axes.index("y")]), int(array.shape[axes.index("x")])


# -- one picture -------------------------------------------------------------------------------------------


def _first_multiscale(ome: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    listed = ome["multiscales"]
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], Mapping):
        raise UnreadableSlideError(
            "the Zarr metadata cannot be used: multiscales is no list", hint=_COPY_AGAIN
        )
    more = (f"of {len(listed)} multiscale pictures the first is shown",) if len(listed) > 1 else ()
    return listed[0], more


def _read(
    folder: Path, group: zarr.Group, multiscale: Mapping[str, Any], ome: Mapping[str, Any]
) -> Multiscale:
    axes = _axes(multiscale)
    datasets = _datasets(multiscale)
    arrays = tuple(_array(folder, group, dataset, len(axes)) for dataset in datasets)
    y, x = axes.index("y"), axes.index("x")
    for finer, coarser in pairwise(arrays):
        if coarser.shape[y] > finer.shape[y] or coarser.shape[x] > finer.shape[x]:
            raise UnreadableSlideError("the Zarr metadata list a level that is larger than the one before it")
        if coarser.dtype != finer.dtype or any(
            coarser.shape[i] != finer.shape[i] for i, axis in enumerate(axes) if axis in "ct"
        ):
            raise UnreadableSlideError("the levels of the Zarr differ in kind or channels")
    kept, notices = _levels_of_the_slide(arrays, datasets, y, x)
    omero = ome.get("omero", {})
    return Multiscale(
        axes=axes,
        arrays=kept,
        version=str(ome.get("version", multiscale.get("version", "0.4"))),
        name=str(multiscale.get("name", "")),
        pixel_sizes=tuple(_claims(multiscale, datasets[0], y, x)),
        omero=omero if isinstance(omero, Mapping) else {},
        notices=notices,
    )


def _levels_of_the_slide(
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


def _number(dataset: Mapping[str, Any], kind: str, place: int, default: float) -> float:
    """Return what the transforms of a level state for an axis: the last one of that kind."""
    value = default
    for transform in _transforms(dataset):
        if transform.get("type") == kind and isinstance(transform.get(kind), list):
            try:
                value = float(transform[kind][place])
            except (IndexError, TypeError, ValueError) as error:
                raise UnreadableSlideError(
                    f"the Zarr metadata cannot be used: a {kind} does not fit the axes", hint=_COPY_AGAIN
                ) from error
    return value


def _axes(multiscale: Mapping[str, Any]) -> tuple[str, ...]:
    listed = multiscale.get("axes", _DEFAULT_AXES)
    if not isinstance(listed, list | tuple):
        raise UnreadableSlideError("the Zarr metadata cannot be used: axes is no list", hint=_COPY_AGAIN)
    axes = tuple(str(axis.get("name") if isinstance(axis, Mapping) else axis) for axis in listed)
    if not {"y", "x"} <= set(axes) <= set("tczyx") or len(set(axes)) < len(axes):
        raise UnreadableSlideError(f"axes {', '.join(axes)} are not those of a picture")
    return axes


def _datasets(multiscale: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = multiscale.get("datasets")
    if (
        not isinstance(listed, list)
        or not 0 < len(listed) <= _MAX_LEVELS
        or not all(isinstance(entry, Mapping) and isinstance(entry.get("path"), str) for entry in listed)
    ):
        raise UnreadableSlideError(
            "the Zarr metadata cannot be used: datasets is no list of levels", hint=_COPY_AGAIN
        )
    return listed


def _array(folder: Path, group: zarr.Group, dataset: Mapping[str, Any], ndim: int) -> zarr.Array[Any]:
    name = dataset["path"]
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise UnreadableSlideError(f"the Zarr metadata name a level {name!r}", hint=_COPY_AGAIN)
    _check_files(folder / name)
    if not (folder / name).is_dir():
        raise DamagedSlideError(f"the level {name} is not there", path=folder, hint=_COPY_AGAIN)
    try:
        array = group[name]
    except _LIBRARY_ERRORS as error:
        raise _unusable(folder / name, error) from error
    if not isinstance(array, zarr.Array):
        raise UnreadableSlideError(f"{name!r} is no array")
    if array.ndim != ndim or 0 in array.shape or 0 in array.chunks:
        raise UnreadableSlideError(f"the level {name} is of shape {array.shape}, which is no picture's")
    if isinstance(array.store, CheckedStore):
        array.store.watch(array)
    return array


def _claims(
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
            "the Zarr metadata cannot be used: a scale does not fit the axes", hint=_COPY_AGAIN
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
