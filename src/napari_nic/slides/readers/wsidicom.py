"""DICOM slides that OpenSlide does not read: grey, 16 bits, JPEG-LS, RLE, focal planes, optical paths.

wsidicom finds the frame of a tile (tiled full or sparse, one file or several); frames are decoded here, since
the right colours depend on what header and stream say together.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from wsidicom.config import Settings, use_settings
from wsidicom.errors import (
    WsiDicomError,
    WsiDicomFileError,
    WsiDicomMatchError,
    WsiDicomNotFoundError,
    WsiDicomNotSupportedError,
    WsiDicomOutOfBoundsError,
    WsiDicomStrictRequirementError,
    WsiDicomUidDuplicateError,
)
from wsidicom.file import WsiDicomFileSource

from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    NicError,
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
    Rgb,
    RgbArray,
    Selection,
    SlideSource,
    SourceInfo,
    to_rgb,
)
from napari_nic.slides.readers.dicom_files import HEADER_ERRORS, DicomFile, is_dicom, read_series
from napari_nic.slides.readers.dicom_levels import (
    DAMAGED_HINT,
    DicomPicture,
    check_colors,
    check_shapes,
    join_instances,
    real,
)
from napari_nic.slides.readers.dicom_pixels import DicomPixels, read_pixels, to_8_bit

_LIBRARY_ERRORS = (
    WsiDicomError,
    WsiDicomFileError,
    WsiDicomMatchError,
    WsiDicomNotFoundError,
    WsiDicomNotSupportedError,
    WsiDicomOutOfBoundsError,
    WsiDicomStrictRequirementError,
    WsiDicomUidDuplicateError,
    *HEADER_ERRORS,
)
_DECODE_ERRORS = (*_LIBRARY_ERRORS, RuntimeError)
_ASSOCIATED = {"LABEL": "label", "OVERVIEW": "macro", "THUMBNAIL": "thumbnail"}
_EPIFLUORESCENCE = "111743"
_ILLUMINATION: dict[str, Rgb] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
}
_SETTINGS = Settings(strict_tile_size_check=False, encoded_frame_cache_size=2**24)
"""Small levels are often one tile of their own size. Decoded tiles are kept by the slide, not here."""

_UM_PER_MM = 1000.0

for _name in ("wsidicom", "pydicom"):  # what they note is for programmers; without a handler Python prints it
    logging.getLogger(_name).addHandler(logging.NullHandler())


class DicomSource:
    """An open DICOM slide of one optical path. See :class:`~napari_nic.slides.model.SlideSource`."""

    def __init__(
        self,
        path: Path,
        levels: Sequence[DicomPicture],
        associated: Mapping[str, DicomPicture],
        info: SourceInfo,
        handle: Any,
    ) -> None:
        self.path = path
        self.info = info
        self._levels = levels
        self._associated = associated
        self._handle = handle

    def read_tile(self, level: int, row: int, col: int) -> RgbArray | None:
        """Decode one frame; None where the file holds none."""
        picture = self._levels[level]
        pixels = self._read(picture, row, col, picture.paths[0], f"tile ({row}, {col}) of level {level}")
        return None if pixels is None else _shown(pixels, picture.pixels)

    def _read(
        self, picture: DicomPicture, row: int, col: int, path: str, what: str
    ) -> npt.NDArray[Any] | None:
        try:
            return picture.read(row, col, path)
        except _DECODE_ERRORS as error:
            raise DamagedSlideError(
                f"{what} cannot be decoded", path=self.path, found=str(error), hint=DAMAGED_HINT
            ) from error

    def read_associated(self, name: str) -> RgbArray:
        """Decode the label, macro or thumbnail image."""
        if name not in self._associated:
            raise OutOfBoundsError(f"no associated image {name!r}", path=self.path)
        picture = self._associated[name]
        height, width = picture.pixels.tile
        whole = np.full((*picture.shape, 3), 255, np.uint8)
        for row in range(-(-picture.shape[0] // height)):
            for col in range(-(-picture.shape[1] // width)):
                tile = self._read(picture, row, col, picture.paths[0], f"the {name} image")
                if tile is not None:
                    place = whole[row * height : (row + 1) * height, col * width : (col + 1) * width]
                    place[:] = _shown(tile, picture.pixels)
        return whole

    def close(self) -> None:
        """Close all files."""
        self._handle.close()


class DicomChannelSource(DicomSource):
    """An open DICOM slide of grey optical paths. See :class:`~napari_nic.slides.model.ChannelSource`."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The optical paths."""
        return self.info.channels

    def read_channels(
        self, level: int, row: int, col: int, channels: Sequence[int]
    ) -> npt.NDArray[Any] | None:
        """Decode one frame of some optical paths."""
        picture = self._levels[level]
        what = f"tile ({row}, {col}) of level {level}"
        planes = [self._read(picture, row, col, picture.paths[index], what) for index in channels]
        there = [plane for plane in planes if plane is not None]
        if not there:
            return None
        return np.stack([np.zeros_like(there[0]) if plane is None else plane for plane in planes], axis=-1)


