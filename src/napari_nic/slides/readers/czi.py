"""CZI of Zeiss, read lazily by pylibCZIrw, Zeiss's own library: scenes, mosaics, channels, planes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import numpy as np
import numpy.typing as npt

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    MissingDependencyError,
    OutOfBoundsError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.slides.levels import build_levels
from napari_nic.slides.model import (
    WHITE,
    Channel,
    ChannelSource,
    PixelSizeClaim,
    RgbArray,
    Selection,
    SlideSource,
    SourceInfo,
)
from napari_nic.slides.pixel_size import parse_float
from napari_nic.slides.readers.czi_metadata import CziChannel, read_channels, read_distance, read_scene_names
from napari_nic.slides.readers.dicom_pixels import to_8_bit

MAGIC = b"ZISRAWFILE"
TILE = 512
CACHE_BYTES = 128 * 2**20
"""Decoded blocks that the library keeps: scanners write blocks of up to 2,056 px, larger than a tile."""

_HINT = "the file is damaged: copy it again from where it came"
_ERRORS = (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError, OSError, ExpatError)
_RGB_BITS = {"Bgr24": 8, "Bgr48": 16}
_GREY = ("Gray8", "Gray16", "Gray32Float")
_UNSHOWN_DIMS = {
    "R": "rotations",
    "I": "illuminations",
    "H": "phases",
    "V": "views",
    "B": "acquisition blocks",
}
_MAX_SIDE = 2**24


@dataclass(frozen=True)
class _Frame:
    """What is read: the area in the file's own pixels, its scene, and the plane."""

    x: int
    y: int
    width: int
    height: int
    scene: int | None
    plane: Mapping[str, int]
    factors: tuple[int, ...]


class _CziFile:
    """A handle that one thread uses at a time."""

    def __init__(self, path: Path) -> None:
        czi = _import_library()
        options = czi.CacheOptions(
            type=czi.CacheType.Standard, max_memory_usage=CACHE_BYTES, max_sub_block_count=None
        )
        self.path = path
        self.reader = czi.CziReader(str(path), czi.ReaderFileInputTypes.Standard, cache_options=options)
        self._lock = threading.Lock()

    def read(
        self, frame: _Frame, factor: int, area: tuple[int, int, int, int], channel: int, background: float
    ) -> npt.NDArray[Any]:
        """Read (x, y, width, height) of the level that is `factor` times reduced, (rows, cols, samples)."""
        x, y, width, height = area
        roi = frame.x + x * factor, frame.y + y * factor, width * factor, height * factor
        with self._lock:
            try:
                pixels = self.reader.read(
                    roi=roi,
                    plane={**frame.plane, "C": channel},
                    scene=frame.scene,
                    zoom=1 / factor,
                    background_pixel=(background, background, background),
                )
            except _ERRORS as error:
                raise DamagedSlideError(
                    f"the area at ({roi[1]}, {roi[0]}) cannot be decoded",
                    path=self.path,
                    found=str(error),
                    hint=_HINT,
                ) from error
        if pixels.shape[:2] != (height, width):
            raise DamagedSlideError(
                "an area came in another size than it was asked for",
                path=self.path,
                expected=f"{height} x {width}",
                found=f"{pixels.shape[0]} x {pixels.shape[1]}",
                hint=_HINT,
            )
        return np.array(pixels)

    def close(self) -> None:
        with self._lock:
            self.reader.close()


