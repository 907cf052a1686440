"""OME-Zarr 0.4 and 0.5: a folder with a multiscale picture of axes c, y, x (of t and z one is shown)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.errors

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import WHITE, PixelSizeClaim, RgbArray, SourceInfo, to_rgb

_UM_PER_UNIT = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}
_METADATA_NAMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
_MAX_FINGERPRINT_CHUNKS = 64
_STORE_KEY = "napari_nic"  # by which the compressed room marks its stores
_OPEN_ERRORS = (zarr.errors.BaseZarrError, ValueError, KeyError, OSError, TypeError)


class OmeZarrSource:
    """An open OME-Zarr picture. See :class:`~napari_nic.slides.model.SlideSource`.

    A chunk that was never written comes back from Zarr as the fill value. A block that holds the fill
    value 0 and nothing else is taken for such a chunk: no brightfield tissue is wholly black.
    """

    def __init__(self, path: Path, group: zarr.Group, multiscale: Mapping[str, Any], version: str) -> None:
        self.path = path
        self._axes = [str(axis["name"] if isinstance(axis, Mapping) else axis) for axis in multiscale["axes"]]
        self._arrays = [_array(group, str(dataset["path"])) for dataset in multiscale["datasets"]]
        _check_picture(self._axes, self._arrays[0])
        y, x = self._axes.index("y"), self._axes.index("x")
        shapes = [(array.shape[y], array.shape[x]) for array in self._arrays]
        tiles = [(array.chunks[y], array.chunks[x]) for array in self._arrays]
        self.info = SourceInfo(
            vendor="ome-zarr",
            levels=build_levels(shapes, tiles),
            pixel_sizes=tuple(_claims(multiscale, y, x)),
            background=WHITE,
            properties={"ome-zarr.version": version, "ome-zarr.name": str(multiscale.get("name", ""))},
            fingerprint_files=tuple(_files_of(path, self._arrays[-1])),
        )

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Read one chunk; None if it holds nothing."""
        frame = self.info.levels[level].tile_region(row, col)
        array = self._arrays[level]
        try:
            pixels = np.asarray(array[self._index(array, *frame.slices)])
        except (RuntimeError, ValueError, OSError) as error:
            raise DamagedSlideError(
                f"chunk ({row}, {col}) of level {level} cannot be decoded",
                path=self.path,
                found=str(error),
                hint="the folder is damaged: copy it again from where it came",
            ) from error
        if array.fill_value == 0 and not pixels.any():
            return None
        remaining = [axis for axis in self._axes if axis in "cyx"]
        order = [remaining.index(axis) for axis in "yxc" if axis in remaining]
        return to_rgb(pixels.transpose(order), self.info.background)

    def _index(self, array: zarr.Array, rows: slice, cols: slice) -> tuple[int | slice, ...]:
        """Index of a region; of a focus stack the middle plane is shown, of a time series the first."""
        at: dict[str, int | slice] = {"y": rows, "x": cols, "c": slice(None)}
        if "z" in self._axes:
            at["z"] = array.shape[self._axes.index("z")] // 2
        return tuple(at.get(axis, 0) for axis in self._axes)

    def read_associated(self, name: str) -> RgbArray:
        """OME-Zarr names no associated images."""
        raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)

    def close(self) -> None:
        """Nothing is held open."""


def open_omezarr(path: Path) -> OmeZarrSource:
    """Open an OME-Zarr folder; see :data:`~napari_nic.slides.model.OpenSource`."""
    if not path.is_dir():
        raise UnreadableSlideError("a file, not an OME-Zarr folder")
    if not any((path / name).is_file() for name in _METADATA_NAMES):
        raise UnreadableSlideError("a folder without Zarr metadata")
    try:
        group = zarr.open_group(path, mode="r")
        group, multiscale, version = _multiscale(group)
        return OmeZarrSource(path, group, multiscale, version)
    except _OPEN_ERRORS as error:
        if isinstance(error, UnreadableSlideError):
            raise
        raise UnreadableSlideError(f"the Zarr metadata cannot be used: {error}") from error


def _multiscale(group: zarr.Group) -> tuple[zarr.Group, Mapping[str, Any], str]:
    """Return the group that holds the first multiscale picture, its metadata and their version."""
    attributes: Mapping[str, Any] = group.attrs.asdict()
    if _STORE_KEY in attributes:
        raise UnreadableSlideError("a compressed slide (its picture is a preview of codes), not a slide")
    ome = attributes.get("ome", attributes)  # 0.5 keeps everything under "ome", 0.4 at the top
    if "multiscales" in ome:
        multiscale = ome["multiscales"][0]
        return group, multiscale, str(ome.get("version", multiscale.get("version", "0.4")))
    if "bioformats2raw.layout" in ome:
        first = group["0"]
        if isinstance(first, zarr.Group):
            return _multiscale(first)
    raise UnreadableSlideError("a Zarr folder without OME multiscale metadata")


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise UnreadableSlideError(f"{name!r} is no array")
    return array


def _check_picture(axes: Sequence[str], array: zarr.Array) -> None:
    sizes = dict(zip(axes, array.shape, strict=True))
    if not {"y", "x"} <= sizes.keys() <= set("tczyx"):
        raise UnreadableSlideError(f"axes {', '.join(axes)} are not those of a picture")
    if sizes.get("c", 1) not in (1, 3, 4):
        raise UnreadableSlideError(f"{sizes['c']} channels: not a brightfield picture (grey, RGB or RGBA)")
    if array.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise UnreadableSlideError(f"samples are {array.dtype}, not 8 or 16 bit unsigned")


def _claims(multiscale: Mapping[str, Any], y: int, x: int) -> Iterator[PixelSizeClaim]:
    axes = multiscale["axes"]
    transforms = multiscale["datasets"][0].get("coordinateTransformations", [])
    shared = multiscale.get("coordinateTransformations", [])
    scales = [transform["scale"] for transform in (*transforms, *shared) if transform["type"] == "scale"]
    if not scales or not isinstance(axes[y], Mapping):
        return
    unit_y, unit_x = (_UM_PER_UNIT.get(axes[axis].get("unit", "")) for axis in (y, x))
    if unit_y is not None and unit_x is not None:
        total = np.prod(scales, axis=0)
        yield PixelSizeClaim(float(total[y]) * unit_y, float(total[x]) * unit_x, "OME-Zarr scale")


def _files_of(path: Path, coarsest: zarr.Array) -> Iterator[Path]:
    """Yield the metadata, and chunks of the coarsest level, which stand for the picture."""
    for folder in (path, *sorted(child for child in path.iterdir() if child.is_dir())):
        yield from (folder / name for name in _METADATA_NAMES if (folder / name).is_file())
    folder = path / coarsest.path
    chunks = sorted(file for file in folder.rglob("*") if file.is_file() and file.name not in _METADATA_NAMES)
    yield from chunks[:_MAX_FINGERPRINT_CHUNKS]
