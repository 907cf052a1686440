"""Levels of a DICOM slide: instances of one size put together, checked, and asked for their colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
from wsidicom.geometry import Point

from napari_nic.errors import ChannelsError, DamagedSlideError, UnsupportedPixelsError
from napari_nic.slides.readers.dicom_pixels import DicomPixels, decode_frame, settle_stream

DAMAGED_HINT = "the file is damaged: copy it again from where it came"
_ODD_SHAPE = 0.02


def real(name: object) -> Path:
    """One path for one file: the library follows links."""
    return Path(str(name)).resolve()


@dataclass(frozen=True)
class DicomPicture:
    """A level or associated image: instances by (optical path, focal plane), and how pixels are stored."""

    shape: tuple[int, int]
    instances: Mapping[tuple[str, float], Any]
    pixels: DicomPixels
    plane: float

    def read(self, row: int, col: int, path: str) -> npt.NDArray[Any] | None:
        """Decode one frame, cropped at the edge; None if the file leaves it out."""
        data = self.instances[path, self.plane].image_data
        point = Point(col, row)
        if data.is_sparse(point, self.plane, path):
            return None
        decoded = decode_frame(data.get_encoded_tile(point, self.plane, path), self.pixels)
        height, width = self.pixels.tile
        return decoded[: self.shape[0] - row * height, : self.shape[1] - col * width]

    @property
    def planes(self) -> list[float]:
        """Focal planes in um, from below."""
        return sorted({plane for _, plane in self.instances})

    @property
    def paths(self) -> tuple[str, ...]:
        """Identifiers of the optical paths."""
        return tuple(sorted({path for path, _ in self.instances}))


def check_shapes(shapes: Sequence[tuple[int, int]]) -> None:
    """Refuse pictures of different areas in one series: they are no levels of each other."""
    height, width = shapes[0]
    for rows, cols in shapes[1:]:
        if abs(rows - height * cols / width) > max(1, _ODD_SHAPE * rows) and min(rows, cols) > 1:
            raise UnsupportedPixelsError(
                f"a series of pictures of different shapes: {width} x {height} and {cols} x {rows} px",
                hint="open a folder that holds one of them",
            )


def join_instances(
    instances: Iterable[Any], pixels: Mapping[Path, DicomPixels], path: Path, z: int | None = None
) -> DicomPicture:
    """Put instances of one size together; each must be stored alike, and each plane be there once.

    Parameters
    ----------
    z : int, optional
        Number from 1 of the focal plane; the middle one without it.
    """
    planes: dict[tuple[str, float], Any] = {}
    kinds = set()
    shape = (0, 0)
    for instance in instances:
        shape = instance.size.height, instance.size.width
        kinds |= {pixels[real(name)] for name in instance.image_data.files}
        _check_frames(instance, path)
        for name in instance.optical_paths:
            for plane in instance.focal_planes:
                if (name, plane) in planes:
                    raise UnsupportedPixelsError(
                        f"two pictures of {shape[1]} x {shape[0]} px of the same plane",
                        hint="open a folder that holds one of them",
                    )
                planes[name, plane] = instance
    if len(kinds) > 1:
        raise UnsupportedPixelsError(
            "the planes of one level are stored in different ways",
            hint="export one of them as a slide of its own",
        )
    heights = sorted({plane for _, plane in planes})
    if z is not None and not 1 <= z <= len(heights):
        raise ChannelsError(
            f"there is no focal plane {z}: it has {len(heights)}",
            path=path,
            hint=f"choose --z 1 to {len(heights)}",
        )
    chosen = heights[len(heights) // 2 if z is None else z - 1]
    lacking = [name for name in {name for name, _ in planes} if (name, chosen) not in planes]
    if lacking:
        raise UnsupportedPixelsError(
            "its optical paths have different focal planes",
            hint="export one focal plane as a slide of its own",
        )
    return DicomPicture(shape, planes, next(iter(kinds)), chosen)


def _check_frames(instance: Any, path: Path) -> None:
    """A file whose header counts wrongly must not show one tile in place of another."""
    data = instance.image_data
    header = instance.datasets[0].as_dataset()
    stated = int(header.TotalPixelMatrixRows), int(header.TotalPixelMatrixColumns)
    if stated != (instance.size.height, instance.size.width):  # the library goes by the number of frames then
        raise DamagedSlideError(
            "a picture of this DICOM slide does not hold as many frames as its size needs",
            path=path,
            expected=f"{stated[1]} x {stated[0]} px",
            found=f"frames for {instance.size.width} x {instance.size.height} px",
            hint=DAMAGED_HINT,
        )
    if str(header.get("DimensionOrganizationType", "TILED_FULL")) == "TILED_SPARSE":
        return
    tiles = data.tiled_size.width * data.tiled_size.height * len(data.focal_planes) * len(data.optical_paths)
    frames = sum(int(item.as_dataset().get("NumberOfFrames", 1)) for item in instance.datasets)
    if frames != tiles:
        raise DamagedSlideError(
            "a level of this DICOM slide does not hold as many frames as it has tiles",
            path=path,
            expected=f"{tiles} frames",
            found=f"{frames}",
            hint=DAMAGED_HINT,
        )


def check_colors(levels: Sequence[DicomPicture]) -> tuple[list[DicomPicture], tuple[str, ...]]:
    """Ask the first frame of each level what its colours are."""
    settled, notices = [], []
    for level in levels:
        instance = level.instances[level.paths[0], level.plane].image_data
        colors, notice = level.pixels.colors, ""
        frame = _first_frame(level, instance)
        if frame is not None:
            colors, notice = settle_stream(level.pixels, frame)
        settled.append(replace(level, pixels=replace(level.pixels, colors=colors)))
        if notice and notice not in notices:
            notices.append(notice)
    return settled, tuple(notices)


def _first_frame(level: DicomPicture, data: Any) -> bytes | None:
    for row in range(data.tiled_size.height):
        for col in range(data.tiled_size.width):
            point = Point(col, row)
            if not data.is_sparse(point, level.plane, level.paths[0]):
                return bytes(data.get_encoded_tile(point, level.plane, level.paths[0]))
    return None
