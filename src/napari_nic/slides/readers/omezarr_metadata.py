"""What the metadata of an OME-Zarr say: which group holds the picture, its axes and pixel size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import zarr
import zarr.errors

from napari_nic.errors import ChannelsError, DamagedSlideError, UnreadableSlideError, UnsupportedPixelsError
from napari_nic.names import ZARR_FILES
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.readers.omezarr_levels import (
    COPY_AGAIN,
    LIBRARY_ERRORS,
    _check_files,
    axes_of,
    claims_of,
    datasets_of,
    levels_of_the_slide,
    open_array,
    open_group,
    unusable,
)
from napari_nic.slides.remote.mirrors import bring, fetch_for
from napari_nic.zarr_files import CheckedStore

_STORE_KEYS = ("napari_nic", "napari_nic_patches")  # by which our own rooms mark what they write
_MAX_SERIES = 4096
_MAIN_BY = 4  # a picture is the slide, and the others label and macro, if it is that many times larger


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
    group = open_group(folder)
    _refuse_ours(group)
    ome = ome_of(group)
    choice: dict[str, Any] = {}
    notices: tuple[str, ...] = ()
    if "multiscales" not in ome:
        chosen, choice, notices = _choose_series(path, ome, scene)
        folder = path / chosen
        group = open_group(folder)
        ome = ome_of(group)
    elif str(1 if scene is None else scene) != "1":
        raise ChannelsError(
            f"there is no scene {scene}: it has one picture", path=path, hint="open it without --scene"
        )
    if "image-label" in ome:
        raise UnsupportedPixelsError(
            "a label image of an OME-Zarr (numbers of objects, not colours)",
            hint="open the picture it belongs to",
        )
    multiscale, found = first_multiscale(ome)
    picture = _read(folder, group, multiscale, ome)
    return Multiscale(**(vars(picture) | {"notices": (*notices, *found, *picture.notices), "choice": choice}))


def _refuse_ours(group: zarr.Group) -> None:
    if any(key in group.attrs for key in _STORE_KEYS):
        raise UnreadableSlideError(
            "a compressed slide (its picture is a preview of codes), not a slide",
            hint="open it as a compressed slide",
        )


def ome_of(group: zarr.Group) -> Mapping[str, Any]:
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
    bring(*(path / "OME" / name for name in ZARR_FILES))
    if any((path / "OME" / name).is_file() for name in ZARR_FILES):
        _check_files(path / "OME")
        try:
            listed = ome_of(zarr.open_group(CheckedStore(path / "OME", fetch_for(path)), mode="r")).get(
                "series"
            )
        except LIBRARY_ERRORS as error:
            raise unusable(path / "OME", error) from error
    names = listed if isinstance(listed, list) else [str(number) for number in range(_MAX_SERIES)]
    for name in names[:_MAX_SERIES]:
        folder = path / str(name)
        if not isinstance(name, str) or ".." in Path(name).parts or Path(name).is_absolute():
            raise UnreadableSlideError(f"the Zarr metadata name a picture {name!r}", hint=COPY_AGAIN)
        bring(*(folder / file for file in ZARR_FILES))
        if any((folder / file).is_file() for file in ZARR_FILES):
            if "multiscales" in ome_of(open_group(folder)):
                yield name
        elif isinstance(listed, list):
            raise DamagedSlideError(f"the picture {name} is not there", path=path, hint=COPY_AGAIN)
        else:
            return


def _finest_size(folder: Path) -> tuple[int, int]:
    group = open_group(folder)
    multiscale, _ = first_multiscale(ome_of(group))
    axes = axes_of(multiscale)
    array = open_array(folder, group, datasets_of(multiscale)[0], len(axes))
    return int(array.shape[axes.index("y")]), int(array.shape[axes.index("x")])


# -- one picture -------------------------------------------------------------------------------------------


def first_multiscale(ome: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Return the first picture of several at one place, and what must be told of it."""
    listed = ome["multiscales"]
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], Mapping):
        raise UnreadableSlideError(
            "the Zarr metadata cannot be used: multiscales is no list", hint=COPY_AGAIN
        )
    more = (f"of {len(listed)} multiscale pictures the first is shown",) if len(listed) > 1 else ()
    return listed[0], more


def _read(
    folder: Path, group: zarr.Group, multiscale: Mapping[str, Any], ome: Mapping[str, Any]
) -> Multiscale:
    axes = axes_of(multiscale)
    datasets = datasets_of(multiscale)
    arrays = tuple(open_array(folder, group, dataset, len(axes)) for dataset in datasets)
    y, x = axes.index("y"), axes.index("x")
    for finer, coarser in pairwise(arrays):
        if coarser.shape[y] > finer.shape[y] or coarser.shape[x] > finer.shape[x]:
            raise UnreadableSlideError("the Zarr metadata list a level that is larger than the one before it")
        if coarser.dtype != finer.dtype or any(
            coarser.shape[i] != finer.shape[i] for i, axis in enumerate(axes) if axis in "ct"
        ):
            raise UnreadableSlideError("the levels of the Zarr differ in kind or channels")
    kept, notices = levels_of_the_slide(arrays, datasets, y, x)
    omero = ome.get("omero", {})
    return Multiscale(
        axes=axes,
        arrays=kept,
        version=str(ome.get("version", multiscale.get("version", "0.4"))),
        name=str(multiscale.get("name", "")),
        pixel_sizes=tuple(claims_of(multiscale, datasets[0], y, x)),
        omero=omero if isinstance(omero, Mapping) else {},
        notices=notices,
    )