class CziSource:
    """An open CZI in colour or brightfield grey. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(self, file: _CziFile, frame: _Frame, info: SourceInfo, bits: int) -> None:
        self.info = info
        self._file, self._frame, self._bits = file, frame, bits

    def _area(self, level: int, row: int, col: int) -> tuple[int, int, int, int]:
        frame = self.info.levels[level].tile_region(row, col)
        return frame.x, frame.y, frame.width, frame.height

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Read one tile; what the mosaic leaves out is white."""
        pixels = self._file.read(
            self._frame, self._frame.factors[level], self._area(level, row, col), channel=0, background=1.0
        )
        shown = to_8_bit(pixels, self._bits)
        if shown.shape[2] == 1:
            return np.repeat(shown, 3, axis=2)
        return np.ascontiguousarray(shown[..., ::-1])  # the library gives blue first

    def read_associated(self, name: str) -> RgbArray:
        """The library does not read the label."""
        raise OutOfBoundsError(f"no associated image {name!r}", path=self._file.path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class CziChannelSource(CziSource):
    """An open CZI of fluorescence channels. See :class:`~napari_nic.slides.model.ChannelSource`."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels of the file."""
        return self.info.channels

    def read_channels(
        self, level: int, row: int, col: int, channels: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """Read one tile of some channels; what the mosaic leaves out is 0."""
        area, factor = self._area(level, row, col), self._frame.factors[level]
        planes = [
            self._file.read(self._frame, factor, area, index, background=0.0)[..., 0] for index in channels
        ]
        return np.stack(planes, axis=-1)


def open_czi(path: Path, selection: Selection | None = None) -> SlideSource | ChannelSource:
    """Open a CZI file; see :data:`~napari_nic.slides.model.OpenSource`.

    Parameters
    ----------
    path : Path
    selection : Selection, optional
        Scene, plane of depth and time point; a file of several scenes needs one to be chosen.

    Raises
    ------
    MissingDependencyError
        If pylibCZIrw is not installed.
    ChannelsError
        If there are several scenes and none was chosen, or one that is not there.
    """
    if path.is_dir() or not _has_magic(path):
        raise UnreadableSlideError("not a CZI file")
    _import_library()
    if not _is_utf_8(path):
        raise UnreadableSlideError(
            "a Zeiss CZI whose path is not UTF-8: pylibCZIrw cannot open it",
            hint="give file and folders other names",
        )
    try:
        file = _CziFile(path)
    except _ERRORS as error:
        raise _damaged(path, error) from error
    try:
        return _assemble(file, path, selection or Selection())
    except BaseException as error:
        file.close()
        if isinstance(error, _ERRORS) and not isinstance(error, UnreadableSlideError | DamagedSlideError):
            raise _damaged(path, error) from error
        raise


def _import_library() -> Any:
    try:
        from pylibCZIrw import czi
    except ImportError:
        raise MissingDependencyError(
            "a Zeiss CZI, which needs pylibCZIrw to be read", hint='pip install "napari-nic[czi]"'
        ) from None
    return czi


def _is_utf_8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _has_magic(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _damaged(path: Path, error: BaseException) -> DamagedSlideError:
    return DamagedSlideError("the CZI cannot be opened", path=path, found=str(error), hint=_HINT)


def _assemble(file: _CziFile, path: Path, selection: Selection) -> SlideSource | ChannelSource:
    metadata = file.reader.metadata
    frame, choice, notices = _choose_frame(file, metadata, selection)
    types = [file.reader.pixel_types[index] for index in sorted(file.reader.pixel_types)]
    channels = read_channels(metadata, types)
    shapes = [(-(-frame.height // factor), -(-frame.width // factor)) for factor in frame.factors]
    info = SourceInfo(
        vendor="zeiss",
        levels=build_levels(shapes, [(TILE, TILE)] * len(shapes)),
        pixel_sizes=tuple(_claims(metadata)),
        background=WHITE,
        properties={"czi.pixel-type": ", ".join(types), "czi.channels": ", ".join(c.name for c in channels)},
        fingerprint_files=(path,),
        choice=choice,
        notices=notices,
    )
    _check_types(types, channels)
    if types[0] in _RGB_BITS:
        return CziSource(file, frame, info, channels[0].bits or _RGB_BITS[types[0]])
    if len(types) == 1 and channels[0].is_transmitted and types[0] != "Gray32Float":
        return CziSource(file, frame, info, channels[0].bits or (8 if types[0] == "Gray8" else 16))
    shown = tuple(Channel(c.name, c.color, c.window) for c in channels)
    return CziChannelSource(file, frame, replace(info, channels=shown), bits=0)


def _check_types(types: Sequence[str], channels: Sequence[CziChannel]) -> None:
    known = types == [types[0]] if types[0] in _RGB_BITS else all(kind in _GREY for kind in types)
    if not known:
        named = ", ".join(f"{c.name}: {kind}" for c, kind in zip(channels, types, strict=True))
        raise UnsupportedPixelsError(
            f"pixels that cannot be shown together ({named})", hint="export one channel as a file of its own"
        )


def _claims(metadata: Mapping[str, Any]) -> Iterator[PixelSizeClaim]:
    """Distances are in metres."""
    y, x = (parse_float(read_distance(metadata, axis)) for axis in "YX")
    if y is not None and x is not None:
        yield PixelSizeClaim(y * 1e6, x * 1e6, "CZI scaling")


# -- what is read ----------------------------------------------------------------------------------------


def _choose_frame(
    file: _CziFile, metadata: Mapping[str, Any], selection: Selection
) -> tuple[_Frame, dict[str, Any], tuple[str, ...]]:
    """Choose scene and plane; returns also what was chosen, and what the user should be told."""
    box = file.reader.total_bounding_box_no_pyramid
    several = [name for dim, name in _UNSHOWN_DIMS.items() if _count(box, dim) > 1]
    if several:
        raise UnsupportedPixelsError(
            f"several {' and '.join(several)}, of which only one can be shown",
            hint="export one of them as a file of its own",
        )
    scene = _choose_scene(file, metadata, selection)
    z, tell_z = _choose_plane(box, "Z", selection.z, file.path)
    t, tell_t = _choose_plane(box, "T", selection.t, file.path)
    rectangles = file.reader.scenes_bounding_rectangle_no_pyramid
    area = file.reader.total_bounding_rectangle_no_pyramid if scene is None else rectangles[scene]
    if not (0 < area.w <= _MAX_SIDE and 0 < area.h <= _MAX_SIDE):
        raise ValueError(f"a picture of {area.w} x {area.h} px")
    factors = (1, *_reductions(file, scene, min(area.w, area.h)))
    frame = _Frame(area.x, area.y, area.w, area.h, scene, {"Z": z, "T": t}, factors)
    scenes = sorted(rectangles)
    choice = {"scene": scenes.index(scene) + 1} if scene is not None and len(scenes) > 1 else {}
    choice |= {"z": z - box["Z"][0] + 1} if tell_z else {}
    choice |= {"t": t - box["T"][0] + 1} if tell_t else {}
    return frame, choice, tuple(text for text in (tell_z, tell_t) if text)


def _choose_scene(file: _CziFile, metadata: Mapping[str, Any], selection: Selection) -> int | None:
    rectangles = file.reader.scenes_bounding_rectangle_no_pyramid
    scenes = sorted(rectangles)
    wanted = selection.scene
    if len(scenes) < 2 and str(wanted or 1).strip() == "1":
        return scenes[0] if scenes else None
    if not scenes:
        raise ChannelsError(
            f"there is no scene {wanted}: it has one picture", path=file.path, hint="open it without --scene"
        )
    names = read_scene_names(metadata)
    labels = [names.get(scene, "") for scene in scenes]
    text = "" if wanted is None else str(wanted).strip()
    if text in labels and text and labels.count(text) == 1:
        return scenes[labels.index(text)]
    if text.isascii() and text.isdigit() and 1 <= int(text) <= len(scenes):
        return scenes[int(text) - 1]
    listed = tuple(
        f"{number}{f' {label}' if label else ''} ({rectangles[scene].w} x {rectangles[scene].h} px)"
        for number, (scene, label) in enumerate(zip(scenes, labels, strict=True), 1)
    )
    problem = f"{len(scenes)} scenes" if wanted is None else f"there is no scene {text!r}"
    error = ChannelsError(
        f"{problem} ({', '.join(listed)})",
        path=file.path,
        hint="choose one by its number, for instance --scene 1",
    )
    error.scenes = listed
    raise error


def _choose_plane(
    box: Mapping[str, tuple[int, int]], dim: str, wanted: int | None, path: Path
) -> tuple[int, str]:
    """Return the index of a plane and a notice; unasked it is the middle of the depth, the first in time."""
    count = _count(box, dim)
    what = "planes of depth" if dim == "Z" else "time points"
    first = box.get(dim, (0, 1))[0]
    if wanted is not None and not 1 <= wanted <= count:
        raise ChannelsError(
            f"there is no {dim.lower()} {wanted}: it has {count} {what}",
            path=path,
            hint=f"choose --{dim.lower()} 1 to {count}",
        )
    index = wanted - 1 if wanted is not None else count // 2 if dim == "Z" else 0
    notice = f"{count} {what}: number {index + 1} is shown (choose with --{dim.lower()})" if count > 1 else ""
    return first + index, notice


def _count(box: Mapping[str, tuple[int, int]], dim: str) -> int:
    start, end = box.get(dim, (0, 1))
    return max(1, end - start)


def _reductions(file: _CziFile, scene: int | None, side: int) -> list[int]:
    """Return by how much the file's own smaller copies are reduced, finest first."""
    found: set[int] = set()

    def look(_: int, block: Any) -> bool:
        if block.physicalSize.w and block.logicalRect.w > block.physicalSize.w:
            found.add(round(block.logicalRect.w / block.physicalSize.w))
        return True

    if scene is None:
        file.reader.enumerate_subblocks(look)
    else:
        file.reader.enumerate_subblocks_subset(look, plane={"S": scene})
    return sorted(factor for factor in found if 1 < factor <= side)