def open_wsidicom(path: Path, selection: Selection | None = None) -> SlideSource | ChannelSource:
    """Open with wsidicom; see :data:`~napari_nic.slides.model.OpenSource`.

    Of several focal planes the middle one is shown, and told, unless `selection` names another.
    """
    if path.is_file() and not is_dicom(path):
        raise UnreadableSlideError("not a DICOM file")
    selection = selection or Selection()
    if selection.scene is not None or selection.t is not None:
        raise ChannelsError(
            "a DICOM slide has no scenes and no time points",
            path=path,
            hint="open it without --scene and --t",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom complains of values that are odd but harmless
        files = read_series(path)
        try:
            return _open_files(files, path, selection)
        except NicError:
            raise
        except WsiDicomNotFoundError as error:
            raise _unread(files) from error
        except _LIBRARY_ERRORS as error:
            raise DamagedSlideError(
                "the DICOM slide cannot be opened", path=path, found=str(error), hint=DAMAGED_HINT
            ) from error


def _open_files(files: Sequence[DicomFile], path: Path, selection: Selection) -> DicomSource:
    pixels = {
        real(file.path): read_pixels(file.header, file.syntax) for file in files if file.flavour == "VOLUME"
    }
    for file in files:
        if file.flavour in _ASSOCIATED:
            pixels |= _readable(file)
    with ExitStack() as opened, use_settings(_SETTINGS):
        handle = WsiDicomFileSource.open([file.path for file in files])
        opened.callback(handle.close)
        source = _assemble(files, pixels, handle, path, selection)
        opened.pop_all()  # it stays open: nothing went wrong
        return source


def _unread(files: Sequence[DicomFile]) -> UnsupportedPixelsError:
    """What to say where the library passed over all files: it tells no reason."""
    file = next(file for file in files if file.flavour == "VOLUME")
    header = file.header
    return UnsupportedPixelsError(
        f"wsidicom reads no pixels of this kind ({header.PhotometricInterpretation}, "
        f"{header.BitsAllocated} bits, {file.syntax.name})",
        hint="convert it, for instance with wsidicomizer or dcmtk, to JPEG",
    )


def _readable(file: DicomFile) -> dict[Path, DicomPixels]:
    """How an associated image is stored; one that cannot be shown is left out."""
    try:
        return {real(file.path): read_pixels(file.header, file.syntax)}
    except (UnsupportedPixelsError, AttributeError):
        return {}


def _assemble(
    files: Sequence[DicomFile],
    pixels: Mapping[Path, DicomPixels],
    handle: WsiDicomFileSource,
    path: Path,
    selection: Selection,
) -> DicomSource:
    volumes = [file for file in files if file.flavour == "VOLUME"]
    instances = list(handle.level_instances)
    known = {real(name) for instance in instances for name in instance.image_data.files}
    lost = sorted(file.path.name for file in volumes if real(file.path) not in known)
    if lost:
        raise DamagedSlideError(
            "files of this DICOM slide contradict each other",
            path=path,
            found=f"{', '.join(lost)} cannot be read together with the others",
            hint="open the folder of one slide alone, or copy it again",
        )
    by_shape: dict[tuple[int, int], list[Any]] = {}
    for instance in instances:
        by_shape.setdefault((instance.size.height, instance.size.width), []).append(instance)
    shapes = sorted(by_shape, key=lambda shape: (shape[0] * shape[1], shape), reverse=True)
    check_shapes(shapes)
    levels = [join_instances(by_shape[shape], pixels, path, selection.z) for shape in shapes]
    levels, notices = check_colors(levels)
    associated = _associated(handle, pixels)
    header = next(file.header for file in volumes if file.shape == shapes[0])
    info = SourceInfo(
        vendor="dicom",
        levels=build_levels(shapes, [level.pixels.tile for level in levels]),
        pixel_sizes=tuple(_claims(header)),
        background=WHITE,
        icc_profile=_profile(header) if levels[0].pixels.samples == 3 else None,
        properties=_properties(header),
        associated=tuple(associated),
        fingerprint_files=tuple(file.path for file in files),
        notices=(*notices, *_tell_planes(levels[0])),
        choice=_plane_choice(levels[0]),
    )
    return _make_source(path, levels, associated, info, handle, header)


def _make_source(
    path: Path,
    levels: Sequence[DicomPicture],
    associated: Mapping[str, DicomPicture],
    info: SourceInfo,
    handle: WsiDicomFileSource,
    header: Any,
) -> DicomSource:
    """Take grey optical paths for channels where there are several, or where they fluoresce."""
    described = {str(item.OpticalPathIdentifier): item for item in header.get("OpticalPathSequence", [])}
    paths = levels[0].paths
    is_light = any(_is_epifluorescence(described[name]) for name in paths if name in described)
    if len(paths) == 1 and not is_light:
        return DicomSource(path, levels, associated, info, handle)
    channels = tuple(
        Channel(_path_name(described.get(name), name), _path_color(described.get(name))) for name in paths
    )
    if levels[0].pixels.samples != 1:
        names = ", ".join(channel.name for channel in channels)
        raise UnsupportedPixelsError(
            f"{len(paths)} optical paths in colour ({names}), which cannot be shown together",
            hint="export one of them as a slide of its own",
        )
    if any(level.paths != paths for level in levels):
        raise UnsupportedPixelsError(
            "its levels hold different optical paths", hint="export one optical path as a slide of its own"
        )
    return DicomChannelSource(path, levels, associated, replace(info, channels=channels), handle)


def _associated(handle: WsiDicomFileSource, pixels: Mapping[Path, DicomPixels]) -> dict[str, DicomPicture]:
    found = {}
    groups = {
        "LABEL": handle.label_instances,
        "OVERVIEW": handle.overview_instances,
        "THUMBNAIL": handle.thumbnail_instances,
    }
    for flavour, instances in groups.items():
        readable = [i for i in instances if all(real(name) in pixels for name in i.image_data.files)]
        if readable:
            largest = max(readable, key=lambda instance: instance.size.area)
            picture = join_instances([largest], pixels, Path())
            found[_ASSOCIATED[flavour]] = check_colors([picture])[0][0]
    return found


def _shown(pixels: npt.NDArray[Any], kind: DicomPixels) -> RgbArray:
    return to_rgb(to_8_bit(pixels, kind.bits_stored) if kind.samples == 1 else pixels, WHITE)


def _claims(header: Any) -> Iterable[PixelSizeClaim]:
    """Pixel spacing in mm: rows first. The size of the imaged area is a second witness."""
    for group in header.get("SharedFunctionalGroupsSequence", []):
        for measures in group.get("PixelMeasuresSequence", []):
            spacing = measures.get("PixelSpacing")
            if spacing is not None and len(spacing) == 2:
                yield PixelSizeClaim(
                    float(spacing[0]) * _UM_PER_MM, float(spacing[1]) * _UM_PER_MM, "DICOM PixelSpacing"
                )
    height, width = header.get("ImagedVolumeHeight"), header.get("ImagedVolumeWidth")
    if height and width:
        yield PixelSizeClaim(
            float(height) * _UM_PER_MM / int(header.TotalPixelMatrixRows),
            float(width) * _UM_PER_MM / int(header.TotalPixelMatrixColumns),
            "DICOM ImagedVolumeWidth",
        )


def _profile(header: Any) -> bytes | None:
    profile = next((item.get("ICCProfile") for item in header.get("OpticalPathSequence", [])), None)
    return bytes(profile) if profile else None


def _properties(header: Any) -> dict[str, str]:
    return {
        f"dicom.{element.keyword}": str(element.value)
        for element in header
        if element.VR not in ("SQ", "OB", "OW") and element.keyword
    }


def _path_name(item: Any, identifier: str) -> str:
    description = "" if item is None else str(item.get("OpticalPathDescription", "")).strip()
    return description or f"optical path {identifier}"


def _path_color(item: Any) -> Rgb | None:
    """The colour of light that the path is said to show, where it is a plain one."""
    codes = [] if item is None else item.get("IlluminationColorCodeSequence", [])
    return next((_ILLUMINATION.get(str(code.get("CodeMeaning", "")).casefold()) for code in codes), None)


def _is_epifluorescence(item: Any) -> bool:
    return any(
        code.get("CodeValue") == _EPIFLUORESCENCE for code in item.get("IlluminationTypeCodeSequence", [])
    )


def _tell_planes(level: DicomPicture) -> tuple[str, ...]:
    planes = level.planes
    if len(planes) == 1:
        return ()
    number = planes.index(level.plane) + 1
    return (f"{len(planes)} focal planes: number {number} ({level.plane:g} um) is shown (choose with --z)",)


def _plane_choice(level: DicomPicture) -> dict[str, Any]:
    return {"z": level.planes.index(level.plane) + 1} if len(level.planes) > 1 else {}
