"""OME-Zarr 0.4 and 0.5: a folder with a multiscale picture of axes t, c, z, y, x."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
import zarr.errors

from napari_nic.disk import check_regular
from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    OutOfBoundsError,
    UnreadableSlideError,
    UnsupportedPixelsError,
    WeightsError,
)
from napari_nic.names import ZARR_FILES
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import (
    WHITE,
    Channel,
    ChannelSource,
    RgbArray,
    Selection,
    SlideSource,
    SourceInfo,
    to_rgb,
)
from napari_nic.slides.readers.learned_tiles import (
    NETWORK_FILE,
    TileNetwork,
    network_file,
    reading_by,
    shared_network,
)
from napari_nic.slides.readers.omezarr_beside import Beside, read_beside
from napari_nic.slides.readers.omezarr_channels import channels_of, is_color
from napari_nic.slides.readers.omezarr_metadata import (
    Multiscale,
    open_multiscale,
)
from napari_nic.slides.readers.zarr_pictures import Learned
from napari_nic.slides.remote.mirrors import bring_what_identifies, is_there

MAX_CHUNK_BYTES = 2**28
"""Chunks are decoded whole, whatever part of them is asked for."""

_LOW, _BLOCK = 64, 256  # sides of chunks below the first are read several at once, to at least the second
_MAX_SIDE = 2**31 - 1
_MAX_FINGERPRINT_CHUNKS = 64
_READ_ERRORS: tuple[type[Exception], ...] = (
    zarr.errors.BaseZarrError,
    RuntimeError,
    ValueError,
    OSError,
    TypeError,
    KeyError,
)
_AXIS_NAMES = {"z": "planes of depth", "t": "time points"}


class _Source:
    """What both kinds of OME-Zarr share: levels, and reading a block of all wanted channels."""

    def __init__(
        self,
        path: Path,
        picture: Multiscale,
        planes: dict[str, int],
        notices: Sequence[str],
        beside: Beside,
        network: TileNetwork | None = None,
    ) -> None:
        self.path = path
        self._network = network
        self._picture = picture
        self._planes = planes
        self._beside = beside
        y, x = picture.axes.index("y"), picture.axes.index("x")
        chosen = {axis: at for axis, at in planes.items() if picture.size(axis) > 1}
        self.info = SourceInfo(
            vendor="ome-zarr",
            levels=build_levels(
                [(array.shape[y], array.shape[x]) for array in picture.arrays],
                [(_block(array.chunks[y]), _block(array.chunks[x])) for array in picture.arrays],
            ),
            pixel_sizes=picture.pixel_sizes,
            background=WHITE,
            icc_profile=beside.icc_profile,
            associated=tuple(beside.associated),
            properties={"ome-zarr.version": picture.version, "ome-zarr.name": picture.name},
            fingerprint_files=tuple(_files_of(path, picture.arrays)),
            notices=(*picture.notices, *notices),
            choice={**(picture.choice or {}), **chosen},
        )

    def _read(self, level: int, row: int, col: int, channels: slice | list[int]) -> npt.NDArray[Any] | None:
        """Return (rows, cols, channels); None where none of the block's chunks was ever written."""
        frame = self.info.levels[level].tile_region(row, col)
        array = self._picture.arrays[level]
        at: dict[str, int | slice | list[int]] = {"y": frame.slices[0], "x": frame.slices[1], "c": channels}
        index = tuple(
            at[axis]
            if axis in at
            else _plane(self._planes[axis], array.shape[place], self._picture.size(axis))
            for place, axis in enumerate(self._picture.axes)
        )
        if not self._is_there(array, index):
            return None
        try:
            with reading_by(self._network):
                pixels = np.asarray(array.oindex[index])  # type: ignore[index]  # lists are indices too
        except _READ_ERRORS as error:
            raise self._damaged(row, col, level, str(error)) from error
        except MemoryError as error:
            raise self._damaged(row, col, level, "it is larger than the memory") from error
        except ExceptionGroup as group:  # zarr 3.2 and newer read chunks in tasks of their own
            known, others = group.split(_READ_ERRORS)
            if known is None or others is not None:
                raise
            raise self._damaged(row, col, level, str(_first(known))) from group
        remaining = [axis for axis in self._picture.axes if axis in "cyx"]
        pixels = pixels.transpose([remaining.index(axis) for axis in "yxc" if axis in remaining])
        pixels = pixels if pixels.ndim == 3 else pixels[..., None]
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)

    def _is_there(self, array: zarr.Array[Any], index: tuple[int | slice | list[int], ...]) -> bool:
        """Whether any file of a block's chunks is there; a pipe in its place would never end."""
        stored = array.shards or array.chunks
        ranges: list[list[int]] = []
        for place, part in enumerate(index):
            size = stored[place]
            if isinstance(part, slice):
                first, stop = part.start or 0, array.shape[place] if part.stop is None else part.stop
                ranges.append(list(range(first // size, (stop - 1) // size + 1)))
            else:
                ranges.append(sorted({int(i) // size for i in ([part] if isinstance(part, int) else part)}))
        folder = self._folder(array)
        found = False
        for at in np.ndindex(*(len(entry) for entry in ranges)):
            key = array.metadata.encode_chunk_key(tuple(ranges[i][n] for i, n in enumerate(at)))
            check_regular(folder / key, DamagedSlideError)
            found = is_there(folder / key) or found
        return found

    def _folder(self, array: zarr.Array[Any]) -> Path:
        return Path(array.store.root) / array.path  # type: ignore[attr-defined]  # a LocalStore

    def _damaged(self, row: int, col: int, level: int, found: str) -> DamagedSlideError:
        return DamagedSlideError(
            f"chunk ({row}, {col}) of level {level} cannot be decoded",
            path=self.path,
            found=found,
            hint="the folder is damaged: copy it again from where it came",
        )

    def read_associated(self, name: str) -> RgbArray:
        """Decode a picture that this program has put beside the slide; OME-Zarr itself names none."""
        if name not in self._beside.associated:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        try:
            return self._beside.read(name)
        except _READ_ERRORS as error:
            raise DamagedSlideError(
                f"the {name} image cannot be decoded", path=self.path, found=str(error)
            ) from error

    def close(self) -> None:
        """Nothing is held open."""


class OmeZarrSource(_Source):
    """A colour picture in an OME-Zarr. See :class:`~napari_nic.slides.model.SlideSource`.

    A chunk that was never written stands for the fill value. Where that is 0 it is shown as background, for
    no brightfield tissue is wholly black.
    """

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Read one block; None if it holds nothing."""
        pixels = self._read(level, row, col, slice(None))
        array = self._picture.arrays[level]
        if pixels is None:
            if not array.fill_value:
                return None
            frame = self.info.levels[level].tile_region(row, col)
            shape = (frame.height, frame.width, self._picture.size("c"))
            pixels = np.full(shape, array.fill_value, array.dtype.newbyteorder("="))
        elif array.shards is not None and not array.fill_value and not pixels.any():
            return None  # which chunks of a shard were written cannot be seen from outside
        return to_rgb(pixels, self.info.background)


class OmeZarrChannels(_Source):
    """Separate channels in an OME-Zarr. See :class:`~napari_nic.slides.model.ChannelSource`."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels, in the file's order."""
        return channels_of(self._picture)

    def read_channels(
        self, level: int, row: int, col: int, channels: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """Read one block of some channels; None if it holds nothing."""
        pixels = self._read(level, row, col, list(channels))
        array = self._picture.arrays[level]
        if pixels is None and array.fill_value:
            frame = self.info.levels[level].tile_region(row, col)
            pixels = np.full(
                (frame.height, frame.width, len(channels)), array.fill_value, array.dtype.newbyteorder("=")
            )
        return pixels


def open_omezarr(path: Path, selection: Selection | None = None) -> SlideSource | ChannelSource:
    """Open an OME-Zarr folder; see :data:`~napari_nic.slides.model.OpenSource`.

    Parameters
    ----------
    path : Path
    selection : Selection, optional
        Picture, plane of depth and time point of a folder that holds several.
    """
    if not path.is_dir():
        raise UnreadableSlideError("a file, not an OME-Zarr folder")
    if not any((path / name).is_file() for name in ZARR_FILES):
        raise UnreadableSlideError("a folder without Zarr metadata")
    selection = selection or Selection()
    picture = open_multiscale(path, selection.scene)
    for array in picture.arrays:
        _check_kind(array, picture.axes)
    planes, notices = _choose_planes(path, picture, selection)
    kind = OmeZarrSource if is_color(picture) else OmeZarrChannels
    return kind(path, picture, planes, notices, read_beside(path), _network_of(path, picture))


def _network_of(path: Path, picture: Multiscale) -> TileNetwork | None:
    """Return the network that decodes tiles, as it travels with them; None where none is needed.

    Raises
    ------
    WeightsError
        If it is not there, is damaged, or is another one than the tiles'.
    """
    wanted = {
        str(codec.configuration.get("network"))
        for array in picture.arrays
        for codec in getattr(array.metadata, "codecs", ())
        if isinstance(codec, Learned)
    }
    if not wanted:
        return None
    network = network_file(path)
    if wanted != {network.id}:
        raise WeightsError(
            "the network in this folder is another one than its tiles were made by",
            path=path / NETWORK_FILE,
            expected=", ".join(sorted(wanted)),
            found=network.id,
            hint="copy the slide again from where it came, with all its files",
        )
    return shared_network(network)


def _check_kind(array: zarr.Array[Any], axes: Sequence[str]) -> None:
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise UnsupportedPixelsError(
            f"samples are {array.dtype}, not 8 or 16 bit unsigned", hint="convert the picture to 8 or 16 bits"
        )
    nbytes = math.prod(array.chunks) * array.dtype.itemsize
    if nbytes > MAX_CHUNK_BYTES or max(array.shape) > _MAX_SIDE:
        raise UnsupportedPixelsError(
            f"chunks of {' x '.join(map(str, array.chunks))} ({', '.join(axes)}) would be decoded at once; "
            f"the limit is {MAX_CHUNK_BYTES} bytes",
            hint="write it anew with smaller chunks",
        )


def _choose_planes(path: Path, picture: Multiscale, selection: Selection) -> tuple[dict[str, int], list[str]]:
    """Return the plane of each axis that is shown: the chosen one, else the middle depth, the first time."""
    planes, notices = {}, []
    for axis, wanted, default in (("z", selection.z, picture.size("z") // 2), ("t", selection.t, 0)):
        count = picture.size(axis)
        if wanted is not None and not 1 <= wanted <= count:
            raise ChannelsError(
                f"there is no --{axis} {wanted} among {count} {_AXIS_NAMES[axis]}",
                path=path,
                hint=f"choose 1 to {count}",
            )
        planes[axis] = default if wanted is None else wanted - 1
        if wanted is None and count > 1:
            notices.append(f"of {count} {_AXIS_NAMES[axis]}, number {planes[axis] + 1} is shown")
    return planes, notices


def _plane(wanted: int, count: int, finest: int) -> int:
    """Return the plane of a level that shows plane `wanted` of the finest: a level may have fewer."""
    return min(wanted * count // finest, count - 1)


def _block(chunk: int) -> int:
    return chunk * -(-_BLOCK // chunk) if chunk < _LOW else chunk


def _files_of(path: Path, arrays: Sequence[zarr.Array[Any]]) -> Iterator[Path]:
    """Yield the metadata, and chunks of the coarsest level, which stand for the picture."""
    coarsest = arrays[-1]
    inside = Path(coarsest.store.root) / coarsest.path  # type: ignore[attr-defined]  # a LocalStore
    levels = [_below(path, array) for array in arrays]
    bring_what_identifies(path, levels, inside, coarsest)
    for folder in (path, *sorted(child for child in path.iterdir() if child.is_dir())):
        yield from (folder / name for name in ZARR_FILES if (folder / name).is_file())
    chunks = sorted(file for file in inside.rglob("*") if file.is_file() and file.name not in ZARR_FILES)
    yield from chunks[:_MAX_FINGERPRINT_CHUNKS]


def _below(path: Path, array: zarr.Array[Any]) -> str:
    """Return where in a folder an array lies."""
    place = Path(array.store.root) / array.path  # type: ignore[attr-defined]  # a LocalStore
    return place.relative_to(path).as_posix()


def _first(error: Exception) -> Exception:
    """Return the first single error of a group of groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
