"""Files that hold tiles: what each must do, and which there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_nic.errors import InvalidParameterError, MissingDependencyError
from napari_nic.recompression.lossy.codecs import CodecSettings, PixelCodec
from napari_nic.recompression.lossy.journal import Placed
from napari_nic.recompression.lossy.picture import SlideFacts
from napari_nic.recompression.lossy.records import Record
from napari_nic.registry import Registry
from napari_nic.slides import Level


@dataclass(frozen=True)
class ResultPlan:
    """What a result will be.

    Attributes
    ----------
    levels : tuple of Level
    facts : SlideFacts
    codec : PixelCodec
    settings : CodecSettings
    """

    levels: tuple[Level, ...]
    facts: SlideFacts
    codec: PixelCodec
    settings: CodecSettings


class Container(Protocol):
    """A file, or a folder, that is being written; used by one thread.

    Attributes
    ----------
    suffixes : tuple of str
        Of names that programs know it by; the first is given.
    fills_with_white : bool
        Whether a tile of which nothing is stored is white by the format's own rule.
    """

    suffixes: tuple[str, ...]
    fills_with_white: bool

    def __init__(self, path: Path, plan: ResultPlan) -> None: ...

    def begin(self, found: Sequence[Placed]) -> list[Placed]:
        """Open what an earlier run left; return those of its tiles that are whole, and forget the rest."""

    def put(self, level: int, index: int, data: bytes) -> tuple[int, int]:
        """Store a tile; return its place and length."""

    def read(self, placed: Placed) -> bytes:
        """Return the bytes of a tile as they are stored."""

    def sync(self) -> None:
        """Hand all that was put to the system."""

    def finish(self, placed: Sequence[Placed], record: Record) -> None:
        """Write all that makes it whole; `placed` are all tiles of all levels."""

    def extent(self) -> tuple[int, int]:
        """Return where the bytes of tiles begin and end; zeros of a folder."""

    def close(self) -> None:
        """Let it go, finished or not."""


CONTAINERS: Registry[type[Container]] = Registry("container")
"""Containers by name."""

_HERE = "napari_nic.recompression.lossy"
CONTAINERS.register("tiff", f"{_HERE}.tiff_container:PlainTiff")
CONTAINERS.register("svs", f"{_HERE}.tiff_container:AperioTiff")
CONTAINERS.register("ome-tiff", f"{_HERE}.tiff_container:OmeTiff")
CONTAINERS.register("ome-zarr", f"{_HERE}.zarr_container:OmeZarr")

DICOM = "dicom"


def load_container(name: str) -> type[Container]:
    """Return a kind of container.

    Raises
    ------
    UnknownNameError
        If there is none of this name.
    MissingDependencyError
        For DICOM, which is another program's to write.
    """
    if name == DICOM:
        raise MissingDependencyError(
            "DICOM is not written by this program",
            hint="pip install wsidicomizer (Python 3.12 or newer), then: wsidicomizer -i SLIDE -o FOLDER",
        )
    return CONTAINERS.get(name)


def suffix_of(name: str, container: type[Container]) -> str:
    """Return the suffix of a file name that a container may have.

    Raises
    ------
    InvalidParameterError
        If it has another one.
    """
    found = next((suffix for suffix in container.suffixes if name.lower().endswith(suffix)), None)
    if found is None:
        raise InvalidParameterError(
            "programs would not know the result by its name",
            expected=f"a name that ends in {' or '.join(container.suffixes)}",
            found=name,
        )
    return found
