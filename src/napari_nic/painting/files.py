"""Painted labels on disk: a Zarr group with an array for each level, of which only painted chunks exist."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.descriptions import check_fields, is_mapping, is_text, is_whole, read_json, sealed, unsealed
from napari_nic.disk import replacing_folder, write_bytes, writing_to
from napari_nic.embeddings import Lease
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.painting.labels import PaintedLabels
from napari_nic.painting.tiles import MOST_CLASSES, TILE, Tile, level_shapes

ATTRIBUTE = "napari_nic_painting"
VERSION = 1
UNFINISHED = ".unfinished"
"""A file that is there while tiles are written: coarse ones may not follow from fine ones then."""

MOST_SIDE = 2**24
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class PaintingHeader:
    """What a painting belongs to.

    Attributes
    ----------
    slide : str
        Its name.
    fingerprint : str
    shape : (int, int)
        (rows, cols) of level 0.
    classes : mapping of str to int
        Numbers of classes, from 1.
    colors : mapping of str to (r, g, b)
    """

    slide: str
    fingerprint: str
    shape: tuple[int, int]
    classes: Mapping[str, int] = field(default_factory=dict)
    colors: Mapping[str, RGB] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "version": VERSION,
            "slide": self.slide,
            "fingerprint": self.fingerprint,
            "shape": list(self.shape),
            "classes": dict(self.classes),
            "colors": {label: list(color) for label, color in self.colors.items()},
        }


class PaintingFiles:
    """The folder of a painting; held by one program at a time.

    Parameters
    ----------
    path : Path
    header : PaintingHeader
    """

    def __init__(self, path: Path, header: PaintingHeader) -> None:
        import zarr

        self.path, self.header = path, header
        self._stack = ExitStack()
        lease = Lease(path, problem="this slide is painted in another window", hint="close it there first")
        self._stack.enter_context(lease.writing())
        try:
            group = zarr.open_group(path, mode="r+")
            self._arrays: list[Any] = [group[str(level)] for level in range(len(level_shapes(header.shape)))]
        except (KeyError, OSError, ValueError) as error:
            self.close()
            raise _damaged(path, str(error)) from error
        self._group = group
        for array, shape in zip(self._arrays, level_shapes(header.shape), strict=True):
            if array.shape != shape or array.chunks != (TILE, TILE) or array.dtype != np.uint8:
                self.close()
                raise _damaged(path, f"an array of {array.dtype}, shape {array.shape}, chunks {array.chunks}")

    @classmethod
    def create(cls, path: Path, header: PaintingHeader) -> PaintingFiles:
        """Make an empty one.

        Raises
        ------
        StoreError
            If it cannot be written, or is there already.
        """
        import zarr

        if path.exists():
            raise StoreError("there is a painting already", path=path, hint="open it, or remove it first")
        with replacing_folder(path) as folder:
            group = zarr.create_group(folder, zarr_format=3, attributes={ATTRIBUTE: sealed(header.to_dict())})
            for level, shape in enumerate(level_shapes(header.shape)):
                group.create_array(
                    str(level),
                    shape=shape,
                    dtype=np.uint8,
                    chunks=(TILE, TILE),
                    config={"write_empty_chunks": True},
                )
        return cls(path, header)

    @classmethod
    def open(cls, path: Path, fingerprint: str) -> PaintingFiles:
        """Open the painting of a slide.

        Raises
        ------
        StoreError
            If it is another slide's, damaged, or held by another window (StoreBusyError).
        """
        header = read_header(path)
        if header.fingerprint != fingerprint:
            raise StoreError(
                "this painting belongs to another slide",
                path=path,
                expected=fingerprint,
                found=f"{header.fingerprint} ({header.slide})",
            )
        return cls(path, header)

    def close(self) -> None:
        """Let others have it."""
        self._stack.close()

    @property
    def is_unfinished(self) -> bool:
        """Whether the last writing did not come to its end, so that coarse tiles must be made to follow."""
        return (self.path / UNFINISHED).exists()

    def known(self) -> set[Tile]:
        """List the tiles that are there."""
        found = set()
        for level in range(len(self._arrays)):
            for file in (self.path / str(level)).glob("c/*/*"):
                row, col = file.parent.name, file.name
                if row.isdecimal() and col.isdecimal():
                    found.add(Tile(level, int(row), int(col)))
        return found

    def load(self, tile: Tile) -> np.ndarray:
        """Return the labels of a tile, (TILE, TILE) uint8; 0 beyond the slide.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        try:
            part = self._arrays[tile.level][self._place(tile)]
        except (OSError, ValueError, RuntimeError) as error:
            raise _damaged(
                self.path, f"level {tile.level}, row {tile.row}, column {tile.col}: {error}"
            ) from error
        labels = np.zeros((TILE, TILE), np.uint8)
        labels[: part.shape[0], : part.shape[1]] = part
        return labels

    def save(self, tiles: Mapping[Tile, np.ndarray | None], token: CancellationToken | None = None) -> None:
        """Write tiles, in their order; those that are None are removed.

        Each file is whole or not at all. A mark tells, until the end, that not all are there.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        with writing_to(self.path):
            write_bytes(self.path / UNFINISHED, b"")
            for tile, labels in checked(tiles.items(), token):
                rows, cols = place = self._place(tile)
                if labels is None:
                    (self.path / str(tile.level) / "c" / str(tile.row) / str(tile.col)).unlink(
                        missing_ok=True
                    )
                else:
                    height, width = rows.stop - rows.start, cols.stop - cols.start
                    self._arrays[tile.level][place] = labels[:height, :width]
            (self.path / UNFINISHED).unlink()

    def set_classes(self, classes: Mapping[str, int], colors: Mapping[str, RGB]) -> None:
        """Keep the numbers and colours of classes."""
        header = self.header
        new = PaintingHeader(header.slide, header.fingerprint, header.shape, dict(classes), dict(colors))
        if new != header:
            with writing_to(self.path):
                self._group.update_attributes({ATTRIBUTE: sealed(new.to_dict())})
            self.header = new

    def _place(self, tile: Tile) -> tuple[slice, slice]:
        rows, cols = self._arrays[tile.level].shape
        top, left = tile.row * TILE, tile.col * TILE
        return slice(top, min(top + TILE, rows)), slice(left, min(left + TILE, cols))


def read_header(path: Path) -> PaintingHeader:
    """Read what a painting belongs to, field by field.

    Raises
    ------
    StoreError
        If it is none, or is damaged.
    """
    attributes = read_json(path / "zarr.json", StoreError, what="the painting's description")
    found = attributes.get("attributes") if isinstance(attributes, dict) else None
    data = found.get(ATTRIBUTE) if isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise StoreError("this folder is no painting", path=path, found="a Zarr group of another kind")
    data = unsealed(data, path, StoreError)
    checks = {
        "version": (f"{VERSION}", lambda value: value == VERSION),
        "slide": ("a text", is_text),
        "fingerprint": ("a text", is_text),
        "shape": ("two whole numbers", _is_shape),
        "classes": (f"classes and their numbers, 1 to {MOST_CLASSES}", _is_numbers),
        "colors": ("colours of classes", _is_colors),
    }
    check_fields(data, checks, StoreError, what="painting", known=checks, required=checks)
    rows, cols = data["shape"]
    colors = {label: (color[0], color[1], color[2]) for label, color in data["colors"].items()}
    return PaintingHeader(data["slide"], data["fingerprint"], (rows, cols), data["classes"], colors)


def iter_repair(
    labels: PaintedLabels, token: CancellationToken | None = None
) -> Generator[Progress, None, int]:
    """Let coarse tiles follow from finer ones, after a writing that did not end; return how many did not.

    Parameters
    ----------
    labels : PaintedLabels
    token : CancellationToken, optional
        Asked at each tile.
    """
    tiles, wrong = sorted(labels.tiles), 0
    for number, tile in enumerate(checked(tiles, token)):
        wrong += labels.follow(tile)
        yield Progress(number + 1, len(tiles), "Making coarse levels", "tiles")
    return wrong


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_whole(side, MOST_SIDE) for side in value)


def _is_numbers(value: Any) -> bool:
    if not is_mapping(value) or not all(is_whole(number, MOST_CLASSES) for number in value.values()):
        return False
    return len(set(value.values())) == len(value)


def _is_colors(value: Any) -> bool:
    return is_mapping(value) and all(
        isinstance(color, list) and len(color) == 3 and all(is_whole(one, 255, 0) for one in color)
        for color in value.values()
    )


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(
        "this painting is damaged", path=path, found=found, hint="move the folder away to begin a new one"
    )
